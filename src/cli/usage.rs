//! Reads the command line. clap's errors quote a wrong value, but errors of a service end up in
//! logs. So values that may contain a password are removed.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};

use super::Cli;

/// Settings whose values may hold a secret, or where somebody may enter one by mistake.
const MAY_HOLD_SECRETS: [&str; 6] =
    ["--database-url", "--public-url", "--cors-origins", "--upstream-url", "--upstream-key-file", "--from"];
/// The only setting whose value need not be valid text.
const PATHS: [&str; 1] = ["upstream_key_file"];
/// A shorter value would also match words of the error itself.
const SHORTEST_SECRET: usize = 4;
const NOT_SHOWN: &str = "(not shown)";

/// Reads arguments and variables.
///
/// # Errors
/// clap's exit code, after the error was printed.
pub(super) fn parse() -> Result<Cli, ExitCode> {
    if let Some((variable, flag)) = unreadable_variable() {
        eprintln!("error: {variable}, the variable of --{flag}, is not UTF-8 text");
        return Err(ExitCode::from(2));
    }
    Cli::try_parse().map_err(|mut error| {
        let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        if !error.use_stderr() {
            // This was a request for help or the version.
            let _ = error.print();
            return code;
        }
        let setting = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
        let flag = setting.split_whitespace().next().unwrap_or_default();
        if MAY_HOLD_SECRETS.contains(&flag) {
            error.insert(ContextKind::InvalidValue, ContextValue::String(NOT_SHOWN.to_owned()));
        }
        eprint!("{}", without(&error.render().to_string(), &secrets(env::args_os().skip(1))));
        code
    })
}

/// Returns one of our variables that is not valid text. clap would not say which.
fn unreadable_variable() -> Option<(String, String)> {
    let command = Cli::command();
    let mut arguments =
        command.get_arguments().filter(|argument| !PATHS.contains(&argument.get_id().as_str()));
    arguments.find_map(|argument| {
        let variable = argument.get_env()?;
        let value = env::var_os(variable)?;
        let flag = argument.get_long().unwrap_or_default().to_owned();
        value.to_str().is_none().then(|| (variable.to_string_lossy().into_owned(), flag))
    })
}

/// Returns everything on the command line that may be a secret: the values of those settings, and
/// anything that looks like a URL or a login.
fn secrets(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_value = false;
    for argument in arguments {
        let argument = argument.to_string_lossy().into_owned();
        let (flag, value) = argument.split_once('=').unwrap_or((&argument, &argument));
        let of_setting = MAY_HOLD_SECRETS.contains(&flag);
        if is_value || of_setting || argument.contains("://") || argument.contains('@') {
            found.push(argument.clone());
            found.extend(value.split(',').map(str::to_owned));
            found.push(value.to_owned());
        }
        is_value = of_setting && !argument.contains('=');
    }
    found.retain(|secret| secret.len() >= SHORTEST_SECRET && !MAY_HOLD_SECRETS.contains(&secret.as_str()));
    // The longest first, so that no part of a longer secret remains.
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found
}

fn without(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, NOT_SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let words =
            ["serve", "--public-url", "s-1-of-mine", "--database-url=s-2-of-mine", "mysql://u:s3@h", "x@y"];
        let found = secrets(words.into_iter().map(OsString::from));
        let said = "s-1-of-mine s-2-of-mine 'mysql://u:s3@h' --database-url serve";
        assert_eq!(without(said, &found), "(not shown) (not shown) '(not shown)' --database-url serve");
    }
}
