//! Replaces the database with another file.
//!
//! First the new file is copied beside the database and checked, before anything is changed. Then
//! the old database is moved away, and the new one gets its name. In between, the generation's file
//! records that a restore is in progress. So after an interruption, a start opens the old database,
//! or opens the restored one, or fails with a message that names the restore. No start creates an
//! empty database in between.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::copy::{PartialCopy, Progress, open};
use super::copy_error::CopyError;
use super::generation::check_before_open;
use super::paths::check_source;
use super::sidecar::Sidecar;
use super::{advise, beside, free_name, sync_folder};
use crate::db::serve_lock::ServeLock;

/// Why a restore fails. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The new file cannot be used or copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A file cannot be read, written or renamed.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// Another program has the database open.
    #[error("another program has {0} open: end it first")]
    InUse(PathBuf),
}

/// The outcome for the old database.
#[derive(Debug, PartialEq, Eq)]
pub enum Before {
    /// There was no old database.
    None,
    /// The old database was deleted.
    Deleted,
    /// The old database was kept under this name.
    KeptAs(PathBuf),
}

/// Copies `source` beside `database`, as a candidate for its place. Changes nothing else.
///
/// # Errors
/// Fails if `source` is not a backup, or cannot be copied.
pub fn copy_candidate(
    database: &Path,
    source: &Path,
    report: &mut dyn FnMut(Progress),
) -> Result<PartialCopy, CopyError> {
    check_source(source, database)?;
    let mut copy = PartialCopy::at(beside(database, "-restoring"), database)?;
    copy.fill_from_file(source, report)?;
    Ok(copy)
}

/// Puts `candidate` in the place of the database. The caller holds the database's lock.
///
/// # Errors
/// Fails if a file cannot be changed. If anything remains to be done, the next start says so.
pub fn replace(lock: &ServeLock, mut candidate: PartialCopy, keep: bool) -> Result<Before, RestoreError> {
    let Some(database) = lock.path() else { return Ok(Before::None) };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| RestoreError::Io(path, error)
    };
    let sidecar_path = beside(database, "-generation");
    let known = Sidecar::read(database).map_err(failed(&sidecar_path))?.unwrap_or_default();
    let is_there = database.exists();
    if is_there {
        fold_alone(database)?;
    }
    let new = candidate.seal()?;
    // An interrupted restore has already moved the database away, under this name.
    let interrupted = known.restoring.clone().filter(|kept| !is_there && kept.exists());
    let kept = interrupted.clone().unwrap_or_else(|| free_name(database, "-before-restore"));
    let old = Sidecar { restoring: None, ..known.clone() };
    let mut generations = known.generations;
    generations.push(new);
    let marked = Sidecar { generations, restoring: Some(kept.clone()), ..Sidecar::default() };
    marked.write(database).map_err(failed(&sidecar_path))?;
    let kept_something = move_away(database, &kept).map_err(failed(database))? || interrupted.is_some();
    if beside(&kept, "-wal").exists() {
        old.write(&kept).map_err(failed(&kept))?;
    }
    sync_folder(database).map_err(failed(database))?;
    candidate.rename()?;
    let settled = Sidecar { generations: vec![new], ..Sidecar::default() };
    settled.write(database).map_err(failed(&sidecar_path))?;
    match (kept_something, keep) {
        (false, _) => Ok(Before::None),
        (true, true) => Ok(Before::KeptAs(kept)),
        (true, false) => {
            for path in ["", "-wal", "-journal", "-generation"].map(|suffix| beside(&kept, suffix)) {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(RestoreError::Io(path, error));
                    }
                    _ => {}
                }
            }
            Ok(Before::Deleted)
        }
    }
}

/// Copies the log into the database, if the log is intact, so that everything is in one file. If
/// the database is damaged, or the log belongs to another database, both are kept as they are.
///
/// # Errors
/// Fails if another program has the database open.
fn fold_alone(database: &Path) -> Result<(), RestoreError> {
    if let Err(error) = check_before_open(database) {
        log::warn!("{error}");
        return Ok(());
    }
    let folded = open(database).and_then(|connection| {
        connection.busy_timeout(std::time::Duration::from_secs(1))?;
        // Only a process that is alone with the database gets this lock.
        connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
        let busy: i32 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(busy)
    });
    match folded {
        Ok(0) => Ok(()),
        Ok(_) => Err(RestoreError::InUse(database.to_owned())),
        Err(error) => match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Err(RestoreError::InUse(database.to_owned()))
            }
            _ => {
                log::warn!("{}: it is kept as it is", advise(database, &error));
                Ok(())
            }
        },
    }
}

/// Moves the database away, then the files beside it. Returns whether there was anything to keep.
fn move_away(database: &Path, kept: &Path) -> io::Result<bool> {
    let mut any = false;
    for suffix in ["", "-wal", "-journal"] {
        let path = beside(database, suffix);
        match fs::metadata(&path) {
            Ok(metadata) if suffix.is_empty() || metadata.len() > 0 => {
                fs::rename(&path, beside(kept, suffix))?;
                any = true;
            }
            Ok(_) => fs::remove_file(&path)?,
            Err(_) => {}
        }
    }
    // SQLite rebuilds the log's index from the log.
    match fs::remove_file(beside(database, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(any),
    }
}
