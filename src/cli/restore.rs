//! `tollgate restore FILE`.

use std::path::PathBuf;

use serde_json::json;

use super::Refusal;
use super::backup::{ProgressLog, check};
use super::output::{print_json, print_line};
use crate::config::DatabaseAddress;
use crate::db::file::{Before, copy_candidate, replace};
use crate::db::{ServeLock, ServeLockError};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The backup
    file: PathBuf,
    /// Delete the old database instead of keeping it under a name with the date
    #[arg(long)]
    delete_old: bool,
    /// Do not check the books of the backup; the check that it is a complete database of Tollgate
    /// always runs
    #[arg(long)]
    no_verify: bool,
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    address: DatabaseAddress,
}

pub(super) fn run(args: &Args) -> Result<(), Refusal> {
    let url = &args.address.database_url;
    let Some(database) = url.sqlite_path() else {
        return Err("the database is PostgreSQL: put a backup back with pg_restore, or with psql".to_owned());
    };
    // Held until the new file is in place.
    let lock = ServeLock::take_to_restore(url).map_err(|error| match error {
        ServeLockError::Taken(_) => format!("a server runs on {}: stop it first", database.display()),
        error => error.to_string(),
    })?;
    let real = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let mut log = ProgressLog::new("copied");
    let candidate = copy_candidate(&real, &args.file, &mut |progress| log.report(progress))
        .map_err(|error| error.to_string())?;
    log.finish();
    let checked = match args.no_verify {
        true => candidate.check().map_err(|error| error.to_string()),
        false => check(candidate.path(), &candidate),
    };
    checked.map_err(|why| format!("{} is not restored: {why}", args.file.display()))?;
    let before = replace(&lock, candidate, !args.delete_old).map_err(|error| error.to_string())?;
    if args.json {
        let kept = match &before {
            Before::KeptAs(kept) => Some(kept.display().to_string()),
            Before::Deleted | Before::None => None,
        };
        return print_json(&json!({
            "database": database.display().to_string(),
            "backup": args.file.display().to_string(),
            "verified": !args.no_verify,
            "old_database": kept,
        }));
    }
    print_line(format_args!("{} was restored from {}", database.display(), args.file.display()))?;
    match before {
        Before::KeptAs(kept) => print_line(format_args!("the old database was kept as {}", kept.display()))?,
        Before::Deleted => print_line(format_args!("the old database was deleted"))?,
        Before::None => {}
    }
    Ok(())
}
