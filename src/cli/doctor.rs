//! `tollgate doctor`: checks what a server depends on, and says what to do. It changes nothing.

mod around;
mod backups;
mod certificate;
mod check;
mod machine;
mod settings;
mod storage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;
use serde_json::json;

use super::command_line::{command_line, without_variables};
use super::output::{print_json, print_line};
use super::{Cli, Command, Refusal, block_on};
use crate::config::{Config, Settings};
use check::{Check, State};

const AFTER_HELP: &str = "\
Run it as the user that runs the server, with the same settings. Exit codes: 0 if nothing fails
(there may be warnings), 1 if something does.";

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Write the checks to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, config: &Config, settings: &Settings) -> Result<ExitCode, Refusal> {
    let mut checks = settings::check(config, settings);
    checks.push(machine::open_files(config));
    checks.push(machine::file_modes(config, settings));
    let storage = storage::check(config);
    checks.extend(storage.checks);
    checks.push(backups::check(config));
    checks.push(certificate::check(config));
    let (around, clocks) = block_on(async { Ok(around::check(config).await) })?;
    checks.push(machine::clock(storage.clock.into_iter().chain(clocks)));
    checks.extend(around);
    report(args, &checks)
}

impl Args {
    /// Reports settings that cannot be used, so that nothing else can be checked.
    pub(super) fn report_unusable(&self, why: &str) -> ExitCode {
        let advice = "correct this setting, and run doctor again: nothing else was checked";
        let check = Check::new("settings", State::Failure, why, advice);
        report(self, &[check]).unwrap_or(ExitCode::FAILURE)
    }
}

/// Returns the arguments of the command `doctor`, if it is the command of a command line whose
/// variables or settings file are wrong.
pub(super) fn of_words(words: &[OsString]) -> Option<Args> {
    let matches = without_variables(command_line()).try_get_matches_from(words).ok()?;
    match Cli::from_arg_matches(&matches).ok()?.command {
        Some(Command::Doctor(args)) => Some(args),
        _ => None,
    }
}

fn report(args: &Args, checks: &[Check]) -> Result<ExitCode, Refusal> {
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (failures, warnings) = (count(State::Failure), count(State::Warning));
    if args.json {
        print_json(&json!({ "ok": failures == 0, "checks": checks }))?;
    } else {
        checks.iter().try_for_each(|check| print_line(format_args!("{check}")))?;
        print_line(format_args!("{} checks, {failures} failures, {warnings} warnings", checks.len()))?;
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
