//! The time of the throttles: nanoseconds that only go forward. Tests can skip some.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A monotonic clock. Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub(super) struct Stopwatch {
    /// `None` if it stands still, except for skipped time.
    begun: Option<Instant>,
    /// Nanoseconds that tests have skipped.
    skipped: Arc<AtomicU64>,
}

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch { begun: Some(Instant::now()), skipped: Arc::default() }
    }

    #[cfg(test)]
    pub(super) fn standing_still() -> Stopwatch {
        Stopwatch { begun: None, skipped: Arc::default() }
    }

    /// Returns the nanoseconds since the start.
    pub(super) fn now(&self) -> u64 {
        let real = self.begun.map_or(0, |begun| nanos(begun.elapsed()));
        real.saturating_add(self.skipped.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) fn skip(&self, time: Duration) {
        self.skipped.fetch_add(nanos(time), Ordering::Relaxed);
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
