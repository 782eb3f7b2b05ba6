//! The command line as clap sees it.

use std::collections::BTreeMap;

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use crate::config::{Given, Origin};

/// The commands that read all settings.
const READ_ALL: [&str; 4] = ["serve", "demo", "config", "doctor"];
/// The commands that read no setting.
const READ_NONE: [&str; 2] = ["completions", "man"];
/// The settings that all other commands read, by their flags.
const READ_BY_ALL: [&str; 3] = ["config", "log", "log-format"];

/// Returns the command line. The help of a command shows only the settings that the command reads:
/// those that its own arguments contain. It accepts the others too, because a script may give all
/// commands the same settings.
pub(super) fn command_line() -> Command {
    let command = Cli::command();
    let settings: Vec<Arg> = settings_of(&command).cloned().collect();
    command.mut_subcommands(|command| hide_unread(command, &settings))
}

/// Returns the settings of a command line.
pub(super) fn settings_of(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| argument.is_global_set())
}

/// Returns whether a command reads no setting.
pub(super) fn reads_no_setting(command: &str) -> bool {
    READ_NONE.contains(&command)
}

fn hide_unread(command: Command, settings: &[Arg]) -> Command {
    let unread: Vec<&Arg> = settings.iter().filter(|setting| !reads(&command, setting)).collect();
    unread.into_iter().fold(command, |command, setting| command.arg(setting.clone().hide(true)))
}

/// Returns whether a command reads a setting.
fn reads(command: &Command, setting: &Arg) -> bool {
    let name = command.get_name();
    let is_for_all = setting.get_long().is_some_and(|flag| READ_BY_ALL.contains(&flag));
    READ_ALL.contains(&name) || has(command, setting) || is_for_all && !reads_no_setting(name)
}

fn has(command: &Command, setting: &Arg) -> bool {
    command.get_arguments().any(|own| own.get_id() == setting.get_id())
}

/// Returns a command line for completion, in which a command has exactly what its help shows:
/// scripts for shells also complete what is hidden.
pub(super) fn shown_command_line() -> Command {
    let command = Cli::command();
    let settings: Vec<Arg> = settings_of(&command).map(|setting| setting.clone().global(false)).collect();
    let command = command.mut_args(|argument| argument.global(false));
    command.mut_subcommands(|command| {
        let missing = |setting: &&Arg| reads(&command, setting) && !has(&command, setting);
        let missing: Vec<&Arg> = settings.iter().filter(missing).collect();
        missing.into_iter().fold(command, |command, setting| command.arg(setting.clone()))
    })
}

/// Returns a command line that reads no variable.
pub(super) fn without_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| argument.env(None::<&str>));
    command.mut_subcommands(without_variables)
}

/// Returns a command line with other defaults.
pub(super) fn with_defaults(command: Command, given: &Given) -> Command {
    let defaults = settings_of(&command).filter_map(|setting| {
        let (value, _): &(String, Origin) = given.get(setting.get_long()?)?;
        Some((setting.get_id().to_string(), value.clone()))
    });
    let defaults: BTreeMap<String, String> = defaults.collect();
    set_defaults(command, &defaults)
}

/// A command has a copy of some settings, and each copy has its own default.
fn set_defaults(command: Command, defaults: &BTreeMap<String, String>) -> Command {
    let command = command.mut_args(|argument| match defaults.get(argument.get_id().as_str()) {
        Some(value) => argument.default_value(value.clone()),
        None => argument,
    });
    command.mut_subcommands(|command| set_defaults(command, defaults))
}
