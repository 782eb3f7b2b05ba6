//! `tollgate migrate [--status | --down]`.

use super::{Refusal, explain, open_existing};
use crate::config::Config;
use crate::db::{Db, ServeLock};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Say which migrations are applied, and change nothing
    #[arg(long)]
    status: bool,
    /// Take the newest migration back, with the data that it holds; stop every server first
    #[arg(long, conflicts_with = "status")]
    down: bool,
}

pub(super) fn run(config: &Config, args: &Args) -> Result<(), Refusal> {
    let db = match args.status || args.down {
        true => open_existing(config)?,
        false => Db::open(&config.db_options()).map_err(explain)?,
    };
    // A server that runs on the file would go on with tables that are gone. The lock is a file beside the database,
    // so it is taken once that is known to be there.
    let _lock = match args.down {
        true => Some(ServeLock::take(&config.database.database_url).map_err(|error| error.to_string())?),
        false => None,
    };
    if args.status {
        for state in db.migration_state().map_err(|error| error.to_string())? {
            println!("[{}] {}", if state.applied { 'x' } else { ' ' }, state.name);
        }
        return Ok(());
    }
    if args.down {
        match db.migrate_down().map_err(|error| error.to_string())? {
            Some(name) => println!("took back {name}"),
            None => println!("there is nothing to take back"),
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
