//! `tollgate completions SHELL`.

use std::io::{self, Write};

use clap::ValueEnum;
use clap_complete::aot::{Bash, Fish, Zsh, generate};

use super::Refusal;
use super::command_line::shown_command_line;

const AFTER_HELP: &str = "\
Examples:
  tollgate completions bash >/usr/share/bash-completion/completions/tollgate
  tollgate completions zsh >/usr/share/zsh/site-functions/_tollgate
  tollgate completions fish >/usr/share/fish/vendor_completions.d/tollgate.fish";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// The shells that there are scripts for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(args: &Args) -> Result<(), Refusal> {
    let mut command = shown_command_line();
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => generate(Bash, &mut command, "tollgate", &mut script),
        Shell::Zsh => generate(Zsh, &mut command, "tollgate", &mut script),
        Shell::Fish => generate(Fish, &mut command, "tollgate", &mut script),
    }
    io::stdout().write_all(&script).map_err(|error| format!("cannot write the script: {error}"))
}
