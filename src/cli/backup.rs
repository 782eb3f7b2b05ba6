//! `tollgate backup FILE`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::output::{print_json, print_line, seconds};
use super::{Refusal, explain, open_existing};
use crate::config::Database;
use crate::db::file::{Pace, PartialCopy, Progress};
use crate::db::{DatabaseUrl, Db, DbOptions, HANGS_AFTER};
use crate::metering::verify;

/// Interval between two progress lines.
const PRINT_EVERY: Duration = Duration::from_secs(2);

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Where to write the backup
    file: PathBuf,
    /// Limit in MiB a second, which leaves the disk usable for a server; 0: no limit
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    rate: u64,
    /// Replace FILE if it exists
    #[arg(long)]
    overwrite: bool,
    /// Do not check the backup
    #[arg(long)]
    no_verify: bool,
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(args: &Args) -> Result<(), Refusal> {
    let started = Instant::now();
    let Some(database) = args.database.url().sqlite_path() else {
        return Err(
            "the database is PostgreSQL: make a backup with pg_dump, which reads one snapshot while \
                    servers run, and put it back with pg_restore"
                .to_owned(),
        );
    };
    let db = open_existing(&args.database)?;
    let mut copy =
        PartialCopy::begin(database, &args.file, args.overwrite).map_err(|error| error.to_string())?;
    let mut log = ProgressLog::new("copied");
    let mut report = |progress| {
        log.report(progress);
        ControlFlow::Continue(())
    };
    let mut pace = Pace { rate: args.rate * 1024 * 1024, report: &mut report };
    db.copy_into(&mut copy, &mut pace).map_err(|error| error.to_string())?;
    drop(db);
    log.finish();
    if !args.no_verify {
        check(copy.path(), &copy)?;
    }
    copy.finish().map_err(|error| error.to_string())?;
    if !args.json {
        print_line(format_args!("backup written to {}", args.file.display()))?;
        return Ok(());
    }
    print_json(&json!({
        "backup": args.file.display().to_string(),
        "bytes": std::fs::metadata(&args.file).map_or(0, |file| file.len()),
        "verified": !args.no_verify,
        "seconds": seconds(started.elapsed()),
    }))
}

/// Checks that a copy is complete and that its books are right.
pub(super) fn check(path: &Path, copy: &PartialCopy) -> Result<(), Refusal> {
    eprintln!("checking the copy");
    copy.check().map_err(|error| error.to_string())?;
    let url = DatabaseUrl::Sqlite(path.to_owned());
    let options = DbOptions { url, read_connections: 1, pg_writers: None, hangs_after: HANGS_AFTER };
    let db = Db::open(&options).map_err(explain)?;
    let states = db.migration_state().map_err(|error| error.to_string())?;
    if states.iter().any(|state| !state.applied) {
        eprintln!(
            "it is from an older release: run `tollgate verify` after the next start to check its books"
        );
        return Ok(());
    }
    let findings = verify::verify_at_rest(&db).map_err(explain)?;
    match findings.iter().flat_map(|finding| &finding.faults).next() {
        None => Ok(()),
        Some(fault) => Err(format!(
            "its books are wrong: {} {} (`tollgate verify` lists all faults; --no-verify skips this check)",
            fault.subject, fault.fault
        )),
    }
}

/// Prints the progress of a copy to standard error from time to time.
pub(super) struct ProgressLog {
    what: &'static str,
    printed_at: Instant,
    last: Option<Progress>,
}

impl ProgressLog {
    pub(super) fn new(what: &'static str) -> ProgressLog {
        ProgressLog { what, printed_at: Instant::now(), last: None }
    }

    pub(super) fn report(&mut self, progress: Progress) {
        self.last = Some(progress);
        if self.printed_at.elapsed() >= PRINT_EVERY {
            self.printed_at = Instant::now();
            self.print(progress);
        }
    }

    pub(super) fn finish(&self) {
        if let Some(progress) = self.last {
            self.print(progress);
        }
    }

    fn print(&self, Progress { done, total }: Progress) {
        let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        let percent = (done * 100).checked_div(total).unwrap_or(100);
        eprintln!("{} {:.1} of {:.1} MiB ({percent} %)", self.what, mib(done), mib(total));
    }
}
