//! Why a backup or a restore fails.

use std::io;
use std::path::PathBuf;

use super::advise;

/// Why a database file cannot be copied. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("{}", match .1.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => format!("there is no room for {}", .0.display()),
        _ => advise(.0, .1),
    })]
    Sqlite(PathBuf, rusqlite::Error),
    #[error("{0} is the database itself, or one of the files beside it: give another name")]
    Itself(PathBuf),
    #[error("{0} is not a regular file: give the path of a file")]
    NotAFile(PathBuf),
    #[error("{0} is there already: give another name, or --overwrite")]
    Exists(PathBuf),
    #[error("{0} is in use by a server, or by another `tollgate` that is writing it")]
    InUse(PathBuf),
    #[error("{0} is not an SQLite database")]
    NotADatabase(PathBuf),
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, String),
    #[error(
        "{0} has a log beside it ({1}), so it is only a part of a database that somebody copied while it was in use: \
         take a copy that `tollgate backup` made"
    )]
    HasLog(PathBuf, PathBuf),
    #[error("{0} is not a database of Tollgate")]
    Foreign(PathBuf),
}
