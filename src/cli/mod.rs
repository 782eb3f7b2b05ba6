//! The command line: one file per command. Exit codes: 0 for success, 1 for a failure, 2 for bad
//! usage (from clap).

mod adjust;
mod backup;
mod changepassword;
mod command_line;
mod completions;
mod createsuperuser;
mod demo;
mod doctor;
mod health;
mod import_django;
mod man;
mod migrate;
mod output;
mod passwords;
mod reindex;
mod reload;
mod restore;
mod serve;
mod service_manager;
mod show_config;
mod usage;
mod verify;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use output::print_failure;
use usage::{Loaded, Unusable, load};

use crate::config::{Config, Database, DatabaseAddress};
use crate::db::Db;
use crate::error::Error;
use crate::logging::{self, LogFormat};
use crate::models::User;

/// Tollgate: a metered chat server. It sells chat messages against a prepaid token balance.
///
/// Without a command it serves. Settings may stand before or after the command. A flag comes before
/// its environment variable, the variable before the settings file (--config), and the file before
/// the default.
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
  tollgate demo                                   look at the panel, on a scratch database with sample data
  tollgate createsuperuser                        make the first administrator
  tollgate adjust ada 500 --note 'March top-up'   give tokens, also while a server runs
  tollgate backup tollgate-monday.db              copy the database, also while a server runs
  tollgate --database-url postgres://tollgate@db/tollgate verify
  tollgate --config tollgate.toml doctor          check the settings and the machine

`tollgate COMMAND --help` lists the settings that a command reads.

Exit codes: 0 success, 1 failure, 2 bad usage.";

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the API (the default): migrates the database first, drains on SIGTERM and SIGINT
    Serve,
    /// Serve a scratch database with sample data and a superuser, to look at the panel; the end
    /// deletes it
    Demo(demo::Args),
    /// Make a superuser; prompts for anything that is not given
    Createsuperuser(createsuperuser::Args),
    /// Change a user's password, which ends the user's auth tokens; prompts for it
    Changepassword(changepassword::Args),
    /// Add tokens to a user's balance, or remove some; a server may be running
    Adjust(adjust::Args),
    /// Prove that every balance equals its ledger; names what is wrong and exits 1
    Verify(verify::Args),
    /// Write a checked copy of the SQLite database to a file, even while a server runs
    Backup(backup::Args),
    /// Replace the SQLite database with a backup, keeping the old one under a name with the date;
    /// stop the server first
    Restore(restore::Args),
    /// Build the index of the panel's lists and searches anew, even while a server runs; the server
    /// itself rebuilds one that is damaged or missing
    Reindex(reindex::Args),
    /// Import users, auth tokens and chats from the database of a Django service; it is only read
    ImportDjango(Box<import_django::Args>),
    /// Apply the database migrations that are missing (serve does so by itself)
    Migrate(migrate::Args),
    /// Print the values of all settings, and where each came from, without secrets
    Config(show_config::Args),
    /// Check the settings, the machine and what is around the server, and say what to do; changes
    /// nothing
    Doctor(doctor::Args),
    /// Ask the server on this machine whether it is alive, for container engines and scripts
    Health(health::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man,
}

impl Command {
    /// Returns whether it writes one JSON document to standard output, also when it fails.
    fn writes_json(&self) -> bool {
        match self {
            Command::Demo(args) => args.json,
            Command::Createsuperuser(args) => args.json,
            Command::Changepassword(args) => args.json,
            Command::Adjust(args) => args.json,
            Command::Verify(args) => args.json,
            Command::Backup(args) => args.json,
            Command::Restore(args) => args.json,
            Command::Reindex(args) => args.json,
            Command::ImportDjango(args) => args.json,
            Command::Migrate(args) => args.json,
            Command::Config(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Health(args) => args.json,
            Command::Serve | Command::Completions(_) | Command::Man => false,
        }
    }
}

/// Why a command failed, as a text for the terminal.
type Refusal = String;

/// Runs the program. Returns its exit code.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    match load(&words) {
        Ok(loaded) => run(loaded),
        Err(unusable) => match (&unusable, doctor::of_words(&words)) {
            (Unusable::Setting(why), Some(doctor)) => doctor.report_unusable(why),
            _ => unusable.print(&words),
        },
    }
}

/// Runs a command. Each gets only the settings that its help lists.
fn run(Loaded { cli, settings }: Loaded) -> ExitCode {
    let config = &cli.config;
    if let Err(why) = logging::start(&config.log, config.log_format) {
        eprintln!("tollgate: the log cannot be started: {why}");
    }
    let command = cli.command.unwrap_or(Command::Serve);
    let writes_json = command.writes_json();
    let serves = matches!(command, Command::Serve | Command::Demo(_));
    let logs_json = serves && config.log_format == LogFormat::Json;
    let done = |()| ExitCode::SUCCESS;
    let outcome = match command {
        Command::Serve => serve::run(config, settings).map(done),
        Command::Demo(args) => demo::run(&args, config, settings).map(done),
        Command::Createsuperuser(args) => createsuperuser::run(args).map(done),
        Command::Changepassword(args) => changepassword::run(args).map(done),
        Command::Adjust(args) => adjust::run(args).map(done),
        Command::Verify(args) => verify::run(&args),
        Command::Backup(args) => backup::run(&args).map(done),
        Command::Restore(args) => restore::run(&args).map(done),
        Command::Reindex(args) => reindex::run(&args).map(done),
        Command::ImportDjango(args) => import_django::run(*args),
        Command::Migrate(args) => migrate::run(&args).map(done),
        Command::Config(args) => show_config::run(&args, &settings).map(done),
        Command::Doctor(args) => doctor::run(&args, config, &settings),
        Command::Health(args) => health::run(&args).map(done),
        Command::Completions(args) => completions::run(&args).map(done),
        Command::Man => man::run().map(done),
    };
    outcome.unwrap_or_else(|refusal| {
        if writes_json {
            print_failure(&refusal);
        }
        match logs_json {
            // Programs that read the log get nothing else.
            true => logging::announce(log::Level::Error, &refusal),
            false => eprintln!("tollgate: {refusal}"),
        }
        ExitCode::FAILURE
    })
}

/// Opens the configured database, migrated, for a command that changes data.
fn open(database: &Database) -> Result<Db, Refusal> {
    migrated(Db::open_to_change(&database.options()).map_err(explain)?)
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
fn open_migrated(database: &Database) -> Result<Db, Refusal> {
    check_migrated(open_existing(database)?)
}

/// Like [`open_migrated`], for a command that changes data.
fn open_migrated_to_change(database: &Database) -> Result<Db, Refusal> {
    must_exist(&database.address)?;
    check_migrated(Db::open_to_change(&database.options()).map_err(explain)?)
}

fn check_migrated(db: Db) -> Result<Db, Refusal> {
    let states = db.migration_state().map_err(|error| error.to_string())?;
    match states.iter().filter(|state| !state.applied).count() {
        0 => Ok(db),
        missing => Err(format!("{} lacks {missing} migrations: run `tollgate migrate`", db.url())),
    }
}

fn open_existing(database: &Database) -> Result<Db, Refusal> {
    must_exist(&database.address)?;
    Db::open(&database.options()).map_err(explain)
}

fn must_exist(address: &DatabaseAddress) -> Result<(), Refusal> {
    match address.database_url.sqlite_path() {
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
