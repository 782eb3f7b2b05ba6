//! One `serve` for an SQLite file: a second one would have a writer of its own, and both would only wait for each
//! other. Other commands may run beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::url::DatabaseUrl;

/// Held as long as it lives. The lock dies with the process, however that ends.
#[derive(Debug)]
pub struct ServeLock {
    _file: Option<File>,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeLockError {
    #[error(
        "another `tollgate serve` already serves {0}: stop it first, or give this one its own --database-url"
    )]
    Taken(PathBuf),
    #[error("cannot lock {0}: {1}")]
    Io(PathBuf, io::Error),
}

impl ServeLock {
    /// Takes the lock, on a file beside the database: closing any file handle of the database itself would drop
    /// the locks that SQLite holds on it. On PostgreSQL many nodes may serve, and there is nothing to lock.
    pub fn take(url: &DatabaseUrl) -> Result<ServeLock, ServeLockError> {
        let DatabaseUrl::Sqlite(database) = url else { return Ok(ServeLock { _file: None }) };
        // By its true name, so that a link to it is no second database.
        let mut path = database.canonicalize().unwrap_or_else(|_| database.clone()).into_os_string();
        path.push("-lock");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| ServeLockError::Io(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(ServeLock { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(ServeLockError::Taken(database.clone())),
            Err(TryLockError::Error(error)) => Err(ServeLockError::Io(path, error)),
        }
    }
}
