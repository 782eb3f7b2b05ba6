//! The folder of the backups. It may be on a disk that is full, slow or gone, so nothing here runs
//! while a request waits.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::name::BackupName;
use crate::db::file::{is_same_file, remove_leftover, target_of_unfinished};
use crate::db::free_space;

/// A backup that is complete and was checked: others do not have such a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name, which says when it was begun.
    pub name: BackupName,
    /// Its size, in bytes.
    pub size: u64,
}

/// What was found in the folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The backups of this database, the latest first.
    pub(super) files: Vec<BackupFile>,
    /// The free space of the folder's disk, in bytes. `None` if the system does not tell.
    pub(super) free: Option<u64>,
    /// Whether the database is on the same disk.
    pub(super) shares_disk: bool,
}

/// Looks at the folder, and removes what interrupted backups have left.
///
/// # Errors
/// Fails with what is wrong with the folder and what to do.
pub(super) fn look(folder: &Path, mark: &str, database: &Path) -> Result<Found, String> {
    let failed = |error| explain(folder, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(text) = entry.file_name().into_string() else { continue };
        let unfinished = target_of_unfinished(&text).filter(|target| is_ours(target, mark));
        if let Some(target) = unfinished {
            if remove_leftover(&folder.join(target)).map_err(failed)? {
                log::info!("removed what an interrupted backup has left in {}", folder.display());
            }
            continue;
        }
        let Some(name) = BackupName::parse(&text, mark) else { continue };
        // Of the entry itself, not of what a symbolic link leads to.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() && !is_same_file(&entry.path(), database) {
            files.push(BackupFile { name, size: metadata.len() });
        }
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.name.begun_at));
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let shares_disk = device(folder).is_some_and(|own| device(database) == Some(own));
    Ok(Found { files, free: free_space(folder).ok(), shares_disk })
}

fn is_ours(name: &str, mark: &str) -> bool {
    BackupName::parse(name, mark).is_some()
}

fn explain(folder: &Path, error: &io::Error) -> String {
    let folder = folder.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no folder {folder}: create it (`mkdir -m 700 {folder}`), mount its disk, or change --backup-dir"
        ),
        io::ErrorKind::NotADirectory => {
            format!("{folder} is not a folder: --backup-dir takes the path of a folder")
        }
        io::ErrorKind::PermissionDenied => format!(
            "{folder} may not be read by the user that runs tollgate: give the folder to this user with `chown`"
        ),
        _ => format!("cannot read {folder}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const NAME: &str = "tollgate-20261202T031500Z-9f3a1c2b.db";

    #[test]
    fn only_files_with_names_of_this_database_are_backups() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let database = path("tollgate.db");
        for name in ["tollgate.db", "notes.txt", "tollgate-20261202T031501Z-00000000.db"] {
            fs::write(path(name), "x").unwrap();
        }
        fs::write(path(NAME), "abc").unwrap();
        fs::write(path("tollgate-20261203T031500Z-9f3a1c2b-manual.db"), "").unwrap();
        fs::create_dir(path("tollgate-20261204T031500Z-9f3a1c2b.db")).unwrap();
        symlink(path("notes.txt"), path("tollgate-20261205T031500Z-9f3a1c2b.db")).unwrap();
        fs::hard_link(&database, path("tollgate-20261206T031500Z-9f3a1c2b.db")).unwrap();
        let found = look(folder.path(), "9f3a1c2b", &database).unwrap();
        let shown: Vec<_> = found.files.iter().map(|file| (file.name.to_string(), file.size)).collect();
        let manual = "tollgate-20261203T031500Z-9f3a1c2b-manual.db".to_owned();
        assert_eq!(shown, [(manual, 0), (NAME.to_owned(), 3)]);
        assert!(found.shares_disk && found.free.is_some());
    }

    #[test]
    fn leftovers_of_our_own_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: String| folder.path().join(name);
        let others = ["tollgate-20261202T031500Z-00000000.db.part", "mine.db.part"];
        let own = ["", "-wal", "-shm", "-journal"].map(|suffix| path(format!("{NAME}.part{suffix}")));
        own.iter().for_each(|path| fs::write(path, "x").unwrap());
        others.iter().for_each(|name| fs::write(path((*name).to_owned()), "x").unwrap());
        look(folder.path(), "9f3a1c2b", Path::new("/none")).unwrap();
        assert!(own.iter().all(|path| !path.exists()));
        assert!(others.iter().all(|name| path((*name).to_owned()).exists()));
        // A process that still writes it has locked it.
        fs::write(&own[0], "x").unwrap();
        let held = fs::File::open(&own[0]).unwrap();
        held.lock().unwrap();
        look(folder.path(), "9f3a1c2b", Path::new("/none")).unwrap();
        assert!(own[0].exists());
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        let why = look(&missing, "9f3a1c2b", Path::new("/none")).unwrap_err();
        assert!(why.contains("mkdir -m 700") && why.contains("--backup-dir"), "{why}");
        fs::write(folder.path().join("file"), "").unwrap();
        let why = look(&folder.path().join("file"), "9f3a1c2b", Path::new("/none")).unwrap_err();
        assert!(why.contains("is not a folder"), "{why}");
    }
}
