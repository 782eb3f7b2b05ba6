//! What the writers measure for the metrics.

use std::time::Duration;

use crate::db::tally::Totals;
use crate::metrics::{Counter, Histogram};

/// The bounds of the time of a COMMIT, in microseconds.
const COMMITS: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000,
];
/// The bounds of the number of jobs in a transaction.
const BATCHES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 192];

/// What all writers of this process have done since the start.
#[derive(Debug)]
pub struct WriterMeasures {
    /// The jobs in each transaction that was committed.
    pub batches: Histogram,
    /// The time of each COMMIT, with the sync of the disk, or of each statement that is a
    /// transaction of its own.
    pub commits: Histogram,
    /// Transactions that the database has failed. A statement with an unknown outcome does not
    /// count, but its look-up does if it fails.
    pub failures: Counter,
    /// What was committed.
    pub totals: Totals,
}

impl Default for WriterMeasures {
    fn default() -> WriterMeasures {
        WriterMeasures {
            batches: Histogram::of_things(&BATCHES),
            commits: Histogram::of_durations(&COMMITS),
            failures: Counter::default(),
            totals: Totals::default(),
        }
    }
}

/// The jobs that wait for the writers now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Jobs of requests.
    pub main: usize,
    /// Ends of holds.
    pub ends: usize,
    /// Bulk work.
    pub bulk: usize,
    /// Jobs whose rows another transaction has locked, on PostgreSQL.
    pub late: usize,
    /// The age of the oldest job of a request.
    pub oldest: Duration,
}
