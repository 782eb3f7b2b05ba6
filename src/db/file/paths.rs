//! Checks the paths that a database may be copied from and to.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::copy_error::CopyError;
use super::generation::{MAGIC, read_header};
use super::{FileId, beside};
use crate::db::index::index_path;

/// The suffixes of files that SQLite or Tollgate may have beside a database.
const BESIDE: [&str; 6] = ["-wal", "-shm", "-journal", "-lock", "-generation", "-restoring"];

/// Checks that the file to restore is a single file that no process has open.
pub(super) fn check_source(source: &Path, database: &Path) -> Result<(), CopyError> {
    let metadata = fs::metadata(source).map_err(|error| CopyError::Io(source.to_owned(), error))?;
    if !metadata.is_file() {
        return Err(CopyError::NotAFile(source.to_owned()));
    }
    refuse_own_files(database, source)?;
    for log in ["-wal", "-journal"].map(|suffix| beside(source, suffix)) {
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(CopyError::HasLog(source.to_owned(), log));
        }
    }
    refuse_in_use(source)?;
    let header = read_header(source).map_err(|error| CopyError::Io(source.to_owned(), error))?;
    if header.starts_with(MAGIC) { Ok(()) } else { Err(CopyError::NotADatabase(source.to_owned())) }
}

/// Rejects a path that is the database or one of its own files.
pub(super) fn refuse_own_files(database: &Path, path: &Path) -> Result<(), CopyError> {
    // SQLite keeps its files beside the target of a symbolic link.
    let real = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let index = index_path(&real);
    let mut own = [database, real.as_path(), index.as_path()].into_iter().flat_map(|database| {
        BESIDE.iter().map(move |suffix| beside(database, suffix)).chain([database.to_owned()])
    });
    let (id, name) = (FileId::of(path), absolute(path));
    let is_own = |own: PathBuf| absolute(&own) == name || (id.is_some() && FileId::of(&own) == id);
    if own.any(is_own) { Err(CopyError::Itself(path.to_owned())) } else { Ok(()) }
}

/// Returns the path with the true name of its folder.
fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    path.file_name().map_or(folder.clone(), |name| folder.join(name))
}

/// Rejects a file that a server has open, or that is being written.
pub(super) fn refuse_in_use(path: &Path) -> Result<(), CopyError> {
    let file = File::open(path).map_err(|error| CopyError::Io(path.to_owned(), error))?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(CopyError::InUse(path.to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::{CopyError, refuse_own_files};

    #[test]
    fn files_beside_what_a_link_leads_to_belong_to_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        fs::create_dir(&real).unwrap();
        File::create(real.join("a.db")).unwrap();
        let link = folder.path().join("link.db");
        symlink(real.join("a.db"), &link).unwrap();
        for name in ["a.db", "a.db-wal", "a.db-generation", "a-index.db", "a-index.db-wal"] {
            let refused = refuse_own_files(&link, &real.join(name));
            assert!(matches!(refused, Err(CopyError::Itself(_))), "{name}: {refused:?}");
        }
        assert!(refuse_own_files(&link, &folder.path().join("link.db-wal")).is_err());
        refuse_own_files(&link, &real.join("b.db")).unwrap();
    }
}
