//! The faults that the files can have while a server runs.

use std::fmt;

/// A fault of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::db) enum Fault {
    /// The name belongs to another file.
    Replaced,
    /// No file has the name, and the original file was deleted.
    Deleted,
    /// Another process wrote into the file: it copied another file over it, or truncated it.
    Overwritten,
    /// The log or its index was deleted, moved or replaced.
    LogGone,
    /// The log was truncated or overwritten.
    LogDamaged,
}

impl Fault {
    /// Returns whether SQLite must no longer copy the log into the file, because one of the two is
    /// not the original.
    pub(super) fn forbids_copying(self) -> bool {
        matches!(self, Fault::Overwritten | Fault::LogDamaged)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Replaced => "is not the file that this server opened: another one was put in its place",
            Fault::Deleted => "was deleted while it was served",
            Fault::Overwritten => "was overwritten or cut short while it was served",
            Fault::LogGone => {
                "has lost its log: FILE-wal or FILE-shm was deleted or replaced while it was served"
            }
            Fault::LogDamaged => {
                "has a damaged log: FILE-wal was cut short or overwritten while it was served"
            }
        })
    }
}
