//! Checks which log belongs to which file.
//!
//! SQLite takes any file named `tollgate.db-wal` for the log of `tollgate.db`. If a backup replaces
//! the file while its log stays, that silently mixes two databases. So each start, each backup and
//! each restore gives the database a new random number, its *generation*. It is in the file's
//! header (`user_version`) and in a file beside it (`tollgate.db-generation`). A log that is not
//! empty is opened only if both are the same. A file without a log is opened whatever the file
//! beside it says.
//!
//! A power cut may interrupt a renewal between its two steps. So the file beside the database first
//! names both generations, the old and the new. It names only the new one once the header certainly
//! has it:
//!
//! ```text
//! generation 1835301 99120733
//! ```

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rusqlite::{Connection, OpenFlags};

use super::sidecar::Sidecar;
use super::{FileId, advise, beside};
use crate::db::url::DatabaseUrl;

/// A log up to this size, in bytes, has at most a header and contains no changes.
pub(super) const EMPTY_LOG: u64 = 32;
/// The position of `user_version` in a database file.
const USER_VERSION: std::ops::Range<usize> = 60..64;
/// The part of the header that is read here.
pub(super) const HEADER: usize = 100;
pub(in crate::db) const MAGIC: &[u8] = b"SQLite format 3\0";

/// Why a database file must not be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// A file cannot be read or written.
    #[error("cannot read or write {0}: {1}")]
    Io(PathBuf, io::Error),
    /// SQLite cannot read or write a file.
    #[error("{}", advise(.0, .1))]
    Sqlite(PathBuf, rusqlite::Error),
    /// The log belongs to a file with another generation.
    #[error(
        "{log} is not the log of the {file} that is here now (the file has generation {found}, the log belongs to \
         {expected}). Opening both would damage the database. If {file} was put here on purpose, as a backup that is \
         restored: move {log} and {shm} away and start again; `tollgate restore` does all of that. If not: put the file \
         back that belongs to the log"
    )]
    ForeignLog {
        /// The database.
        file: PathBuf,
        /// The log beside it.
        log: PathBuf,
        /// The log's index.
        shm: PathBuf,
        /// The generation in the file's header.
        found: i32,
        /// The generations that the log belongs to.
        expected: String,
    },
    /// The log belongs to another file with the same generation.
    #[error(
        "{log} is the log of another file that was at {file} when it was served last: the one that is here now was put in its \
         place. Opening both would damage the database. If it was put here on purpose, as a backup that is restored: move \
         {log} and {shm} away and start again; `tollgate restore` does all of that. If not: put the other file back"
    )]
    ReplacedFile {
        /// The database.
        file: PathBuf,
        /// The log beside it.
        log: PathBuf,
        /// The log's index.
        shm: PathBuf,
    },
    /// It is unknown whether the log belongs to the file.
    #[error(
        "{log} has changes that are not in {file}, and {sidecar}, which tells whether the two belong together, is \
         missing. Copy {sidecar} from where the files come from. If you are sure that they belong together, \
         run `echo generation {found} > {sidecar}`. If not, move {log} away"
    )]
    UnknownLog {
        /// The database.
        file: PathBuf,
        /// The log beside it.
        log: PathBuf,
        /// The missing file with the generations.
        sidecar: PathBuf,
        /// The generation in the file's header.
        found: i32,
    },
    /// A part of the log was lost while the database was served.
    #[error(
        "a part of the log of {0} was lost while it was served, so {0} may be damaged: restore a backup with \
         `tollgate restore`. If there is none, remove {0}-generation, move {0}-wal away if it is there, and see what \
         `tollgate verify` says"
    )]
    Damaged(PathBuf),
    /// There is a rollback journal, which belongs to another file.
    #[error(
        "{0} would be rolled back by {1}, which a database that Tollgate has served never leaves behind: that journal \
         belongs to another file. Move it away and start again"
    )]
    ForeignJournal(PathBuf, PathBuf),
    /// The file is another program's database.
    #[error(
        "{0} is the SQLite database of another program: give Tollgate a file of its own (--database-url)"
    )]
    Foreign(PathBuf),
    /// The database is missing although files beside it exist.
    #[error(
        "there is no {0}, but {1} is here, so the database was moved or deleted. Put it back, or restore a backup with \
         `tollgate restore`. To begin with an empty database, move away everything named {0}-*"
    )]
    Gone(PathBuf, PathBuf),
    /// A restore was interrupted after it had moved the old database away.
    #[error(
        "{0} is missing because `tollgate restore` was interrupted: run it again. The old database is {1}"
    )]
    InterruptedRestore(PathBuf, PathBuf),
}

/// Returns a new generation. 0 belongs to a database that never had one.
pub(super) fn fresh() -> i32 {
    rand::rng().random_range(1..i32::MAX)
}

/// Returns the generation in a header, or 0 if the header is too short to have one.
pub(super) fn generation_in(header: &[u8]) -> i32 {
    let bytes = header.get(USER_VERSION).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, i32::from_be_bytes)
}

/// Returns the generation in the file's own header, without its log.
///
/// SQLite reads it (`immutable` makes it ignore the log and the locks). Closing a descriptor of our
/// own would drop the locks of this process's other connections.
fn stored_generation(database: &Path) -> Result<i32, GenerationError> {
    let failed = |error| GenerationError::Sqlite(database.to_owned(), error);
    let connection = open_without_log(database).map_err(failed)?;
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)
}

/// Rejects another program's database, which must not get our tables.
fn check_is_ours(database: &Path) -> Result<(), GenerationError> {
    let tables = "SELECT count(*), coalesce(sum(name = '__diesel_schema_migrations'), 0) FROM sqlite_master
                  WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let found = open_without_log(database)
        .and_then(|connection| connection.query_row(tables, [], |row| Ok((row.get(0)?, row.get(1)?))));
    match found {
        Ok((tables, ours)) if tables > 0 && ours == 0 => Err(GenerationError::Foreign(database.to_owned())),
        // On any other error, opening the database will report it.
        Ok::<(i32, i32), _>(_) | Err(_) => Ok(()),
    }
}

fn open_without_log(database: &Path) -> Result<Connection, rusqlite::Error> {
    let uri = DatabaseUrl::sqlite_uri(database).replace("?mode=rw", "?mode=ro&immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    // An interrupted checkpoint leaves a file that is shorter than its header says. The log has the
    // rest.
    connection.execute_batch("PRAGMA writable_schema = ON")?;
    Ok(connection)
}

/// Returns whether the file exists and is larger than `empty` bytes.
fn has_content(path: &Path, empty: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() > empty)
}

/// Checks that a missing database is really new, and was not moved, deleted or left out by a
/// restore.
///
/// # Errors
/// Fails if files beside it show that there was a database.
pub(in crate::db) fn check_presence(database: &Path) -> Result<(), GenerationError> {
    if database.exists() {
        return Ok(());
    }
    let sidecar = Sidecar::read(database)
        .map_err(|error| GenerationError::Io(beside(database, "-generation"), error))?;
    match sidecar {
        Some(Sidecar { restoring: Some(kept), .. }) => {
            Err(GenerationError::InterruptedRestore(database.to_owned(), kept))
        }
        Some(_) => Err(GenerationError::Gone(database.to_owned(), beside(database, "-generation"))),
        None if has_content(&beside(database, "-wal"), EMPTY_LOG) => {
            Err(GenerationError::Gone(database.to_owned(), beside(database, "-wal")))
        }
        None => Ok(()),
    }
}

/// Checks that the log beside the database belongs to it. Call it before SQLite opens the file.
///
/// # Errors
/// Fails with the files that do not belong together, and what to do.
pub(in crate::db) fn check_before_open(database: &Path) -> Result<(), GenerationError> {
    check_is_ours(database)?;
    // A server that starts at the same time renews both sides, one after the other.
    for _ in 0..4 {
        match check_once(database) {
            Err(GenerationError::ForeignLog { .. }) => thread::sleep(Duration::from_millis(100)),
            outcome => return outcome,
        }
    }
    check_once(database)
}

fn check_once(database: &Path) -> Result<(), GenerationError> {
    let (log, sidecar_path) = (beside(database, "-wal"), beside(database, "-generation"));
    let read = || Sidecar::read(database).map_err(|error| GenerationError::Io(sidecar_path.clone(), error));
    if let Some(sidecar) = read()?.filter(|sidecar| sidecar.is_damaged)
        && sidecar.generations.contains(&stored_generation(database)?)
    {
        return Err(GenerationError::Damaged(database.to_owned()));
    }
    let journal = beside(database, "-journal");
    let has_log = has_content(&log, EMPTY_LOG);
    if !has_log && !has_content(&journal, 0) {
        return Ok(());
    }
    let found = stored_generation(database)?;
    if has_content(&journal, 0) && found != 0 && keeps_a_log(database)? {
        return Err(GenerationError::ForeignJournal(database.to_owned(), journal));
    }
    if !has_log {
        return Ok(());
    }
    let file = database.to_owned();
    match read()? {
        Some(sidecar) if sidecar.generations.contains(&found) => match sidecar.files {
            Some((own, own_log))
                if FileId::inode_of(&log) == Some(own_log) && FileId::inode_of(database) != Some(own) =>
            {
                Err(GenerationError::ReplacedFile { file, log, shm: beside(database, "-shm") })
            }
            _ => Ok(()),
        },
        Some(sidecar) => {
            let expected: Vec<String> = sidecar.generations.iter().map(i32::to_string).collect();
            let expected = expected.join(" or ");
            Err(GenerationError::ForeignLog { file, log, shm: beside(database, "-shm"), found, expected })
        }
        // A database of a release without generations, or one whose first start was interrupted.
        None if found == 0 => Ok(()),
        None => Err(GenerationError::UnknownLog { file, log, sidecar: sidecar_path, found }),
    }
}

/// Gives the database a new generation. The caller has checked the log and holds the lock.
///
/// On a full disk the old generation remains, so that the server can still serve reads.
///
/// # Errors
/// Fails only if the database cannot be opened at all.
pub(in crate::db) fn renew(database: &Path) -> Result<(), GenerationError> {
    let old = stored_generation(database)?;
    let next = fresh();
    let known = Sidecar::read(database).unwrap_or_default().unwrap_or_default();
    // Keep the generations that an earlier start wrote only to the log, because it was killed in
    // between.
    let mut generations = known.generations;
    if !generations.contains(&old) {
        generations = vec![old];
    }
    generations.push(next);
    if let Err(error) = (Sidecar { generations, ..Sidecar::default() }).write(database) {
        log::warn!("cannot write {}-generation: {error}; the old generation stays", database.display());
        return Ok(());
    }
    match fold(database, Some(next)) {
        Ok(true) => {
            let settled = Sidecar { generations: vec![next], ..Sidecar::default() };
            settled.write(database).unwrap_or_else(|error| {
                log::warn!("cannot write {}-generation: {error}", database.display());
            });
            Ok(())
        }
        // Another program reads the database. The next start finishes this.
        Ok(false) => Ok(()),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::DiskFull
                || failure.code == rusqlite::ErrorCode::SystemIoFailure =>
        {
            log::warn!("{}: cannot renew its generation: {failure}", database.display());
            Ok(())
        }
        Err(error) => Err(GenerationError::Sqlite(database.to_owned(), error)),
    }
}

/// Writes `generation`, if there is one, and copies the log into the file. Returns whether the
/// whole log was copied.
pub(super) fn fold(database: &Path, generation: Option<i32>) -> Result<bool, rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(DatabaseUrl::sqlite_uri(database), flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    if let Some(generation) = generation {
        connection.execute_batch(&format!("PRAGMA user_version = {generation}"))?;
    }
    let busy: i32 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(busy == 0)
}

/// Returns whether the header says that changes go into a log. Then the file's contents need no
/// journal. Changing that mode itself takes a journal, which must be rolled back if it was
/// interrupted.
fn keeps_a_log(database: &Path) -> Result<bool, GenerationError> {
    let header = read_header(database).map_err(|error| GenerationError::Io(database.to_owned(), error))?;
    Ok(header.get(18..20) == Some(&[2, 2]))
}

/// Reads the header of a file that is not open in any SQLite connection of this process.
pub(in crate::db) fn read_header(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(HEADER);
    File::open(path)?.take(HEADER as u64).read_to_end(&mut header)?;
    Ok(header)
}
