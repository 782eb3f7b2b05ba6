//! Numbers about what the server does, cheap enough for the path of a charge: each is changed by
//! one atomic instruction, without a lock and without an allocation. [`Exposition`] writes them in
//! the text format of Prometheus.
//!
//! Whatever counts something owns its numbers. `server/metrics/` collects them for a scrape.

mod counter;
mod exposition;
mod histogram;

pub use counter::{Counter, CounterSet, Held, Level};
pub use exposition::{Exposition, Family, Kind};
pub use histogram::{Buckets, Histogram};
