//! `tollgate migrate [--status | --down]`.

use serde_json::{Value, json};

use super::output::{print_json, print_line};
use super::{Refusal, explain, must_exist};
use crate::config::Database;
use crate::db::{Db, MigrationState, ServeLock};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Say which migrations are applied, and change nothing
    #[arg(long)]
    status: bool,
    /// Undo the newest migration, which deletes the data in it; stop every server first
    #[arg(long, conflicts_with = "status")]
    down: bool,
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(args: &Args) -> Result<(), Refusal> {
    if args.status || args.down {
        must_exist(&args.database.address)?;
    }
    // A server that runs on the file would continue with tables that no longer exist. The lock is
    // released only after the database is closed, because closing the lock's descriptor would drop
    // SQLite's own locks.
    let lock = match args.down {
        true => Some(ServeLock::take(args.database.url()).map_err(|error| error.to_string())?),
        false => None,
    };
    let options = args.database.options();
    let db = match (&lock, args.status) {
        (Some(lock), _) => Db::open_to_serve(&options, lock),
        (None, true) => Db::open(&options),
        (None, false) => Db::open_to_change(&options),
    };
    let db = db.map_err(explain)?;
    let outcome = match (args.status, args.down) {
        (true, _) => status(&db),
        (_, true) => down(&db),
        _ => up(&db),
    };
    let (lines, document) = outcome?;
    if args.json {
        return print_json(&document);
    }
    lines.iter().try_for_each(|line| print_line(format_args!("{line}")))
}

/// What is printed: lines for people, or a document.
type Report = (Vec<String>, Value);

fn status(db: &Db) -> Result<Report, Refusal> {
    let states = db.migration_state().map_err(|error| error.to_string())?;
    let line = |state: &MigrationState| format!("[{}] {}", if state.applied { 'x' } else { ' ' }, state.name);
    let row = |state: &MigrationState| json!({ "name": state.name, "applied": state.applied });
    let rows: Vec<Value> = states.iter().map(row).collect();
    Ok((states.iter().map(line).collect(), json!({ "migrations": rows })))
}

fn down(db: &Db) -> Result<Report, Refusal> {
    let reverted = db.migrate_down().map_err(|error| error.to_string())?;
    let line = match &reverted {
        Some(name) => format!("reverted {name}"),
        None => "there is nothing to revert".to_owned(),
    };
    Ok((vec![line], json!({ "reverted": reverted })))
}

fn up(db: &Db) -> Result<Report, Refusal> {
    let applied = db.migrate().map_err(|error| error.to_string())?;
    let mut lines: Vec<String> = applied.iter().map(|name| format!("applied {name}")).collect();
    if applied.is_empty() {
        lines.push("the database is up to date".to_owned());
    }
    Ok((lines, json!({ "applied": applied })))
}
