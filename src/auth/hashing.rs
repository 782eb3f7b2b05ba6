//! What hashing passwords takes, for the metrics.

use crate::metrics::Histogram;

/// The bounds of times, in microseconds.
const BOUNDS: [u64; 12] = [
    1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    20_000_000,
];

/// The times of hashes since the start.
#[derive(Debug)]
pub struct HashTimes {
    /// How long each request has waited for its turn.
    pub waits: Histogram,
    /// How long each hash has taken, without the wait.
    pub durations: Histogram,
}

impl Default for HashTimes {
    fn default() -> HashTimes {
        HashTimes { waits: Histogram::of_durations(&BOUNDS), durations: Histogram::of_durations(&BOUNDS) }
    }
}
