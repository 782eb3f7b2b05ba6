//! The watchdog's view of a writer: the time of its last progress, and its current jobs.

use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::job::Queued;
use crate::db::postgres::Backend;

/// A writer's progress, shared by its thread and the watchdog. A writer on SQLite has none, because
/// a second writer could do nothing there.
#[derive(Default)]
pub(super) struct Watch {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the writer last made progress with its batch. `None` if it has no batch.
    since: Option<Instant>,
    /// Whether it waits for a new connection, which has its own time limit.
    connecting: bool,
    /// Twins of all jobs that the writer took and may not have answered yet.
    twins: Vec<Box<dyn Queued>>,
    backend: Option<Backend>,
    abandoned: bool,
}

/// The jobs and the connection that an abandoned writer leaves behind.
#[derive(Default)]
pub(super) struct Handover {
    /// Jobs whose outcome is unknown.
    pub jobs: Vec<Box<dyn Queued>>,
    /// The server's side of the connection that hangs.
    pub backend: Option<Backend>,
}

impl Watch {
    /// Records that the writer begins a batch.
    pub(super) fn hold(&self, twins: Vec<Box<dyn Queued>>) {
        let mut state = self.lock();
        state.since = Some(Instant::now());
        state.twins = twins;
    }

    /// Records that the writer has sent all its callers a result.
    pub(super) fn release(&self) {
        let twins = {
            let mut state = self.lock();
            state.since = None;
            state.connecting = false;
            take(&mut state.twins)
        };
        drop(twins);
    }

    /// Records that the writer has made progress. Returns whether the batch still belongs to it.
    pub(super) fn touch(&self) -> bool {
        let mut state = self.lock();
        if state.since.is_some() {
            state.since = Some(Instant::now());
        }
        !state.abandoned
    }

    pub(super) fn connecting(&self, connecting: bool) {
        let mut state = self.lock();
        state.connecting = connecting;
        // A connection attempt is watched even before there is a batch.
        if connecting || state.since.is_some() {
            state.since = Some(Instant::now());
        }
    }

    pub(super) fn connected_to(&self, backend: Option<Backend>) {
        self.lock().backend = backend;
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Returns whether the writer has made no progress for `limit`, or for `connect_limit` while it
    /// connects.
    pub(super) fn is_overdue(&self, limit: Duration, connect_limit: Duration) -> bool {
        self.lock().is_overdue(limit, connect_limit)
    }

    /// Takes the batch away from the writer, unless it has made progress meanwhile.
    pub(super) fn abandon(&self, limit: Duration, connect_limit: Duration) -> Option<Handover> {
        let mut state = self.lock();
        if state.abandoned || !state.is_overdue(limit, connect_limit) {
            return None;
        }
        state.abandoned = true;
        Some(Handover { jobs: take(&mut state.twins), backend: state.backend.take() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_overdue(&self, limit: Duration, connect_limit: Duration) -> bool {
        let limit = if self.connecting { connect_limit } else { limit };
        self.since.is_some_and(|since| since.elapsed() > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_connection_in_the_making_is_watched_before_the_first_batch() {
        let watch = Watch::default();
        assert!(!watch.is_overdue(Duration::ZERO, Duration::ZERO));
        watch.connecting(true);
        assert!(watch.is_overdue(LONG, Duration::ZERO));
        watch.connecting(false);
        assert!(watch.is_overdue(Duration::ZERO, LONG));
        watch.release();
        assert!(!watch.is_overdue(Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn one_writer_takes_over_the_connection_that_hangs() {
        let backend = Backend { pid: 1, started: "today".to_owned() };
        let watch = Watch::default();
        watch.hold(Vec::new());
        watch.connected_to(Some(backend.clone()));
        let left = watch.abandon(Duration::ZERO, LONG).unwrap();
        assert_eq!(left.backend, Some(backend));
        assert!(watch.abandon(Duration::ZERO, LONG).is_none(), "only one writer takes over");
    }
}
