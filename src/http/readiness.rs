//! Tells whether the server accepts new requests.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Whether the server accepts new requests. It stops accepting them at the stop signal. Migrations
/// need no state here, because they end before the server listens.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    draining: Arc<OnceLock<()>>,
    /// When the server began to finish the requests in progress.
    finishing: Arc<OnceLock<Instant>>,
}

impl Readiness {
    /// Records the stop signal: new requests are rejected from now on.
    pub fn drain(&self) {
        let _ = self.draining.set(());
    }

    /// Returns whether the stop signal has come.
    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Records the end of `--drain-delay`.
    pub fn finish(&self) {
        let _ = self.finishing.set(Instant::now());
    }

    /// Returns when `--drain-delay` ended. Returns `None` before its end.
    pub fn finishing_since(&self) -> Option<Instant> {
        self.finishing.get().copied()
    }
}
