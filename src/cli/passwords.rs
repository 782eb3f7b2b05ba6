//! Reads a password: asked for twice on the terminal without echo, or taken from standard input.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::Args;

use super::Refusal;
use crate::domain::is_same_password;

#[derive(Args, Debug)]
pub(super) struct PasswordSource {
    /// Read the password from the first line of standard input instead of asking
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordSource {
    pub(super) fn read(&self) -> Result<String, Refusal> {
        if self.password_stdin {
            return line("a password");
        }
        if !io::stdin().is_terminal() {
            return Err("there is no terminal to ask for the password: use --password-stdin".to_owned());
        }
        let ask = |prompt: &str| {
            rpassword::prompt_password(prompt).map_err(|error| format!("no password: {error}"))
        };
        let first = ask("Password: ")?;
        if !is_same_password(&first, &ask("Password (again): ")?) {
            return Err("the two passwords differ; nothing was changed".to_owned());
        }
        Ok(first)
    }
}

/// Asks for a line on the terminal.
pub(super) fn ask(what: &str) -> Result<String, Refusal> {
    if !io::stdin().is_terminal() {
        return Err(format!("there is no terminal to ask for the {what}: give it as --{what}"));
    }
    print!("{what}: ");
    io::stdout().flush().map_err(|error| error.to_string())?;
    line(what)
}

/// The longest line that is read, in bytes: four times the longest password.
const MOST_BYTES: u64 = 4096;

/// Reads one line. Errors do not contain any of it.
fn line(what: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    let mut input = io::stdin().lock().take(MOST_BYTES + 1);
    input.read_until(b'\n', &mut bytes).map_err(|error| format!("cannot read {what}: {error}"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("cannot read {what}: the line is longer than {MOST_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("cannot read {what}: it is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
