//! What the connections share of the index's file.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the index counts as sound after a check, whatever damage is reported: it is then the
/// database that is damaged. A check reads the whole index.
const SOUND_FOR: Duration = Duration::from_secs(3600);

/// Why the writer should look at the file again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::db) enum Suspicion {
    /// It cannot be opened, or is not the file that the writer opened.
    Replaced = 1,
    /// It seems to be damaged.
    Damaged = 2,
    /// It names rows that are not what it says.
    Wrong = 3,
}

/// Which index a connection reads.
pub(in crate::db) struct Attached {
    /// See [`IndexState::epoch`].
    pub(in crate::db) epoch: u64,
    /// Whether it is the file, rather than an empty index.
    pub(in crate::db) is_file: bool,
}

/// Whether there is an index to read, and which.
#[derive(Default)]
pub(in crate::db) struct IndexState {
    /// Changes with what connections should read: those that read something else connect again.
    epoch: AtomicU64,
    /// Whether the writer has the file open.
    is_open: AtomicBool,
    /// The strongest [`Suspicion`]; 0: none.
    suspicion: AtomicU8,
    /// When a check of the file found no damage.
    found_sound: Mutex<Option<Instant>>,
    /// Why there is no index.
    failure: Mutex<Option<String>>,
}

impl IndexState {
    /// Returns a number that changes with what connections should read.
    pub(in crate::db) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Returns whether connections may read the file. Otherwise they read an empty index.
    pub(super) fn is_usable(&self) -> bool {
        self.is_open.load(Ordering::Acquire) && !self.is_suspect()
    }

    /// Asks the writer to look at the file. Until then no connection reads it. Returns whether it
    /// may be the index that is at fault, rather than the database.
    pub(in crate::db) fn suspect(&self, suspicion: Suspicion) -> bool {
        if !self.is_open.load(Ordering::Acquire)
            || (suspicion == Suspicion::Damaged && self.was_found_sound())
        {
            return false;
        }
        if self.suspicion.fetch_max(suspicion as u8, Ordering::AcqRel) == 0 {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        true
    }

    /// Returns whether the file should be looked at.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspicion.load(Ordering::Acquire) > 0
    }

    /// Returns whether the file may be damaged.
    pub(super) fn may_be_damaged(&self) -> bool {
        self.suspicion.load(Ordering::Acquire) == Suspicion::Damaged as u8
    }

    /// Returns whether the file says what is not so.
    pub(super) fn is_wrong(&self) -> bool {
        self.suspicion.load(Ordering::Acquire) == Suspicion::Wrong as u8
    }

    /// Records that a check of the whole file found no damage.
    pub(super) fn note_sound(&self) {
        *lock(&self.found_sound) = Some(Instant::now());
    }

    /// Returns whether a check found the file to be sound not long ago.
    pub(super) fn was_found_sound(&self) -> bool {
        lock(&self.found_sound).is_some_and(|at| at.elapsed() < SOUND_FOR)
    }

    /// Records that the writer has opened the file, which is sound as far as known.
    pub(super) fn note_opened(&self) {
        *lock(&self.failure) = None;
        self.suspicion.store(0, Ordering::Release);
        self.is_open.store(true, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that the file is about to be deleted.
    pub(super) fn note_discarded(&self) {
        *lock(&self.found_sound) = None;
        if self.is_open.swap(false, Ordering::AcqRel) {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Records why the file cannot be opened.
    pub(super) fn note_failed(&self, why: &str) {
        *lock(&self.failure) = Some(why.to_owned());
        if self.is_open.swap(false, Ordering::AcqRel) {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns why there is no index, if it could not be opened.
    pub(super) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_read_the_file_only_while_it_is_open_and_trusted() {
        let state = IndexState::default();
        assert!(!state.suspect(Suspicion::Damaged), "there is no index that could be damaged");
        let mut epoch = state.epoch();
        let mut has_changed =
            |state: &IndexState| std::mem::replace(&mut epoch, state.epoch()) != state.epoch();
        state.note_failed("no room");
        assert!(!has_changed(&state) && state.failure().is_some(), "connections have no file to leave");
        state.note_opened();
        assert!(has_changed(&state) && state.is_usable() && state.failure().is_none());
        assert!(state.suspect(Suspicion::Replaced));
        assert!(has_changed(&state) && !state.is_usable() && !state.may_be_damaged());
        assert!(state.suspect(Suspicion::Damaged));
        assert!(!has_changed(&state) && state.may_be_damaged());
        state.note_failed("it is gone");
        assert!(has_changed(&state) && !state.is_usable());
        state.note_opened();
        assert!(has_changed(&state) && state.is_usable());
    }

    #[test]
    fn after_a_check_it_is_the_database_that_is_damaged() {
        let state = IndexState::default();
        state.note_opened();
        state.note_sound();
        assert!(!state.suspect(Suspicion::Damaged) && state.is_usable());
        assert!(state.suspect(Suspicion::Replaced), "whatever was found before");
        state.note_discarded();
        state.note_opened();
        assert!(state.suspect(Suspicion::Damaged), "it is another file");
    }
}
