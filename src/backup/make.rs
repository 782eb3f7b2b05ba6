//! Makes one backup: copies the database, checks the copy and its books, and then gives it its
//! name. A failure before that leaves nothing behind.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::BackupSettings;
use super::name::BackupName;
use crate::db::file::{CopyError, Pace, PartialCopy, Progress};
use crate::db::{Db, free_space};
use crate::metering::verify::verify_copy;

/// The rate of the copy, in bytes a second, which leaves the disk usable for chats.
const RATE: u64 = 64 * 1024 * 1024;

/// What is being done for a backup.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// The database is being copied.
    Copying(Progress),
    /// The copy is being checked.
    Checking,
}

/// Why there is no backup.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoBackup {
    /// The server is being stopped.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

impl<E: std::error::Error> From<E> for NoBackup {
    fn from(error: E) -> NoBackup {
        NoBackup::Failed(error.to_string())
    }
}

/// One backup to make.
pub(super) struct Plan<'a> {
    pub(super) settings: &'a BackupSettings,
    /// The path of the database.
    pub(super) database: &'a Path,
    pub(super) name: &'a BackupName,
    /// Whether the folder is on the disk of the database.
    pub(super) shares_disk: bool,
}

impl Plan<'_> {
    /// Makes it. Blocks the thread. `note` gets what is being done, and ends the work by `Break`.
    /// Returns the size in bytes.
    ///
    /// # Errors
    /// Fails with what to do. Then there is no file.
    pub(super) fn make(&self, db: &Db, note: &dyn Fn(Phase) -> ControlFlow<()>) -> Result<u64, NoBackup> {
        let target = self.settings.folder.join(self.name.to_string());
        self.check_room(fs::metadata(self.database)?.len())?;
        let explain = |error| self.explain(error);
        let mut copy = PartialCopy::begin(self.database, &target, false).map_err(explain)?;
        let mut ended = None;
        let mut report = |progress: Progress| {
            if note(Phase::Copying(progress)).is_break() {
                ended = Some(NoBackup::Stopped);
            } else if let Err(full) = self.check_room(progress.total.saturating_sub(progress.done)) {
                ended = Some(full);
            }
            if ended.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let copied = db.copy_into(&mut copy, &mut Pace { rate: RATE, report: &mut report });
        match (copied, ended) {
            (_, Some(why)) => return Err(why),
            (Err(error), None) => return Err(explain(error)),
            (Ok(()), None) => {}
        }
        let check = || if note(Phase::Checking).is_break() { Err(NoBackup::Stopped) } else { Ok(()) };
        check()?;
        copy.check().map_err(explain)?;
        check()?;
        check_books(&copy)?;
        check()?;
        copy.finish().map_err(explain)?;
        Ok(fs::metadata(&target)?.len())
    }

    /// Checks that the rest of the copy fits. On the disk of the database, a part must stay free
    /// for chats.
    fn check_room(&self, rest: u64) -> Result<(), NoBackup> {
        let reserve = if self.shares_disk { self.settings.leaves_free } else { 0 };
        // Without an answer of the system, a full disk shows when it is written.
        let Ok(free) = free_space(&self.settings.folder) else { return Ok(()) };
        let needed = rest.saturating_add(reserve);
        if free >= needed {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
        let kept = match reserve {
            0 => String::new(),
            reserve => {
                format!(", as {} MiB of the database's disk stay free (--min-free-disk)", mib(reserve))
            }
        };
        Err(self.no_room(&format!("it needs {} MiB and {} MiB are free{kept}", mib(needed), mib(free))))
    }

    fn no_room(&self, why: &str) -> NoBackup {
        NoBackup::Failed(format!(
            "there is no room for a backup in {}: {why}. Make room, lower --backup-keep, or choose a folder on \
             another disk",
            self.settings.folder.display()
        ))
    }

    /// Says what to do about an error of the copy. The disk may fill up after the check.
    fn explain(&self, error: CopyError) -> NoBackup {
        match error.is_disk_full() {
            true => self.no_room("the disk filled up while the copy was written"),
            false => NoBackup::Failed(error.to_string()),
        }
    }
}

/// Checks that the books of a copy are right, so that no good backup is deleted for a wrong one.
fn check_books(copy: &PartialCopy) -> Result<(), NoBackup> {
    let findings = verify_copy(&mut copy.reader()?).map_err(|error| NoBackup::Failed(error.in_full()))?;
    match findings.iter().flat_map(|finding| &finding.faults).next() {
        None => Ok(()),
        Some(fault) => Err(NoBackup::Failed(format!(
            "the books of the copy are wrong: {} {} (`tollgate verify` lists all faults)",
            fault.subject, fault.fault
        ))),
    }
}
