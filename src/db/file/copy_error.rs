//! The errors of a backup or a restore.

use std::io;
use std::path::PathBuf;

use super::advise;

/// Why a database file cannot be copied. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// SQLite cannot read or write a file.
    #[error("{}", match .1.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => format!("there is no room for {}", .0.display()),
        _ => advise(.0, .1),
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
    /// The caller has ended the copy.
    #[error("the copy was stopped")]
    Stopped,
}
