//! Whether the server takes new requests.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Whether the server takes new requests: not once it was told to stop. Migrations are done before
/// it listens.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    draining: Arc<OnceLock<()>>,
    /// When it began to finish what was in flight.
    finishing: Arc<OnceLock<Instant>>,
}

impl Readiness {
    pub fn drain(&self) {
        let _ = self.draining.set(());
    }

    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Takes note of the end of `--drain-delay`.
    pub fn finish(&self) {
        let _ = self.finishing.set(Instant::now());
    }

    /// Returns when `--drain-delay` ended, if there was a stop signal.
    pub fn finishing_since(&self) -> Option<Instant> {
        self.finishing.get().copied()
    }
}
