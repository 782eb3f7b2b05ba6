//! Whose turn it is with an SQLite file: the writer's, or that of the keeper of the log.
//!
//! SQLite's own lock alone would do. But a writer that finds it taken sleeps for a millisecond or
//! more before it looks again, and a keeper that looks again may never find it free.
//!
//! The index's writer reads the file in one long transaction after another. The log cannot start
//! again while one of them sees an older state, so the keeper can also make it wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lets the writer, the keeper and the index's writer have their turns. The keeper goes first.
#[derive(Default)]
pub(in crate::db) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_taken: bool,
    keeper_waits: bool,
    /// Whether the index's writer is reading the file.
    is_followed: bool,
    /// Whether the keeper is emptying the log, so that the index's writer should not begin.
    is_emptying: bool,
    /// The number of threads that wait for a change.
    waiting: usize,
}

/// A turn. Dropping it ends it.
pub(in crate::db) struct Turn<'a>(&'a Turns);

/// The time in which the index's writer reads the file. Dropping it ends it.
pub(in crate::db) struct Following<'a>(&'a Turns);

/// The time in which the keeper empties the log. Dropping it ends it.
pub(in crate::db) struct Emptying<'a>(&'a Turns);

impl Turns {
    /// Waits for the writer's turn: until no other has one, and the keeper does not wait for one.
    pub(in crate::db) fn write(&self) -> Turn<'_> {
        let mut state = self.lock();
        while state.is_taken || state.keeper_waits {
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.is_taken = true;
        Turn(self)
    }

    /// Waits for the keeper's turn: until the writer's ends, but not longer than `patience`.
    pub(in crate::db) fn keep(&self, patience: Duration) -> Option<Turn<'_>> {
        self.lock().keeper_waits = true;
        let mut state = self.wait(patience, |state| state.is_taken);
        state.keeper_waits = false;
        if state.is_taken {
            self.changed.notify_all();
            return None;
        }
        state.is_taken = true;
        Some(Turn(self))
    }

    /// Waits for the turn of the index's writer: until the keeper is not emptying the log, but not
    /// longer than `patience`. It must not be kept from reading for good.
    pub(in crate::db) fn follow(&self, patience: Duration) -> Following<'_> {
        self.wait(patience, |state| state.is_emptying).is_followed = true;
        Following(self)
    }

    /// Keeps the index's writer from beginning to read the file.
    pub(in crate::db) fn empty(&self) -> Emptying<'_> {
        self.lock().is_emptying = true;
        Emptying(self)
    }

    /// Waits while something is the case, but not longer than `patience`.
    fn wait(&self, patience: Duration, is_so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.waiting += 1;
        let waited = self.changed.wait_timeout_while(state, patience, |state| is_so(state));
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// Changes the state. Wakes those who wait.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        // Nearly always nobody waits, and this is a system call.
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Emptying<'_> {
    /// Waits until the index's writer has stopped reading, but not longer than `patience`.
    pub(in crate::db) fn wait(&self, patience: Duration) {
        drop(self.0.wait(patience, |state| state.is_followed));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_taken = false);
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_followed = false);
    }
}

impl Drop for Emptying<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_emptying = false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn the_keeper_waits_for_the_writer_and_then_goes_first() {
        let turns = Turns::default();
        let writes = turns.write();
        assert!(turns.keep(Duration::ZERO).is_none());
        let (done, order) = mpsc::channel();
        thread::scope(|scope| {
            let (keeper_done, writer_done, turns) = (done.clone(), done, &turns);
            scope.spawn(move || {
                let turn = turns.keep(Duration::from_secs(60));
                keeper_done.send("keeper").unwrap();
                drop(turn);
            });
            while !turns.lock().keeper_waits {
                thread::yield_now();
            }
            scope.spawn(move || {
                let turn = turns.write();
                writer_done.send("writer").unwrap();
                drop(turn);
            });
            while turns.lock().waiting < 2 {
                thread::yield_now();
            }
            drop(writes);
            assert_eq!(order.iter().collect::<Vec<_>>(), ["keeper", "writer"]);
        });
        assert!(turns.keep(Duration::ZERO).is_some(), "all turns have ended");
    }

    #[test]
    fn the_index_does_not_begin_while_the_keeper_empties_the_log() {
        let turns = Turns::default();
        let begun = turns.follow(Duration::ZERO);
        let emptying = turns.empty();
        let (done, order) = mpsc::channel();
        thread::scope(|scope| {
            let (keeper_done, index_done, turns) = (done.clone(), done, &turns);
            scope.spawn(move || {
                emptying.wait(Duration::from_secs(60));
                keeper_done.send("keeper").unwrap();
                drop(emptying);
            });
            scope.spawn(move || {
                let following = turns.follow(Duration::from_secs(60));
                index_done.send("index").unwrap();
                drop(following);
            });
            while turns.lock().waiting < 2 {
                thread::yield_now();
            }
            drop(begun);
            assert_eq!(order.iter().collect::<Vec<_>>(), ["keeper", "index"]);
        });
        let _emptying = turns.empty();
        drop(turns.follow(Duration::ZERO));
    }
}
