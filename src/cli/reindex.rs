//! `tollgate reindex`.

use std::time::{Duration, Instant};

use super::{Refusal, block_on, explain, open_migrated};
use crate::config::Config;
use crate::index::follower::Progress;
use crate::index::rebuild;

/// Interval between two progress lines.
const PRINT_EVERY: Duration = Duration::from_secs(2);

pub(super) fn run(config: &Config) -> Result<(), Refusal> {
    let db = open_migrated(config)?;
    if db.is_served() {
        eprintln!("the server that runs builds the index");
    }
    let started = Instant::now();
    let mut printed_at: Option<Instant> = None;
    let mut report = |progress: Progress| {
        if printed_at.is_none_or(|at| at.elapsed() >= PRINT_EVERY) {
            printed_at = Some(Instant::now());
            let done = progress.all - progress.behind;
            eprintln!("indexed {done} of {} rows ({} %)", progress.all, progress.percent());
        }
    };
    let rows = block_on(async { rebuild(&db, &mut report).await.map_err(explain) })?;
    println!("the index is built: {rows} rows in {:.1} s", started.elapsed().as_secs_f64());
    let is_served = db.is_served();
    // A stop leaves the index as one file, too. A server keeps its log.
    let closed = db.close(Instant::now() + Duration::from_secs(10));
    if is_served { Ok(()) } else { closed }
}
