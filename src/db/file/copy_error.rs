//! The errors of a backup or a restore.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ffi;

use super::advise;

/// Why a database file cannot be copied. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file cannot be read or written.
    #[error("{}", match is_full(.1) {
        true => no_room(.0),
        false => format!("{}: {}", .0.display(), .1),
    })]
    Io(PathBuf, io::Error),
    /// SQLite cannot read or write a file.
    #[error("{}", match is_full_for_sqlite(.1) {
        true => no_room(.0),
        false => advise(.0, .1),
    })]
    Sqlite(PathBuf, rusqlite::Error),
    /// The target is the database or one of its own files.
    #[error("{0} is the database itself, or one of the files beside it: give another name")]
    Itself(PathBuf),
    /// The source is a folder or another kind of object.
    #[error("{0} is not a regular file: give the path of a file")]
    NotAFile(PathBuf),
    /// The target exists already.
    #[error("{0} already exists: give another name, or use --overwrite")]
    Exists(PathBuf),
    /// Another process has the file open.
    #[error("{0} is in use by a server, or by another `tollgate` that is writing it")]
    InUse(PathBuf),
    /// The source is not an SQLite file.
    #[error("{0} is not an SQLite database")]
    NotADatabase(PathBuf),
    /// The source is damaged. Contains SQLite's description.
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, String),
    /// The source has a log beside it.
    #[error(
        "{0} has a log beside it ({1}), so it is only a part of a database that somebody copied while it was in use: \
         take a copy that `tollgate backup` made"
    )]
    HasLog(PathBuf, PathBuf),
    /// The source is another program's database.
    #[error("{0} is not a database of Tollgate")]
    Foreign(PathBuf),
    /// The database's file was replaced while it was copied. Contains what happened.
    #[error("{0}")]
    Replaced(String),
    /// The caller has ended the copy.
    #[error("the copy was stopped")]
    Stopped,
}

impl CopyError {
    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            CopyError::Io(_, error) => is_full(error),
            CopyError::Sqlite(_, error) => is_full_for_sqlite(error),
            _ => false,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// SQLite has a code of its own for a full disk, but not when it makes the index of a log larger.
fn is_full_for_sqlite(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR_SHMSIZE))
}

fn no_room(path: &Path) -> String {
    format!("there is no room for {}: make room, or use another disk", path.display())
}
