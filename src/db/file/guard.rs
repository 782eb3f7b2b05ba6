//! Checks that the files are still those that were opened.
//!
//! SQLite keeps writing into a file that was moved, deleted or replaced, and into a log that no
//! longer has a name. Those chats would be lost at the next start. So the names, the header and the
//! log are checked before each batch, again between its COMMIT and its responses, and several times
//! a second while nothing is written.
//!
//! A file that is only missing may come back. All other faults last until a restart.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::connections::Connections;
use super::fault::Fault;
use super::generation::EMPTY_LOG;
use super::header::{Held, Size};
use super::log_check::{LogEnd, check_on};
use super::sidecar::Sidecar;
use super::turn::Turns;
use super::{FileId, beside};
use crate::db::DbConnection;

/// The greatest age, in milliseconds, of a check that is good enough for a read.
const FRESH: u64 = 20;
/// Writes zeros after the end of a log, `by` bytes, but not beyond `size` bytes in all. SQLite
/// takes no zeros for a frame. Returns whether the log has that size now.
///
/// The caller holds SQLite's write lock: otherwise the zeros could overwrite what is appended at
/// the same time.
///
/// # Errors
/// Fails if the disk is full.
pub(in crate::db) fn lengthen(log: &File, size: u64, by: usize) -> io::Result<bool> {
    let end = log.metadata()?.len();
    let missing = usize::try_from(size.saturating_sub(end)).unwrap_or(usize::MAX);
    log.write_all_at(&vec![0; by.min(missing)], end)?;
    Ok(missing <= by)
}

/// Watches one database while this process has it open.
pub(in crate::db) struct Guard {
    /// The path as given. If it is a symbolic link, its target may change.
    path: PathBuf,
    /// The path without symbolic links. SQLite keeps the log beside it.
    real: PathBuf,
    id: FileId,
    held: Option<Held>,
    log: OnceLock<Log>,
    state: Mutex<State>,
    faulty: AtomicBool,
    born: Instant,
    looked_at: AtomicU64,
    connections: Connections,
    turns: Turns,
}

struct Log {
    file: File,
    id: FileId,
    index: FileId,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    size: Size,
    log_end: LogEnd,
}

impl Guard {
    /// Watches a database. `held` is the descriptor of a server's lock. Returns `None` if `path`
    /// does not exist.
    pub(in crate::db) fn new(path: &Path, real: &Path, held: Option<Arc<File>>) -> Option<Guard> {
        let id = FileId::of(path)?;
        let held = held.map(|file| Held::new(file, real));
        Some(Guard {
            path: path.to_owned(),
            real: real.to_owned(),
            id,
            held,
            log: OnceLock::new(),
            state: Mutex::default(),
            faulty: AtomicBool::new(false),
            born: Instant::now(),
            looked_at: AtomicU64::new(0),
            connections: Connections::default(),
            turns: Turns::default(),
        })
    }

    pub(in crate::db) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the file when it was opened, without symbolic links. The log is beside
    /// it.
    pub(in crate::db) fn real(&self) -> &Path {
        &self.real
    }

    /// Permits one more connection.
    ///
    /// # Errors
    /// Fails with the reason why no connection is permitted.
    pub(in crate::db) fn ticket(self: &Arc<Guard>) -> Result<Ticket, String> {
        if !self.connections.add() {
            return Err(self.closing());
        }
        let ticket = Ticket(self.clone());
        self.check()?;
        Ok(ticket)
    }

    /// Returns the count of open connections.
    pub(in crate::db) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Returns the turns of the writer and the keeper of the log.
    pub(in crate::db) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Starts to watch the log that the first connection has opened.
    ///
    /// # Errors
    /// Fails if the log is already gone.
    pub(in crate::db) fn watch_log(&self) -> Result<(), String> {
        let (log, index) = (beside(&self.real, "-wal"), beside(&self.real, "-shm"));
        let opened = File::open(&log).and_then(|file| Ok((FileId::from(&file.metadata()?), file)));
        match (opened, FileId::of(&index)) {
            (Ok((id, file)), Some(index)) => {
                if self.held.is_some() {
                    self.note_files(id);
                }
                let _ = self.log.set(Log { file, id, index });
                Ok(())
            }
            (Err(error), _) => Err(format!("cannot read {}: {error}", log.display())),
            (_, None) => Err(format!("{} is missing", index.display())),
        }
    }

    /// Records which two files belong together, for a start after a crash.
    fn note_files(&self, log: FileId) {
        let noted = Sidecar::read(&self.real).and_then(|known| match known {
            Some(known) => Sidecar { files: Some((self.id.inode, log.inode)), ..known }.write(&self.real),
            None => Ok(()),
        });
        if let Err(error) = noted {
            log::warn!("cannot write {}-generation: {error}", self.real.display());
        }
    }

    /// Checks names, header and log.
    ///
    /// # Errors
    /// Fails with what is wrong and what to do.
    pub(in crate::db) fn check(&self) -> Result<(), String> {
        self.check_name()?;
        if !self.has_own_log() {
            // The folder may have been moved between the two checks.
            if let Err(error) = fs::metadata(&self.path) {
                return Err(self.missing(&error));
            }
            // SQLite removes the log together with the last connection.
            if self.connections.are_closed() {
                return Err(self.closing());
            }
            return Err(self.latch(Fault::LogGone));
        }
        self.looked_at.store(self.now(), Ordering::Release);
        Ok(())
    }

    /// Checks like [`Guard::check`], without the log.
    fn check_name(&self) -> Result<(), String> {
        if let Some(fault) = self.fault() {
            return Err(self.explain(fault));
        }
        match fs::metadata(&self.path) {
            Ok(metadata) if FileId::from(&metadata) == self.id => {}
            Ok(_) => return Err(self.latch(Fault::Replaced)),
            Err(_) if self.held.as_ref().is_some_and(|held| held.names() == 0) => {
                return Err(self.latch(Fault::Deleted));
            }
            Err(error) => return Err(self.missing(&error)),
        }
        if self.has_own_header() { Ok(()) } else { Err(self.latch(Fault::Overwritten)) }
    }

    /// Checks like [`Guard::check`], but accepts a check from a few milliseconds ago.
    pub(in crate::db) fn check_lately(&self) -> Result<(), String> {
        let age = self.now().saturating_sub(self.looked_at.load(Ordering::Acquire));
        if age <= FRESH && !self.faulty.load(Ordering::Acquire) { Ok(()) } else { self.check() }
    }

    /// Checks that the log has what was committed. Call it before callers get their responses, and
    /// before the log is copied.
    ///
    /// # Errors
    /// Fails with what is wrong and what to do.
    pub(in crate::db) fn check_log(&self, conn: &mut DbConnection) -> Result<(), String> {
        self.check()?;
        let Some(log) = self.log.get() else { return Ok(()) };
        let before = self.state().log_end;
        match check_on(conn, &log.file, before) {
            Ok(Some(end)) => {
                self.state().log_end = end;
                Ok(())
            }
            Ok(None) => Err(self.latch(Fault::LogDamaged)),
            Err(error) => Err(super::advise(&self.path, &error)),
        }
    }

    /// Returns the fault, which lasts until a restart.
    pub(in crate::db) fn fault(&self) -> Option<Fault> {
        if !self.faulty.load(Ordering::Acquire) {
            return None;
        }
        self.state().fault
    }

    /// Checks that the file alone is the whole database. Call it when all connections are closed.
    ///
    /// # Errors
    /// Fails with what else belongs to the database.
    pub(in crate::db) fn check_closed(&self) -> Result<(), String> {
        self.check_name()?;
        let log = beside(&self.real, "-wal");
        if fs::metadata(&log).map_or(0, |metadata| metadata.len()) == 0 {
            return Ok(());
        }
        Err(format!(
            "{file} alone is not the whole database: {log} belongs to it, as another program still reads the database, or \
             there was no room to copy the log. Nothing is lost: the next start puts them together. Until then, never copy \
             one without the other",
            file = self.path.display(),
            log = log.display()
        ))
    }

    /// Returns the number of names of the database's own file, and the name that the system knows.
    /// Returns `None` for a process that is not a server.
    pub(super) fn own_names(&self) -> Option<(u64, PathBuf)> {
        let held = self.held.as_ref()?;
        Some((held.names(), held.name()))
    }

    /// Returns whether the log and the index still have their names, or no file has those names.
    /// Then closing the last connection, which removes files by those names, removes none of
    /// another database.
    pub(super) fn names_no_other_log(&self) -> bool {
        let Some(log) = self.log.get() else { return true };
        let is_ours = |suffix: &str, own: FileId| {
            FileId::of(&beside(&self.real, suffix)).is_none_or(|found| found == own)
        };
        is_ours("-wal", log.id) && is_ours("-shm", log.index)
    }

    /// Returns whether our log's name belongs to another log that is not empty.
    pub(super) fn has_other_log(&self) -> bool {
        let Some(log) = self.log.get() else { return false };
        fs::metadata(beside(&self.real, "-wal"))
            .is_ok_and(|found| FileId::from(&found) != log.id && found.len() > EMPTY_LOG)
    }

    /// Returns the size of the log, in bytes.
    pub(in crate::db) fn log_size(&self) -> u64 {
        self.log.get().and_then(|log| log.file.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    /// Syncs the database's own file, if this process is a server. Another descriptor of it must
    /// not be opened, because closing it would drop SQLite's locks.
    pub(in crate::db) fn sync(&self) {
        if let Some(held) = &self.held {
            held.sync();
        }
    }

    /// Opens the log, to make it longer with [`lengthen`].
    ///
    /// # Errors
    /// Fails if the log cannot be opened, or its name belongs to another file.
    pub(in crate::db) fn open_log(&self) -> io::Result<File> {
        let file = OpenOptions::new().write(true).open(beside(&self.real, "-wal"))?;
        let id = FileId::from(&file.metadata()?);
        match self.log.get() {
            Some(log) if log.id == id => Ok(file),
            _ => Err(io::Error::other("it is another file")),
        }
    }

    /// Removes the log and the index if they are ours. Their contents must have been saved
    /// elsewhere.
    pub(super) fn remove_own_log(&self) {
        if self.names_no_other_log() {
            let _ = fs::remove_file(beside(&self.real, "-wal"));
            let _ = fs::remove_file(beside(&self.real, "-shm"));
        }
    }

    fn has_own_log(&self) -> bool {
        let Some(log) = self.log.get() else { return true };
        FileId::of(&beside(&self.real, "-wal")) == Some(log.id)
            && FileId::of(&beside(&self.real, "-shm")) == Some(log.index)
    }

    /// Returns whether the header is this server's, and neither the file nor the header has gone
    /// back in time.
    fn has_own_header(&self) -> bool {
        let Some(held) = &self.held else { return true };
        let before = self.state().size;
        let size = held.size_since(before);
        self.state().size = size.unwrap_or(before);
        size.is_some()
    }

    fn latch(&self, fault: Fault) -> String {
        let mut state = self.state();
        let first = state.fault.is_none();
        let fault = *state.fault.get_or_insert(fault);
        self.faulty.store(true, Ordering::Release);
        drop(state);
        let why = self.explain(fault);
        if first {
            log::error!("{why}");
        }
        why
    }

    fn missing(&self, error: &std::io::Error) -> String {
        format!("{} is gone ({error}): put the same file back, or stop the server", self.path.display())
    }

    fn closing(&self) -> String {
        format!("{} is being closed", self.path.display())
    }

    fn explain(&self, fault: Fault) -> String {
        format!(
            "{} {fault}. Nothing is read or written until a restart. To restore a backup: stop the server, run \
             `tollgate restore BACKUP`, start it",
            self.path.display()
        )
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection. While it exists, the log is in use.
pub(in crate::db) struct Ticket(Arc<Guard>);

impl Ticket {
    pub(in crate::db) fn guard(&self) -> &Guard {
        &self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.connections().remove();
    }
}
