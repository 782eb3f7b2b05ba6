//! `tollgate reindex`.

use std::time::{Duration, Instant};

use serde_json::json;

use super::output::{print_json, print_line, seconds};
use super::{Refusal, block_on, explain, open_migrated};
use crate::config::Database;
use crate::index::follower::Progress;
use crate::index::rebuild;

/// Interval between two progress lines.
const PRINT_EVERY: Duration = Duration::from_secs(2);

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(args: &Args) -> Result<(), Refusal> {
    let db = open_migrated(&args.database)?;
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
    let took = started.elapsed();
    let is_served = db.is_served();
    // A stop leaves the index as one file, too. A server keeps its log.
    let closed = db.close(Instant::now() + Duration::from_secs(10));
    if !is_served {
        closed?;
    }
    if args.json {
        return print_json(&json!({ "rows": rows, "seconds": seconds(took) }));
    }
    print_line(format_args!("the index is built: {rows} rows in {:.1} s", took.as_secs_f64()))?;
    Ok(())
}
