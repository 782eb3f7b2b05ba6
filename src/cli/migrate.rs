//! `tollgate migrate [--status | --down]`.

use super::{Refusal, explain, must_exist};
use crate::config::Config;
use crate::db::{Db, ServeLock};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Say which migrations are applied, and change nothing
    #[arg(long)]
    status: bool,
    /// Undo the newest migration, which deletes the data in it; stop every server first
    #[arg(long, conflicts_with = "status")]
    down: bool,
}

pub(super) fn run(config: &Config, args: &Args) -> Result<(), Refusal> {
    if args.status || args.down {
        must_exist(config)?;
    }
    // A server that runs on the file would continue with tables that no longer exist. The lock is
    // released only after the database is closed, because closing the lock's descriptor would drop
    // SQLite's own locks.
    let lock = match args.down {
        true => Some(ServeLock::take(&config.database.database_url).map_err(|error| error.to_string())?),
        false => None,
    };
    let options = config.db_options();
    let db = match (&lock, args.status) {
        (Some(lock), _) => Db::open_to_serve(&options, lock),
        (None, true) => Db::open(&options),
        (None, false) => Db::open_to_change(&options),
    };
    let db = db.map_err(explain)?;
    if args.status {
        for state in db.migration_state().map_err(|error| error.to_string())? {
            println!("[{}] {}", if state.applied { 'x' } else { ' ' }, state.name);
        }
        return Ok(());
    }
    if args.down {
        match db.migrate_down().map_err(|error| error.to_string())? {
            Some(name) => println!("reverted {name}"),
            None => println!("there is nothing to revert"),
        }
        return Ok(());
    }
    let applied = db.migrate().map_err(|error| error.to_string())?;
    applied.iter().for_each(|name| println!("applied {name}"));
    if applied.is_empty() {
        println!("the database is up to date");
    }
    Ok(())
}
