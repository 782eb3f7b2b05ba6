//! Checks that a path is a suitable place for an SQLite database.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statfs, statx};

use super::beside;

/// Why a path is not a suitable place for a database. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The path cannot be read.
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, io::Error),
    /// The path is a folder or another kind of object. Contains its kind.
    #[error("{0} is {1}, not a file: --database-url takes the path of the database file")]
    NotAFile(PathBuf, &'static str),
    /// The file has several names. Contains their number.
    #[error(
        "{0} has {1} names (hard links). SQLite keeps its log beside the name that it is opened by, so two names would \
         mean two logs and a damaged database: remove the other names (find them with `find -samefile {0}`), or make a \
         copy with `tollgate backup`"
    )]
    ManyNames(PathBuf, u64),
    /// The path is a mount of a single file.
    #[error(
        "{0} is a mount of a single file. SQLite keeps its log beside the file, and that log would not be in the mount: \
         mount the folder that holds the database instead"
    )]
    MountedFile(PathBuf),
    /// The file system is a network file system. Contains its name.
    #[error(
        "{0} is on a network file system ({1}), where SQLite's log and locks do not work: put the database on a local \
         disk, or use PostgreSQL"
    )]
    NetworkFileSystem(PathBuf, &'static str),
    /// Others may read or change the file, and its mode cannot be changed. Contains the mode.
    #[error(
        "{0} has mode {1:o} and belongs to somebody else, so others may read or change it: run `chmod 600 {0}` as its \
         owner, or give it to the user that runs tollgate with `chown`"
    )]
    Open(PathBuf, u32),
}

/// File systems without the shared memory and the locks that SQLite's log needs, by their Linux
/// type numbers.
const NETWORK: [(i64, &str); 4] =
    [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB"), (0x517B, "SMB")];

/// Checks an existing database's path before it is opened.
///
/// # Errors
/// Fails with the reason why SQLite must not open it there.
pub(in crate::db) fn check_place(path: &Path) -> Result<(), PlaceError> {
    let failed = |error: io::Error| PlaceError::Io(path.to_owned(), error);
    let metadata = fs::metadata(path).map_err(failed)?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a folder"
        } else if kind.is_block_device() || kind.is_char_device() {
            "a device"
        } else {
            "a pipe or a socket"
        };
        return Err(PlaceError::NotAFile(path.to_owned(), what));
    }
    if metadata.nlink() > 1 {
        return Err(PlaceError::ManyNames(path.to_owned(), metadata.nlink()));
    }
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS);
    if status.is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)) {
        return Err(PlaceError::MountedFile(path.to_owned()));
    }
    let system = statfs(path).map_err(|error| failed(error.into()))?;
    let number = system.f_type;
    match NETWORK.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => Err(PlaceError::NetworkFileSystem(path.to_owned(), name)),
        None => Ok(()),
    }
}

/// Removes all rights on the database and the files beside it, except those of the owner: a backup
/// that was restored with `cp` may be readable by all users.
///
/// # Errors
/// Fails if the mode cannot be changed, because the file belongs to another user.
pub(in crate::db) fn tighten_mode(database: &Path) -> Result<(), PlaceError> {
    for path in [database.to_owned(), beside(database, "-wal"), beside(database, "-shm")] {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 == 0 {
            continue;
        }
        if fs::set_permissions(&path, Permissions::from_mode(mode & 0o700)).is_err() {
            return Err(PlaceError::Open(path, mode));
        }
        log::warn!("{} had mode {mode:o}: it is {:o} now, for its owner alone", path.display(), mode & 0o700);
    }
    Ok(())
}
