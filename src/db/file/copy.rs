//! Copies a database in use for a backup, and a backup for a restore.
//!
//! A copy is written under a temporary name (`FILE.part`). It gets its real name once it is
//! complete, checked and on the disk. A failure before that leaves nothing behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use diesel::{Connection as _, SqliteConnection};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::copy_error::CopyError;
use super::generation::fresh;
use super::paths::{refuse_in_use, refuse_own_files};
use super::{beside, sync_folder};
use crate::db::DbConnection;
use crate::db::url::DatabaseUrl;

/// The number of bytes that are copied between two checks of the clock.
const PIECE: u64 = 1024 * 1024;
/// While a copy is made, the log keeps everything that is written. Above this size, in bytes, the
/// copy is made as fast as possible.
const LONGEST_LOG: u64 = 256 * 1024 * 1024;

/// What the name of an unfinished copy ends in.
const UNFINISHED: &str = ".part";

/// The progress of a copy, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bytes that are copied.
    pub done: u64,
    /// The size of the whole copy.
    pub total: u64,
}

/// The rate of a copy, and a callback for its progress.
pub struct Pace<'a> {
    /// The most bytes per second. 0 means no limit.
    pub rate: u64,
    /// Called with the progress while the copy is made. It may end the copy.
    pub report: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

/// An unfinished copy. Dropping it removes it, unless it has its real name.
#[derive(Debug)]
pub struct PartialCopy {
    path: PathBuf,
    target: PathBuf,
    /// Locked, so that two processes never write the same file.
    file: File,
    is_finished: bool,
}

impl PartialCopy {
    /// Begins the backup of `database` to `target`.
    ///
    /// # Errors
    /// Fails if the backup cannot be written there.
    pub fn begin(database: &Path, target: &Path, overwrite: bool) -> Result<PartialCopy, CopyError> {
        refuse_own_files(database, target)?;
        if let Ok(metadata) = fs::symlink_metadata(target) {
            if !metadata.is_file() {
                return Err(CopyError::NotAFile(target.to_owned()));
            }
            if !overwrite {
                return Err(CopyError::Exists(target.to_owned()));
            }
            refuse_in_use(target)?;
        }
        PartialCopy::at(beside(target, UNFINISHED), target)
    }

    pub(super) fn at(path: PathBuf, target: &Path) -> Result<PartialCopy, CopyError> {
        let failed = |error| CopyError::Io(path.clone(), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CopyError::InUse(path)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Remove what an interrupted copy has left.
        file.set_len(0).map_err(failed)?;
        remove_beside(&path);
        Ok(PartialCopy { path, target: target.to_owned(), file, is_finished: false })
    }

    /// Returns the path of the unfinished copy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the current state of a database that may be in use.
    ///
    /// # Errors
    /// Fails if reading or writing fails.
    pub(in crate::db) fn fill_from_live(
        &mut self,
        database: &Path,
        pace: &mut Pace<'_>,
    ) -> Result<(), CopyError> {
        let from = |error| CopyError::Sqlite(database.to_owned(), error);
        let to = |error| CopyError::Sqlite(self.path.clone(), error);
        let source = open(database).map_err(from)?;
        // One snapshot for the whole copy. Without it, the copy restarts after each write.
        source
            .execute_batch("PRAGMA query_only = ON; BEGIN; SELECT count(*) FROM sqlite_master")
            .map_err(from)?;
        let page: u32 = source.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(from)?;
        let page = u64::from(page);
        let mut target = open(&self.path).map_err(to)?;
        target.execute_batch("PRAGMA synchronous = OFF").map_err(to)?;
        target.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(())).map_err(to)?;
        let backup = Backup::new(&source, &mut target).map_err(to)?;
        let pages = i32::try_from(PIECE / page.max(512)).unwrap_or(1);
        let mut clock = Clock::start(pace.rate);
        loop {
            let step = backup.step(pages).map_err(to)?;
            let progress = backup.progress();
            let count = |pages: i32| u64::try_from(pages).unwrap_or(0) * page;
            let total = count(progress.pagecount);
            let done = total.saturating_sub(count(progress.remaining));
            if (pace.report)(Progress { done, total }).is_break() {
                return Err(CopyError::Stopped);
            }
            match step {
                StepResult::Done => break,
                StepResult::More => {
                    clock.wait(done, fs::metadata(beside(database, "-wal")).map_or(0, |m| m.len()))
                }
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
        drop(backup);
        target.close().map_err(|(_, error)| to(error))?;
        Ok(())
    }

    /// Copies a file that no process has open.
    ///
    /// # Errors
    /// Fails if reading or writing fails.
    pub(super) fn fill_from_file(
        &mut self,
        source: &Path,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), CopyError> {
        let from = |error| CopyError::Io(source.to_owned(), error);
        let mut reader = File::open(source).map_err(from)?;
        let total = reader.metadata().map_err(from)?.len();
        let (mut done, mut piece) = (0, vec![0; PIECE as usize]);
        loop {
            let count = reader.read(&mut piece).map_err(from)?;
            let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { return Ok(()) };
            self.file.write_all(read).map_err(|error| CopyError::Io(self.path.clone(), error))?;
            done += count as u64;
            report(Progress { done, total });
        }
    }

    /// Checks that SQLite finds the copy intact, and that it is a database of Tollgate.
    ///
    /// # Errors
    /// Fails with the damage, or if it is another program's database.
    pub fn check(&self) -> Result<(), CopyError> {
        let failed = |error| CopyError::Sqlite(self.path.clone(), error);
        let connection = open(&self.path).map_err(failed)?;
        let found: String =
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if found != "ok" {
            return Err(CopyError::Damaged(self.path.clone(), found));
        }
        let tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table'
                      AND name IN ('users', 'chats', 'ledger_entries', 'compatibility', '__diesel_schema_migrations')";
        match connection.query_row(tables, [], |row| row.get::<_, i32>(0)).map_err(failed)? {
            5 => Ok(()),
            _ => Err(CopyError::Foreign(self.path.clone())),
        }
    }

    /// Opens the whole copy to read it, without a file beside it. Nobody may change it meanwhile.
    ///
    /// # Errors
    /// Fails if the copy cannot be opened.
    pub fn reader(&self) -> Result<DbConnection, CopyError> {
        let failed = |error| CopyError::Io(self.path.clone(), io::Error::other(error));
        let uri = DatabaseUrl::sqlite_uri(&self.path).replace("?mode=rw", "?mode=ro&immutable=1");
        Ok(DbConnection::Sqlite(SqliteConnection::establish(&uri).map_err(failed)?))
    }

    /// Gives the copy its own generation and makes it a single file without a log, on the disk.
    /// Returns the generation.
    ///
    /// # Errors
    /// Fails if writing fails.
    pub(super) fn seal(&mut self) -> Result<i32, CopyError> {
        let failed = |error| CopyError::Sqlite(self.path.clone(), error);
        let generation = fresh();
        let connection = open(&self.path).map_err(failed)?;
        // Set the journal mode here. A start would need a journal to change it, and would leave it
        // behind if it were killed.
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).map_err(failed)?;
        connection.execute_batch(&format!("PRAGMA user_version = {generation}")).map_err(failed)?;
        connection.close().map_err(|(_, error)| failed(error))?;
        remove_beside(&self.path);
        self.file.sync_all().map_err(|error| CopyError::Io(self.path.clone(), error))?;
        Ok(generation)
    }

    /// Gives the copy its real name.
    ///
    /// # Errors
    /// Fails if writing fails.
    pub fn finish(mut self) -> Result<(), CopyError> {
        self.seal()?;
        self.rename()
    }

    pub(super) fn rename(&mut self) -> Result<(), CopyError> {
        let failed = |error| CopyError::Io(self.target.clone(), error);
        fs::rename(&self.path, &self.target).map_err(failed)?;
        self.is_finished = true;
        sync_folder(&self.target).map_err(failed)
    }
}

impl Drop for PartialCopy {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.path);
            remove_beside(&self.path);
        }
    }
}

/// Removes what an interrupted copy to `target` has left, unless another process is still writing
/// it. Returns whether there was something.
///
/// # Errors
/// Fails if it cannot be read or removed.
pub fn remove_leftover(target: &Path) -> io::Result<bool> {
    let path = beside(target, UNFINISHED);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    remove_beside(&path);
    fs::remove_file(&path)?;
    Ok(true)
}

/// Removes an unfinished copy that this process is still working on, because the process ends.
pub fn abandon(target: &Path) {
    let path = beside(target, UNFINISHED);
    let _ = fs::remove_file(&path);
    remove_beside(&path);
}

/// Returns the target of an unfinished copy with this name. `None` if the name is another file's.
pub fn target_of_unfinished(name: &str) -> Option<&str> {
    name.strip_suffix(UNFINISHED)
}

/// Limits the rate of a copy, so that it does not use the disk's whole throughput.
struct Clock {
    begun: Instant,
    rate: u64,
}

impl Clock {
    fn start(rate: u64) -> Clock {
        Clock { begun: Instant::now(), rate }
    }

    /// Waits until the time at which `done` bytes may have been copied.
    fn wait(&mut self, done: u64, log: u64) {
        if self.rate == 0 || done == 0 {
            return;
        }
        if log > LONGEST_LOG {
            log::warn!(
                "the log has grown to {} MiB during the copy: now copying at full speed",
                log / (1024 * 1024)
            );
            self.rate = 0;
            return;
        }
        let due = Duration::from_secs_f64(done as f64 / self.rate as f64);
        thread::sleep(due.saturating_sub(self.begun.elapsed()));
    }
}

pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(DatabaseUrl::sqlite_uri(path), flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn remove_beside(path: &Path) {
    for suffix in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(path, suffix));
    }
}
