//! The SQLite file and the files beside it, as things that people move, replace, copy, delete and restore.
//!
//! - [`place`]: whether a path is a good place for a database: one name, one mount, a file system with locks, mode 0600;
//! - [`generation`]: which log belongs to which file, checked before SQLite opens either; [`sidecar`] stores it;
//! - [`guard`]: whether the files are still those that were opened, checked while the server runs;
//! - [`fault`]: what can have become of them;
//! - [`header`]: what a server sees of the file itself;
//! - [`connections`]: how many are open;
//! - [`log_check`]: whether the log still holds what was committed to it;
//! - [`keep`]: saving what only this process still has open;
//! - [`copy`]: copying a database that is in use; [`paths`]: from where, and to where;
//! - [`restore`]: putting another file in the database's place.
//!
//! SQLite locks the file with `fcntl`, and a process loses those locks when it closes *any* descriptor of the file. So
//! the only descriptor that we open ourselves is that of [`ServeLock`](super::ServeLock), which is closed last.

mod connections;
mod copy;
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

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use copy::{CopyError, Pace, PartialCopy, Progress};
pub use generation::GenerationError;
pub use place::PlaceError;
pub use restore::{Before, RestoreError, copy_candidate, replace};

pub(super) use connections::Ticket;
pub(super) use generation::{check_before_open, check_presence, renew};
pub(super) use guard::Guard;
pub(super) use keep::{Rescue, close_last, follow};
pub(super) use place::{check_place, tighten_mode};

/// Which file a path names, or a descriptor has open.
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

/// `tollgate.db-wal` and the like: the file beside `database` whose name ends in `suffix`.
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the names in the folder of `path` durable: a file that was made or renamed there stays so after a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A name for something that is kept beside the database, with the time in UTC: `tollgate.db-saved-20260131-235959`.
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

/// Whether SQLite says that the file is not what it should be.
pub(super) fn is_damage(error: &str) -> bool {
    error.contains("malformed") || error.contains("not a database")
}

/// An error of SQLite with the name of the file and, where the file is damaged, with what to do.
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
