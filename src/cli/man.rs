//! `tollgate man`: one page with all commands.

use std::io::{self, Write};

use clap::Arg;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Refusal;
use super::command_line::command_line;

/// A command with as many settings as this reads all of them.
const MANY: usize = 30;

pub(super) fn run() -> Result<(), Refusal> {
    let page = page().map_err(|error| format!("cannot make the page: {error}"))?;
    io::stdout().write_all(&page).map_err(|error| format!("cannot write the page: {error}"))
}

/// Returns the page of `tollgate`, with a section on each command and its own options. The settings
/// of all commands are described once, with `tollgate` itself.
fn page() -> io::Result<Vec<u8>> {
    let mut command = command_line();
    // Sets the names and the number of values of all arguments.
    command.build();
    let man = Man::new(command.clone()).manual("Tollgate");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        add_command(&mut roff, command);
    }
    roff.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_extra_section(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

fn add_command(roff: &mut Roff, command: &clap::Command) {
    roff.control("SS", [format!("tollgate {}", command.get_name()).as_str()]);
    if let Some(about) = command.get_about() {
        roff.text([roman(format!("{about}."))]);
    }
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let (settings, own): (Vec<&Arg>, Vec<&Arg>) = shown.partition(|argument| argument.is_global_set());
    let is_help = |argument: &&&Arg| ["help", "version"].contains(&argument.get_id().as_str());
    for argument in own.iter().filter(|argument| !is_help(argument)) {
        let value = argument.get_value_names().unwrap_or_default().join(" ");
        let takes_value = argument.get_action().takes_values();
        let head = match (argument.get_long(), takes_value) {
            (None, _) => format!("<{value}>"),
            (Some(flag), false) => format!("--{flag}"),
            (Some(flag), true) => format!("--{flag} <{value}>"),
        };
        roff.control("TP", []);
        roff.text([bold(head)]);
        roff.text([roman(argument.get_help().map(ToString::to_string).unwrap_or_default())]);
    }
    let flags: Vec<String> =
        settings.iter().filter_map(|setting| Some(format!("--{}", setting.get_long()?))).collect();
    // Commands that read all settings need no list of them.
    if (1..MANY).contains(&flags.len()) {
        roff.control("PP", []);
        roff.text([roman(format!("It reads the settings {}.", flags.join(", ")))]);
    }
    if let Some(more) = command.get_after_help() {
        roff.control("PP", []);
        roff.control("nf", []);
        for line in more.to_string().lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
}
