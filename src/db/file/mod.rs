//! The SQLite file and the files beside it, which operators move, replace, copy, delete and
//! restore.
//!
//! - [`place`]: checks that a path is a suitable place for a database: one name, one mount, a file
//!   system with locks, mode 0600;
//! - [`generation`]: checks which log belongs to which file, before SQLite opens either;
//!   [`sidecar`] stores it;
//! - [`guard`]: checks that the files are still those that were opened, while the server runs;
//! - [`fault`]: the faults that they can have;
//! - [`header`]: checks of the file itself, for a server;
//! - [`connections`]: counts the open connections;
//! - [`log_check`]: checks that the log still has what was committed to it;
//! - [`turn`]: lets the writer and the keeper of the log take turns;
//! - [`keep`]: saves data that only this process still has open;
//! - [`copy`]: copies a database that is in use; [`paths`]: checks the paths that it copies from
//!   and to;
//! - [`restore`]: replaces the database with another file.
//!
//! SQLite locks the file with `fcntl`, and a process loses those locks when it closes *any*
//! descriptor of the file. So the only descriptor that we open ourselves is that of
//! [`ServeLock`](super::ServeLock), and it is closed last.

mod connections;
mod copy;
mod copy_error;
mod fault;
mod generation;
mod guard;
mod header;
mod keep;
mod log_check;
mod paths;
mod place;
mod restore;
mod sidecar;
mod turn;

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use copy::{Pace, PartialCopy, Progress, abandon, remove_leftover, target_of_unfinished};
pub use copy_error::CopyError;
pub use generation::GenerationError;
pub use place::PlaceError;
pub use restore::{Before, RestoreError, copy_candidate, replace};

pub(super) use generation::{MAGIC, check_before_open, check_presence, read_header, renew};
pub(super) use guard::{Guard, Ticket, lengthen};
pub(super) use keep::{Rescue, close_last, follow};
pub(super) use place::{check_place, tighten_mode};

/// The identity of the file that a path names, or that a descriptor has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(path: &Path) -> Option<FileId> {
        fs::metadata(path).ok().map(|metadata| FileId::from(&metadata))
    }

    fn inode_of(path: &Path) -> Option<u64> {
        FileId::of(path).map(|id| id.inode)
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Returns the path of the file beside `database` whose name ends in `suffix`, such as
/// `tollgate.db-wal`.
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns whether two paths name the same file, perhaps by two names (hard links).
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    FileId::of(one).is_some_and(|id| FileId::of(other) == Some(id))
}

/// Makes the names in the folder of `path` durable: a file that was created or renamed there
/// survives a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Returns a free name beside the database for a file to keep, with the time in UTC:
/// `tollgate.db-saved-20260131-235959`.
pub(super) fn free_name(database: &Path, suffix: &str) -> PathBuf {
    let stamp = crate::clock::now().format("%Y%m%d-%H%M%S");
    let mut name = beside(database, &format!("{suffix}-{stamp}"));
    let mut number = 1;
    while fs::symlink_metadata(&name).is_ok() {
        number += 1;
        name = beside(database, &format!("{suffix}-{stamp}-{number}"));
    }
    name
}

/// Returns whether SQLite reports that the file is damaged.
pub(super) fn is_damage(error: &str) -> bool {
    error.contains("malformed") || error.contains("not a database")
}

/// Adds the name of the file to an SQLite error and, if the file is damaged, advice.
pub(super) fn advise(database: &Path, error: &impl std::fmt::Display) -> String {
    let (file, error) = (database.display(), error.to_string());
    if error.contains("malformed") {
        return format!(
            "{file} is damaged ({error}): stop the server, and put a backup back with `tollgate restore FILE`, which keeps \
             the damaged file; `tollgate verify` says what is wrong with it"
        );
    }
    if error.contains("not a database") {
        return format!(
            "{file} is not an SQLite database, or its beginning is damaged ({error}): check --database-url, or put a \
             backup back with `tollgate restore FILE`"
        );
    }
    format!("cannot open {file}: {error}")
}
