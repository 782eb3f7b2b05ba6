//! Permits one `serve` for each SQLite file: a second one would have its own writer, and both would
//! only wait for each other. Other commands may run at the same time.
//!
//! There are two locks. One is on a file beside the database, found by its name. The other is on
//! the database itself, so that it holds under any name of the file: a hard link, or another mount
//! of its folder. Both are `flock`, which is independent of SQLite's `fcntl` locks. But closing the
//! database's descriptor would drop the `fcntl` locks, so the lock is released after the last
//! connection.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::file::{
    FileId, GenerationError, PlaceError, beside, check_before_open, check_place, check_presence, renew,
    tighten_mode,
};
use super::url::DatabaseUrl;

/// How long a server waits for the lock. Another command holds it briefly when it begins.
const WAIT: Duration = Duration::from_secs(2);

/// A server's lock on its database. Dropping it releases the lock, and so does the end of the
/// process in any way.
#[derive(Debug)]
pub struct ServeLock {
    /// The locked files, for SQLite.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    /// The path that SQLite uses: without symbolic links.
    path: PathBuf,
    /// `None` if the database is missing and a restore is about to create it.
    database: Option<Arc<File>>,
    _beside: File,
}

/// Why a server cannot lock its database. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeLockError {
    /// Another server has the lock.
    #[error(
        "another `tollgate serve` already serves {0}: stop it first, or give this one its own --database-url"
    )]
    Taken(PathBuf),
    /// The running server has another file of that name open.
    #[error(
        "a server runs on {0}, but on another file of that name: the file was replaced or moved under it. Restart the \
         server first"
    )]
    OtherFile(PathBuf),
    /// The file is missing and cannot be created.
    #[error("cannot create {0}: {1}; create its folder, and let the user that runs tollgate write there")]
    Create(PathBuf, io::Error),
    /// The file system does not lock the file.
    #[error("cannot lock {0}: {1}; SQLite needs a file system with locks, such as that of a local disk")]
    Io(PathBuf, io::Error),
    /// The path is not suitable for a database.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The files do not belong together.
    #[error(transparent)]
    Generation(#[from] GenerationError),
}

impl ServeLock {
    /// Creates an SQLite file if it is missing, checks its place, and takes the lock. On PostgreSQL
    /// many nodes may serve, so nothing is locked.
    ///
    /// # Errors
    /// Fails if another server has the lock, or the file must not be opened.
    pub fn take(url: &DatabaseUrl) -> Result<ServeLock, ServeLockError> {
        let Some(database) = url.sqlite_path() else { return Ok(ServeLock { held: None }) };
        check_presence(&real(database))?;
        url.create_if_missing().map_err(|error| ServeLockError::Create(database.to_owned(), error))?;
        check_place(database)?;
        tighten_mode(&real(database))?;
        Ok(ServeLock { held: Some(lock(database, WAIT)?) })
    }

    /// Takes the lock of an SQLite file. Returns `None` if a server holds it.
    ///
    /// # Errors
    /// As for [`ServeLock::take`], except for a lock that is already held.
    pub(super) fn take_if_free(url: &DatabaseUrl) -> Result<Option<ServeLock>, ServeLockError> {
        let Some(database) = url.sqlite_path() else { return Ok(None) };
        check_presence(&real(database))?;
        url.create_if_missing().map_err(|error| ServeLockError::Create(database.to_owned(), error))?;
        check_place(database)?;
        match lock(database, Duration::ZERO) {
            Ok(held) => Ok(Some(ServeLock { held: Some(held) })),
            Err(ServeLockError::Taken(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock for a restore, in any state of the database, even if it is missing.
    ///
    /// # Errors
    /// Fails if another server has the lock.
    pub fn take_to_restore(url: &DatabaseUrl) -> Result<ServeLock, ServeLockError> {
        let Some(database) = url.sqlite_path() else { return Ok(ServeLock { held: None }) };
        match check_place(database) {
            Ok(()) | Err(PlaceError::ManyNames(..)) => {}
            Err(PlaceError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(ServeLock { held: Some(lock(database, WAIT)?) })
    }

    /// Returns the path of the locked database, without symbolic links.
    pub(super) fn path(&self) -> Option<&Path> {
        self.held.as_ref().map(|held| held.path.as_path())
    }

    /// Returns whether some process holds the lock of an SQLite file, whose path has no symbolic
    /// links. Only the file beside it is opened: closing a descriptor of the database would drop
    /// SQLite's own locks.
    pub(super) fn is_held(database: &Path) -> bool {
        let Ok(file) = File::open(beside(database, "-lock")) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Checks, if a server runs on an SQLite file, that it has this same file open.
    ///
    /// # Errors
    /// Fails if it has another file open.
    pub(super) fn check_beside(url: &DatabaseUrl) -> Result<(), ServeLockError> {
        let Some(database) = url.sqlite_path() else { return Ok(()) };
        let path = beside(&real(database), "-lock");
        let Ok(file) = File::open(&path) else { return Ok(()) };
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return Ok(());
        }
        // The server may have ended, or started, between the two checks.
        let is_served = |_| {
            let Ok(database) = File::open(database) else { return true };
            let is_locked = matches!(database.try_lock_shared(), Err(TryLockError::WouldBlock));
            if !is_locked {
                thread::sleep(Duration::from_millis(50));
            }
            is_locked || !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
        };
        if (0..5).any(is_served) { Ok(()) } else { Err(ServeLockError::OtherFile(database.to_owned())) }
    }

    /// Returns the descriptor of the locked database. It must not be closed before the last
    /// connection.
    pub(super) fn database(&self) -> Option<Arc<File>> {
        self.held.as_ref()?.database.clone()
    }

    /// Checks that the log beside the file belongs to it, and gives the file a new generation.
    ///
    /// # Errors
    /// Fails with the files that do not belong together.
    pub(super) fn renew_generation(&self) -> Result<(), GenerationError> {
        let Some(held) = &self.held else { return Ok(()) };
        check_before_open(&held.path)?;
        renew(&held.path)
    }
}

fn real(database: &Path) -> PathBuf {
    database.canonicalize().unwrap_or_else(|_| database.to_owned())
}

fn lock(database: &Path, wait: Duration) -> Result<Held, ServeLockError> {
    // Use the file's true name, so that a link to it is not a second database.
    let path = real(database);
    let name = beside(&path, "-lock");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| ServeLockError::Io(path, error)
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let _beside = options.open(&name).map_err(failed(&name))?;
    let until = Instant::now() + wait;
    lock_within(&_beside, &name, database, until)?;
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Held { path, database: None, _beside });
        }
        opened => opened.map_err(failed(&path))?,
    };
    lock_within(&file, &path, database, until)?;
    let locked = file.metadata().map_err(failed(&path))?;
    if FileId::of(database) != Some(FileId::from(&locked)) {
        return Err(ServeLockError::OtherFile(database.to_owned()));
    }
    Ok(Held { path, database: Some(Arc::new(file)), _beside })
}

fn lock_within(file: &File, path: &Path, database: &Path, until: Instant) -> Result<(), ServeLockError> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(20))
            }
            Err(TryLockError::WouldBlock) => return Err(ServeLockError::Taken(database.to_owned())),
            Err(TryLockError::Error(error)) => return Err(ServeLockError::Io(path.to_owned(), error)),
        }
    }
}
