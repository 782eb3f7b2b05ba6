//! The index's own file, on SQLite: `tollgate-index.db` beside `tollgate.db`.
//!
//! It may be missing, damaged, of another version, another database's, or older or newer than the
//! database. It is then deleted, and the follower fills a new one. The file is used only if
//!
//! - it names the database that it belongs to;
//! - each row that the follower has come to is still the same row (its *anchor*), so that neither
//!   database nor index was restored from another history;
//! - it has no end of a chat that the database does not have;
//! - nobody else has written it, and its log is its own ([`mod@pairing`]).
//!
//! The database is attached to the writer's connection, read-only. The index is attached to the
//! connections that read ([`IndexFile::attach`]), once the writer has opened it. While there is no
//! index, an empty one in memory takes its place: everything is then behind it.
//!
//! [`mod@pairing`]: super::pairing

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Integer;

use super::check::Checks;
use super::contents;
use super::pairing::{NOTE, Pair, Version, behind_link};
use super::state::{Attached, IndexState, Suspicion};
use crate::db::DbConnection;
use crate::db::file::{FileId, Ticket, beside, free_name, is_damage};
use crate::db::session::Session;
use crate::db::url::DatabaseUrl;
use crate::error::{Error, Result};

/// The files of an SQLite database: the file, its log and the log's index.
const FILES: [&str; 3] = ["", "-wal", "-shm"];
/// A log up to this size, in bytes, has at most a header and contains no changes.
const EMPTY_LOG: u64 = 32;
/// Pages of the log after which it is copied into the file. Each copying competes with the commits
/// of charges for the disk, so it is rare.
const CHECKPOINT_PAGES: i32 = 1_000;
/// How long readers rely on the last look at the file, in milliseconds.
const FRESH: u64 = 20;

/// Permits one more connection to the database, or says why not.
pub(super) type Tickets<'a> = &'a dyn Fn() -> Result<Option<Ticket>, String>;

/// The index's file, shared by the connections that read it and the one that writes it.
pub(in crate::db) struct IndexFile {
    /// The database's file.
    database: PathBuf,
    /// The index's file, without symbolic links.
    path: PathBuf,
    state: Arc<IndexState>,
    checks: Checks,
    /// What the writer opened last.
    opened: Mutex<Option<Opened>>,
    born: Instant,
    /// When a reader last looked at the file, in milliseconds after `born`.
    looked_at: AtomicU64,
}

/// The files that the writer has opened.
#[derive(Clone, Copy)]
struct Opened {
    files: [Option<FileId>; 3],
    pair: Pair,
}

/// The result of `PRAGMA wal_checkpoint`.
#[derive(QueryableByName)]
struct Checkpoint {
    /// Whether something prevented it.
    #[diesel(sql_type = Integer)]
    busy: i32,
    /// The pages in the log.
    #[diesel(sql_type = Integer)]
    log: i32,
}

impl IndexFile {
    /// The index of the database in this file, whose path has no symbolic links.
    pub(in crate::db) fn beside(database: &Path) -> IndexFile {
        IndexFile {
            database: database.to_owned(),
            path: behind_link(index_path(database)),
            state: Arc::default(),
            checks: Checks::default(),
            opened: Mutex::new(None),
            born: Instant::now(),
            looked_at: AtomicU64::new(0),
        }
    }

    /// Returns what the connections share of the file.
    pub(in crate::db) fn state(&self) -> &Arc<IndexState> {
        &self.state
    }

    /// Attaches the index to a connection that only reads: the file that the writer has opened, or
    /// an empty index.
    pub(in crate::db) fn attach(&self, conn: &mut SqliteConnection) -> QueryResult<Attached> {
        let epoch = self.state.epoch();
        let mut is_file = self.state.is_usable();
        if is_file && let Err(why) = self.try_attach(conn) {
            log::debug!("{}: {why}", self.path.display());
            self.state.suspect(Suspicion::Replaced);
            is_file = false;
        }
        if !is_file {
            contents::attach_empty(conn)?;
        }
        contents::create_views(conn)?;
        Ok(Attached { epoch, is_file })
    }

    fn try_attach(&self, conn: &mut SqliteConnection) -> Result<(), String> {
        contents::attach_file(conn, &self.path)?;
        // It may have been replaced after the writer had opened it.
        if self.is_unchanged() {
            return Ok(());
        }
        contents::detach(conn);
        Err("it is not the file that was opened".to_owned())
    }

    /// Looks whether somebody has replaced or changed the file, unless that was done a few
    /// milliseconds ago. Then no connection reads it before the writer has looked at it.
    pub(in crate::db) fn check_lately(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now.saturating_sub(self.looked_at.load(Ordering::Acquire)) <= FRESH {
            return;
        }
        self.looked_at.store(now, Ordering::Release);
        if self.state.is_usable() && !self.is_unchanged() {
            self.state.suspect(Suspicion::Replaced);
        }
    }

    /// Returns whether the file is the one that the writer opened, and nobody else has written it.
    fn is_unchanged(&self) -> bool {
        let (Some(opened), Some(found)) = (*self.lock(), Version::of(&self.path)) else { return false };
        if opened.pair.file.fits(found) {
            return true;
        }
        // Another process of this database may have copied the log into it.
        let noted = Pair::read(&self.path).map(|noted| noted.file).filter(|noted| noted.fits(found));
        let Some(noted) = noted.filter(|noted| noted.is_same_file(opened.pair.file)) else { return false };
        if let Some(now) = &mut *self.lock()
            && noted == found
            && now.pair == opened.pair
        {
            now.pair.file = found;
        }
        true
    }

    /// Returns whether the files are still those that were opened.
    fn is_same(&self) -> bool {
        let opened = *self.lock();
        opened.is_some_and(|opened| opened.files == self.files()) && self.is_unchanged()
    }

    /// Returns whether the files are still those that were opened, and no reader suspects them.
    pub(super) fn is_current(&self) -> bool {
        !self.state.is_suspect() && self.is_same()
    }

    /// Opens the index for writing, with the database attached. Deletes a file that cannot be used
    /// first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], with the reason.
    pub(super) fn open(&self, ticket: Tickets<'_>) -> Result<Session> {
        match self.open_or_replace(ticket).and_then(|session| self.check_companions(session)) {
            Ok(session) => {
                let opened = Pair::of(&self.path).map(|pair| Opened { files: self.files(), pair });
                let before = std::mem::replace(&mut *self.lock(), opened);
                if let Some(opened) = opened {
                    opened.pair.write(&self.path);
                }
                let files = |opened: Option<Opened>| opened.map(|opened| opened.files);
                // Connections that read these files need not connect again.
                if !self.state.is_usable() || files(before) != files(opened) {
                    self.state.note_opened();
                }
                Ok(session)
            }
            Err(why) => {
                let why = format!("the index {} cannot be opened: {why}", self.path.display());
                self.state.note_failed(&why);
                Err(Error::Unavailable(why))
            }
        }
    }

    /// Checks that the log is there. Another process that deletes the index may have deleted a log
    /// that was just made, and what is written into that would be lost.
    fn check_companions(&self, session: Session) -> Result<Session, String> {
        match self.files() {
            [Some(_), Some(_), Some(_)] => Ok(session),
            _ => Err("another process is deleting it".to_owned()),
        }
    }

    fn open_or_replace(&self, ticket: Tickets<'_>) -> Result<Session, String> {
        self.check_owner()?;
        if let Some(why) = self.distrust() {
            self.discard(why)?;
        }
        match self.try_open(ticket) {
            Ok((session, None)) => return Ok(session),
            Ok((session, Some(why))) => {
                drop(session);
                self.discard(&why)?;
            }
            // A disk that is full or read-only is no reason to delete it.
            Err(why) if is_damage(&why) => self.discard(&why)?,
            Err(why) => return Err(why),
        }
        match self.try_open(ticket)? {
            (session, None) => Ok(session),
            (_, Some(why)) => Err(why),
        }
    }

    /// Checks that the file is an index, before anything is done to it: another program's database
    /// may have this name. A file that nobody can read is moved away.
    fn check_owner(&self) -> Result<(), String> {
        let Some(found) = Version::of(&self.path) else { return Ok(()) };
        if self.lock().is_some_and(|opened| opened.pair.file.is_same_file(found)) {
            return Ok(());
        }
        // The log may be another file's, so the first look is without it. But a file that was made
        // a moment ago may have nothing yet.
        let looks = [Some("?mode=ro&immutable=1"), self.has_log().then_some("?mode=ro")];
        for mode in looks.into_iter().flatten() {
            let uri = DatabaseUrl::sqlite_uri(&self.path).replace("?mode=rw", mode);
            let is_other =
                SqliteConnection::establish(&uri).map_err(|error| error.to_string()).and_then(|mut conn| {
                    contents::is_of_another_program(&mut conn).map_err(|error| error.to_string())
                });
            match is_other {
                Ok(false) => {}
                Ok(true) => {
                    return Err("it is another program's file: give one of the two another name".to_owned());
                }
                Err(why) if is_damage(&why) => return self.put_aside(&why),
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    fn put_aside(&self, why: &str) -> Result<(), String> {
        let kept = free_name(&self.path, "-damaged");
        for suffix in FILES {
            match fs::rename(beside(&self.path, suffix), beside(&kept, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("{why}, and it cannot be moved away: {error}"));
                }
                _ => {}
            }
        }
        log::warn!("{} was no index ({why}): it is now {}", self.path.display(), kept.display());
        Ok(())
    }

    /// Returns why the file and its log cannot be trusted, if so. Call it before SQLite opens them.
    fn distrust(&self) -> Option<&'static str> {
        let found = Pair::of(&self.path)?;
        if self.state.is_wrong() {
            return Some("it names rows that are not what it says");
        }
        let opened = *self.lock();
        let opened = opened.filter(|opened| opened.pair.file.is_same_file(found.file));
        if opened.is_some() && !self.is_unchanged() {
            return Some("another program has written it");
        }
        match opened {
            Some(opened) if opened.files[1].is_some() => {
                (opened.files != self.files()).then_some("its log was replaced")
            }
            // It is opened for the first time, or again after it was closed without a log.
            _ => {
                let is_noted = || Pair::read(&self.path).is_some_and(|noted| noted.fits(found));
                (self.has_log() && !is_noted()).then_some("its log may be that of another file")
            }
        }
    }

    fn has_log(&self) -> bool {
        fs::metadata(beside(&self.path, "-wal")).is_ok_and(|log| log.len() > EMPTY_LOG)
    }

    /// Opens the file. Returns why it cannot be used, if so.
    fn try_open(&self, ticket: Tickets<'_>) -> Result<(Session, Option<String>), String> {
        self.create_if_missing().map_err(|error| error.to_string())?;
        let text = |error: DieselError| error.to_string();
        // On an error the connection is dropped first, so that it counts as open until then.
        let ticket = ticket()?;
        let mut conn = SqliteConnection::establish(&DatabaseUrl::sqlite_uri(&self.path))
            .map_err(|error| error.to_string())?;
        for pragma in [
            "busy_timeout = 5000",
            "journal_mode = WAL",
            // The last commits may be lost in a power cut: the follower then does them again.
            "synchronous = NORMAL",
            // See `note_commit`.
            "wal_autocheckpoint = 0",
            "cache_size = -2000",
            "temp_store = MEMORY",
            // Free parts of the file contain no words of an anonymised user.
            "secure_delete = ON",
        ] {
            conn.batch_execute(&format!("PRAGMA {pragma}")).map_err(text)?;
        }
        conn.batch_execute(&contents::attach_as("source", &self.database, "ro")).map_err(text)?;
        let mut why = contents::prepare(&mut conn).map_err(text)?;
        if why.is_none() && self.state.may_be_damaged() && !self.is_sound()? {
            why = Some("it is damaged".to_owned());
        }
        Ok((Session::new(DbConnection::Sqlite(conn), ticket), why))
    }

    /// Checks the whole index for damage.
    ///
    /// # Errors
    /// Fails with the reason why it could not be checked.
    pub(super) fn is_sound(&self) -> Result<bool, String> {
        let is_sound = self.checks.is_sound(&self.path)?;
        if is_sound {
            self.state.note_sound();
        }
        Ok(is_sound)
    }

    /// Ends a check that runs, so that the writer's thread can end.
    pub(super) fn end_checks(&self) {
        self.checks.close();
    }

    /// Looks after the log once a job is committed. SQLite would copy it into the file within a
    /// commit, but then nobody could tell afterwards who has written the file.
    pub(super) fn note_commit(&self, conn: &mut DbConnection) {
        let DbConnection::Sqlite(conn) = conn else { return };
        let found = Pair::of(&self.path).and_then(|pair| pair.log);
        self.update(|pair| pair.log = found);
        match checkpoint(conn, "NOOP") {
            Ok(Checkpoint { log, .. }) if log < CHECKPOINT_PAGES => {}
            // What somebody else has written since the job began must not count as our own.
            Ok(_) if !self.is_same() => {}
            Ok(_) => {
                if let Err(error) = self.copy_log(conn, "PASSIVE") {
                    log::debug!("the log of {} cannot be copied: {error}", self.path.display());
                }
            }
            Err(error) => log::debug!("{}: {error}", self.path.display()),
        }
    }

    /// Copies the log into the file and empties it. Returns whether it is empty.
    pub(super) fn empty_log(&self, conn: &mut DbConnection) -> QueryResult<bool> {
        let DbConnection::Sqlite(conn) = conn else { return Ok(true) };
        self.copy_log(conn, "TRUNCATE")
    }

    fn copy_log(&self, conn: &mut SqliteConnection, mode: &str) -> QueryResult<bool> {
        self.update(|pair| pair.file = pair.file.in_change());
        let outcome = checkpoint(conn, mode);
        let found = Pair::of(&self.path);
        self.update(|pair| *pair = found.unwrap_or(*pair));
        outcome.map(|done| done.busy == 0)
    }

    /// Changes what is known of the pair of files, and the note.
    fn update(&self, change: impl FnOnce(&mut Pair)) {
        let changed = {
            let mut opened = self.lock();
            let Some(opened) = &mut *opened else { return };
            let before = opened.pair;
            change(&mut opened.pair);
            (opened.pair != before).then_some(opened.pair)
        };
        if let Some(pair) = changed {
            pair.write(&self.path);
        }
    }

    /// Closes the writer's connection. If it is the last one, SQLite copies the log into the file
    /// and removes it.
    pub(super) fn close(&self, session: Session) {
        if !self.is_same() {
            return drop(session);
        }
        self.update(|pair| pair.file = pair.file.in_change());
        drop(session);
        let (files, found) = (self.files(), Pair::of(&self.path));
        if files[1].is_some() {
            return self.update(|pair| *pair = found.unwrap_or(*pair));
        }
        *self.lock() = found.map(|pair| Opened { files, pair });
        // Without a log there is nothing that could be mixed up.
        let _ = fs::remove_file(beside(&self.path, NOTE));
    }

    /// Deletes the files.
    ///
    /// # Errors
    /// Fails with the file that cannot be deleted.
    pub(super) fn discard(&self, why: &str) -> Result<(), String> {
        log::warn!("the index {} is built anew: {why}", self.path.display());
        self.state.note_discarded();
        *self.lock() = None;
        // The file goes last. If another process makes a new one meanwhile, its log stays.
        for suffix in [NOTE].into_iter().chain(FILES.into_iter().rev()) {
            match fs::remove_file(beside(&self.path, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("{}{suffix} cannot be deleted: {error}", self.path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Creates the file readable by its owner only, unless it exists.
    fn create_if_missing(&self) -> io::Result<()> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => Ok(()),
            Ok(_) => {
                // Another process may open it as soon as there is something in its log.
                if let Some(file) = Version::of(&self.path) {
                    Pair::without_log(file.in_change()).write(&self.path);
                }
                Ok(())
            }
        }
    }

    fn files(&self) -> [Option<FileId>; 3] {
        FILES.map(|suffix| FileId::of(&beside(&self.path, suffix)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the path of the index of a database: `tollgate-index.db` for `tollgate.db`.
pub fn index_path(database: &Path) -> PathBuf {
    let mut name = database.file_stem().unwrap_or_default().to_owned();
    name.push("-index");
    if let Some(extension) = database.extension() {
        name.push(".");
        name.push(extension);
    }
    database.with_file_name(name)
}

/// Attaches the index of a database to a connection to the database: its tables, as `idx`, and the
/// views `user_chats` and `user_entries`. If there is none, they are empty.
///
/// # Errors
/// Fails if an index is attached already.
pub fn attach_index(conn: &mut SqliteConnection, database: &Path) -> QueryResult<()> {
    let path = index_path(database);
    if !path.exists() || contents::attach_file(conn, &path).is_err() {
        contents::attach_empty(conn)?;
    }
    contents::create_views(conn)
}

fn checkpoint(conn: &mut SqliteConnection, mode: &str) -> QueryResult<Checkpoint> {
    diesel::sql_query(format!("PRAGMA main.wal_checkpoint({mode})")).get_result(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_named_after_the_database() {
        let named = |path: &str| index_path(Path::new(path)).to_string_lossy().into_owned();
        assert_eq!(named("/var/lib/tollgate.db"), "/var/lib/tollgate-index.db");
        assert_eq!(named("chats"), "chats-index");
        assert_eq!(named("a.b/c.sqlite3"), "a.b/c-index.sqlite3");
    }
}
