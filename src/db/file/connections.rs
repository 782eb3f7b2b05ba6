//! Counts the connections of this process to the database.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Counts open connections, and prevents new ones once the database is being closed.
#[derive(Default)]
pub(in crate::db) struct Connections {
    state: Mutex<State>,
    closed_one: Condvar,
}

#[derive(Default)]
struct State {
    open: usize,
    closing: bool,
    /// Whether the keeper of the log closes its connection, or has done so.
    closed: bool,
}

impl Connections {
    /// Counts a new connection. Returns `false` if no more are allowed.
    pub(super) fn add(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open += usize::from(!state.closing);
        !state.closing
    }

    pub(super) fn remove(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = state.open.saturating_sub(1);
        self.closed_one.notify_all();
    }

    /// Records that the keeper of the log closes its connection. If it is the last one, SQLite
    /// removes the log.
    pub(super) fn close_last(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closing = true;
        state.closed = true;
    }

    /// Returns whether the last connection closes or has closed, so that the log may be gone.
    pub(super) fn are_closed(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was too slow may still be open, and needs the log.
        state.closed && state.open <= 1
    }

    /// Prevents new connections, and waits until only `rest` are left, or until `until`.
    pub(in crate::db) fn close(&self, rest: usize, until: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closing = true;
        let time = until.saturating_duration_since(Instant::now());
        let _ = self.closed_one.wait_timeout_while(state, time, |state| state.open > rest);
    }
}
