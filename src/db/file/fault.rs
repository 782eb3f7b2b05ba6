//! What can become of the files under a running server.

use std::fmt;

/// What has become of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::db) enum Fault {
    /// Another file has the name.
    Replaced,
    /// No file has the name, and the one that had it is deleted.
    Deleted,
    /// Somebody wrote into the file: another file was copied over it, or it was cut short.
    Overwritten,
    /// The log or its index was deleted, moved or replaced.
    LogGone,
    /// The log was cut short or overwritten.
    LogDamaged,
}

impl Fault {
    /// Whether SQLite must not copy the log into the file any more: one of the two is not what it was.
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
