//! The time of the last commit of the writers of one queue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(super) struct Pulse {
    began: Instant,
    /// The time of the last commit, in milliseconds after `began`. 0 means that nothing was
    /// committed yet.
    last: AtomicU64,
}

impl Pulse {
    pub(super) fn new() -> Pulse {
        Pulse { began: Instant::now(), last: AtomicU64::new(0) }
    }

    pub(super) fn beat(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis.max(1), Ordering::Relaxed);
    }

    /// Returns whether there was a commit within the last `span`.
    pub(super) fn is_within(&self, span: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && self.began.elapsed().saturating_sub(Duration::from_millis(last)) < span
    }
}
