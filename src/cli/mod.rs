//! The command line: one file per command. Exit codes: 0 for success, 1 for a failure, 2 for bad
//! usage (from clap).

mod adjust;
mod backup;
mod changepassword;
mod createsuperuser;
mod import_django;
mod migrate;
mod passwords;
mod reindex;
mod restore;
mod serve;
mod usage;
mod verify;

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::db::Db;
use crate::error::Error;
use crate::models::User;

/// Tollgate: a metered chat server. It sells chat messages against a prepaid token balance.
///
/// Without a command it serves. Settings may stand before or after the command; each has an
/// environment variable, and a flag beats its variable.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 120, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
}

const AFTER_HELP: &str = "\
Examples:
  tollgate                                        serve on 127.0.0.1:8000, with tollgate.db in this folder
  tollgate createsuperuser                        make the first administrator
  tollgate adjust ada 500 --note 'March top-up'   give tokens, also while a server runs
  tollgate backup tollgate-monday.db              copy the database, also while a server runs
  tollgate --database-url postgres://tollgate@db/tollgate verify

Exit codes: 0 success, 1 failure, 2 bad usage.";

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the API (the default): migrates the database first, drains on SIGTERM and SIGINT
    Serve,
    /// Make a superuser; prompts for anything that is not given
    Createsuperuser(createsuperuser::Args),
    /// Change a user's password, which ends the user's auth tokens; prompts for it
    Changepassword(changepassword::Args),
    /// Add tokens to a user's balance, or remove some; a server may be running
    Adjust(adjust::Args),
    /// Prove that every balance equals its ledger; names what is wrong and exits 1
    Verify,
    /// Write a checked copy of the SQLite database to a file, even while a server runs
    Backup(backup::Args),
    /// Replace the SQLite database with a backup, keeping the old one under a name with the date;
    /// stop the server first
    Restore(restore::Args),
    /// Build the index of the panel's lists and searches anew, even while a server runs; the server
    /// itself rebuilds one that is damaged or missing
    Reindex,
    /// Import users, auth tokens and chats from the database of a Django service; it is only read
    ImportDjango(Box<import_django::Args>),
    /// Apply the database migrations that are missing (serve does so by itself)
    Migrate(migrate::Args),
}

/// Why a command failed, as a text for the terminal.
type Refusal = String;

/// Runs the program. Returns its exit code.
pub fn main() -> ExitCode {
    usage::parse().map_or_else(|code| code, run)
}

fn run(cli: Cli) -> ExitCode {
    start_logging(&cli.config.log);
    let config = &cli.config;
    let outcome = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(config),
        Command::Createsuperuser(args) => createsuperuser::run(config, args),
        Command::Changepassword(args) => changepassword::run(config, args),
        Command::Adjust(args) => adjust::run(config, args),
        Command::Verify => verify::run(config),
        Command::Backup(args) => backup::run(config, &args),
        Command::Restore(args) => restore::run(config, &args),
        Command::Reindex => reindex::run(config),
        Command::ImportDjango(args) => import_django::run(config, *args),
        Command::Migrate(args) => migrate::run(config, &args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("tollgate: {refusal}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the log: lines with time and level on standard error.
fn start_logging(filter: &str) {
    let mut builder = env_logger::Builder::new();
    // actix logs the start and end of each worker. Naming the module in the filter turns this on
    // again.
    builder.filter_module("actix_server", log::LevelFilter::Warn);
    // actix-http logs malformed requests as errors, so any port scanner could flood the log.
    builder.filter_module("actix_http", log::LevelFilter::Off);
    builder.parse_filters(filter).format_timestamp_millis().format_target(false);
    if builder.try_init().is_err() {
        eprintln!("tollgate: a logger is already set");
    }
}

/// Opens the configured database, migrated, for a command that changes data.
fn open(config: &Config) -> Result<Db, Refusal> {
    migrated(Db::open_to_change(&config.db_options()).map_err(explain)?)
}

/// Applies the missing migrations.
fn migrated(db: Db) -> Result<Db, Refusal> {
    for name in db.migrate().map_err(|error| error.to_string())? {
        log::info!("migrated the database: {name}");
    }
    Ok(db)
}

/// Opens an existing database that has all migrations. A mistyped path must not make a new
/// database, and a newer binary must not change the tables under a running server.
fn open_migrated(config: &Config) -> Result<Db, Refusal> {
    check_migrated(open_existing(config)?)
}

/// Like [`open_migrated`], for a command that changes data.
fn open_migrated_to_change(config: &Config) -> Result<Db, Refusal> {
    must_exist(config)?;
    check_migrated(Db::open_to_change(&config.db_options()).map_err(explain)?)
}

fn check_migrated(db: Db) -> Result<Db, Refusal> {
    let states = db.migration_state().map_err(|error| error.to_string())?;
    match states.iter().filter(|state| !state.applied).count() {
        0 => Ok(db),
        missing => Err(format!("{} lacks {missing} migrations: run `tollgate migrate`", db.url())),
    }
}

fn open_existing(config: &Config) -> Result<Db, Refusal> {
    must_exist(config)?;
    Db::open(&config.db_options()).map_err(explain)
}

fn must_exist(config: &Config) -> Result<(), Refusal> {
    match config.database.database_url.sqlite_path() {
        Some(path) if !path.exists() => {
            Err(format!("there is no database {}: check --database-url", path.display()))
        }
        _ => Ok(()),
    }
}

/// Runs the asynchronous part of a command.
fn block_on<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start the runtime: {error}"))?.block_on(work)
}

fn find_user(db: &Db, name: &str) -> Result<User, Refusal> {
    let canonical = crate::domain::canonical_of(name);
    let found = db.read_blocking(|conn| Ok(User::find_by_name(conn, name, &canonical)?)).map_err(explain)?;
    found.ok_or_else(|| match name.starts_with('-') {
        true => format!("there is no user {name:?}; was an option meant? Options stand before --"),
        false => format!("there is no user {name:?}"),
    })
}

/// Returns the error's text, with the details that the log would have.
fn explain(error: Error) -> Refusal {
    error.in_full()
}
