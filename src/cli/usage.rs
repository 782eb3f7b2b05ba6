//! Reads the command line, the variables and the settings file. A flag comes before a variable, a
//! variable before the file, and the file before the default.
//!
//! Errors name the setting and where its value came from. They end up in the logs of service
//! managers, so values that may contain a password are removed.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, FromArgMatches};

use super::Cli;
use super::command_line::{command_line, reads_no_setting, settings_of, with_defaults, without_variables};
use super::output::print_failure;
use crate::config::{
    Given, NOT_SHOWN, Origin, SecretText, Settings, SettingsFile, UPSTREAM_KEY, advice, check, is_path,
    may_hold_secret, quoted, read_secret,
};

/// Flags that are no settings, and whose values may hold a secret all the same.
const MORE_SECRETS: [&str; 2] = ["--from", "--from-url-file"];
/// The variable that may hold the upstream's key.
const KEY_VARIABLE: &str = "TOLLGATE_UPSTREAM_KEY";
/// A shorter value would also match words of the error itself.
const SHORTEST_SECRET: usize = 4;

/// A command line that was read, with all settings.
pub(super) struct Loaded {
    pub(super) cli: Cli,
    /// The settings, and where they came from.
    pub(super) settings: Settings,
}

/// Why a command line cannot be used.
pub(super) enum Unusable {
    /// clap's own text: an error of usage, the help, or the version.
    Usage(Box<clap::Error>),
    /// A sentence on a setting, without secrets.
    Setting(String),
}

impl From<clap::Error> for Unusable {
    fn from(error: clap::Error) -> Unusable {
        Unusable::Usage(Box::new(error))
    }
}

impl From<String> for Unusable {
    fn from(why: String) -> Unusable {
        Unusable::Setting(why)
    }
}

impl Unusable {
    /// Prints why a command line cannot be used, or the help. Returns the exit code.
    pub(super) fn print(&self, words: &[OsString]) -> ExitCode {
        match self {
            Unusable::Usage(error) => {
                match error.use_stderr() {
                    true => eprint!("{}", without(&error.render().to_string(), &secrets(words))),
                    // This was a request for help or the version.
                    false => drop(error.print()),
                }
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
            Unusable::Setting(why) => {
                if wants_json(words) {
                    print_failure(why);
                }
                eprintln!("error: {why}\n\n`tollgate --help` describes all settings.");
                ExitCode::from(2)
            }
        }
    }
}

/// Reads a command line, with variables and the settings file as they are now.
///
/// # Errors
/// Fails with what is wrong.
pub(super) fn load(words: &[OsString]) -> Result<Loaded, Unusable> {
    let command = command_line();
    if let Some((variable, flag)) = unreadable_variable(&command) {
        let why =
            format!("{variable}, the variable of --{flag}, is not UTF-8 text: set it to text, or unset it");
        return Err(why.into());
    }
    let matches = command.clone().try_get_matches_from(words).map_err(|error| explain(error, words))?;
    if matches.subcommand_name().is_some_and(reads_no_setting) {
        return Ok(Loaded { cli: Cli::from_arg_matches(&matches)?, settings: Settings::default() });
    }
    let mut more = More::of_file(&command, &matches)?;
    more.add_database_url(&command, &matches)?;
    more.choose_upstream_key(&matches)?;
    let matches = match more.given.is_empty() {
        true => matches,
        false => with_defaults(command.clone(), &more.given).try_get_matches_from(words)?,
    };
    let mut cli = Cli::from_arg_matches(&matches)?;
    let mut settings = Settings::of(&command, &matches, &more.given);
    // A file that cannot be read is reported when the key is needed.
    let key_file = more.path(&matches, "upstream-key-file");
    let contents = key_file.and_then(|(file, _)| read_secret("", "", &file).ok());
    let key = more.upstream_key;
    settings.add_upstream_key(key.as_ref().map(|(key, origin)| (key, origin.clone())), contents);
    cli.config.upstream.upstream_key = key.map(|(key, _)| key);
    Ok(Loaded { cli, settings })
}

/// What neither a flag nor a variable of clap gives.
#[derive(Default)]
struct More {
    given: Given,
    upstream_key: Option<(SecretText, Origin)>,
}

impl More {
    /// Reads the settings file, if there is one.
    fn of_file(command: &Command, matches: &ArgMatches) -> Result<More, String> {
        let Some(path) = matches.get_one::<PathBuf>("config_file") else { return Ok(More::default()) };
        let settings: Vec<Arg> = settings_of(command).cloned().collect();
        let file = SettingsFile::read(path, &settings)?;
        let at = |line| Origin::File(file.path.clone(), line);
        let upstream_key = file.upstream_key.map(|(key, line)| (key, at(line)));
        let given = file.settings.into_iter().map(|it| (it.name, (it.value, at(it.line))));
        Ok(More { given: given.collect(), upstream_key })
    }

    /// Returns the path that a setting has, and where it was set.
    fn path(&self, matches: &ArgMatches, name: &str) -> Option<(PathBuf, String)> {
        let id = name.replace('-', "_");
        match (matches.value_source(&id), self.given.get(name)) {
            (Some(ValueSource::CommandLine), _) => {
                Some((matches.get_one::<PathBuf>(&id)?.clone(), format!("--{name}")))
            }
            (Some(ValueSource::EnvVariable), _) => {
                Some((matches.get_one::<PathBuf>(&id)?.clone(), format!("the variable of --{name}")))
            }
            (_, Some((value, origin))) => Some((PathBuf::from(value), format!("{name} ({origin})"))),
            (_, None) => None,
        }
    }

    /// Reads the database's URL from its file, if there is one.
    fn add_database_url(&mut self, command: &Command, matches: &ArgMatches) -> Result<(), String> {
        let (name, id) = ("database-url", "database_url");
        let Some((file, place)) = self.path(matches, "database-url-file") else { return Ok(()) };
        let other = match (matches.value_source(id), self.given.get(name)) {
            (Some(ValueSource::CommandLine), _) => Some(format!("--{name}")),
            (Some(ValueSource::EnvVariable), _) => Some("DATABASE_URL".to_owned()),
            (_, Some((_, origin))) => Some(format!("{name} ({origin})")),
            (_, None) => None,
        };
        if let Some(other) = other {
            return Err(format!(
                "{place} and {other} are both given, and both set the database: give only one"
            ));
        }
        let url = read_secret("--database-url-file", "the URL of the database", &file)?;
        let setting = settings_of(command).find(|setting| setting.get_id() == id);
        if let Some(setting) = setting {
            check(setting, url.expose()).map_err(|why| format!("{place}: the URL in the file: {why}"))?;
        }
        self.given.insert(name.to_owned(), (url.expose().to_owned(), Origin::SecretFile(file)));
        Ok(())
    }

    /// Takes the upstream's key from its variable, which comes before the settings file.
    fn choose_upstream_key(&mut self, matches: &ArgMatches) -> Result<(), String> {
        match env::var(KEY_VARIABLE) {
            Ok(key) if !key.trim().is_empty() => {
                self.upstream_key = Some((SecretText::new(key), Origin::Variable(KEY_VARIABLE.to_owned())));
            }
            Ok(_) | Err(env::VarError::NotPresent) => {}
            // The error's own text would show the key.
            Err(env::VarError::NotUnicode(_)) => {
                return Err(format!("{KEY_VARIABLE} is not text: set it to the upstream's API key"));
            }
        }
        self.upstream_key = self.upstream_key.take().filter(|(key, _)| !key.expose().is_empty());
        let file = self.path(matches, "upstream-key-file");
        if let (Some((_, origin)), Some((_, place))) = (&self.upstream_key, file) {
            let key = match origin {
                Origin::Variable(name) => name.clone(),
                origin => format!("{UPSTREAM_KEY} ({origin})"),
            };
            return Err(format!(
                "{place} and {key} are both given, and both set the upstream's key: give only one"
            ));
        }
        Ok(())
    }
}

/// Describes the value of a setting that clap rejects in our own words. All other errors stay as
/// they are, without what may be a secret.
fn explain(mut error: clap::Error, words: &[OsString]) -> Unusable {
    let argument = text_of(&error, ContextKind::InvalidArg);
    let flag = argument.split_whitespace().next().unwrap_or_default();
    let name = flag.trim_start_matches("--");
    let command = command_line();
    let setting = settings_of(&command).find(|setting| setting.get_long() == Some(name));
    let is_about_a_value = matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
    let value = text_of(&error, ContextKind::InvalidValue);
    if let (true, Some(setting)) = (is_about_a_value, setting) {
        let (value, advice) = (quoted(name, &value), advice(&error));
        let is_by_flag = match without_variables(command.clone()).try_get_matches_from(words) {
            Ok(_) => false,
            Err(other) => text_of(&other, ContextKind::InvalidArg) == argument,
        };
        let variable = setting.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let why = match is_by_flag {
            true => format!("{argument} is {value}: {advice}"),
            false => format!("{variable}, the variable of {argument}, is {value}: {advice}"),
        };
        return Unusable::Setting(without(&why, &secrets(words)));
    }
    if may_hold_secret(name) || MORE_SECRETS.contains(&flag) {
        error.insert(ContextKind::InvalidValue, ContextValue::String(NOT_SHOWN.to_owned()));
    }
    error.into()
}

fn text_of(error: &clap::Error, kind: ContextKind) -> String {
    error.get(kind).map(ToString::to_string).unwrap_or_default()
}

/// Returns one of our variables that is not valid text. clap would not say which. A path need not
/// be text.
fn unreadable_variable(command: &Command) -> Option<(String, String)> {
    settings_of(command).find_map(|setting| {
        let variable = setting.get_env()?;
        let flag = setting.get_long()?;
        let value = env::var_os(variable).filter(|_| !is_path(flag))?;
        value.to_str().is_none().then(|| (variable.to_string_lossy().into_owned(), flag.to_owned()))
    })
}

/// Returns whether a command should write JSON. Of an unusable command line nothing else is known.
fn wants_json(words: &[OsString]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// Returns everything on the command line that may be a secret: the values of those settings, and
/// anything that looks like a URL or a login.
fn secrets(words: &[OsString]) -> Vec<String> {
    let takes_a_secret =
        |flag: &str| flag.strip_prefix("--").is_some_and(may_hold_secret) || MORE_SECRETS.contains(&flag);
    let mut found = Vec::new();
    let mut is_value = false;
    for word in words.iter().skip(1) {
        let word = word.to_string_lossy().into_owned();
        let (flag, value) = word.split_once('=').unwrap_or((&word, &word));
        let of_setting = takes_a_secret(flag);
        if is_value || of_setting || word.contains("://") || word.contains('@') {
            found.push(word.clone());
            found.extend(value.split(',').map(str::to_owned));
            found.push(value.to_owned());
        }
        is_value = of_setting && !word.contains('=');
    }
    found.retain(|secret| secret.len() >= SHORTEST_SECRET && !takes_a_secret(secret));
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
        let words = [
            "tollgate",
            "serve",
            "--public-url",
            "s-1-of-mine",
            "--database-url=s-2-of-mine",
            "mysql://u:s3@h",
            "x@y",
        ];
        let found = secrets(&words.map(OsString::from));
        let said = "s-1-of-mine s-2-of-mine 'mysql://u:s3@h' --database-url serve";
        assert_eq!(without(said, &found), "(not shown) (not shown) '(not shown)' --database-url serve");
    }

    #[test]
    fn json_is_wanted_before_two_hyphens_only() {
        let wants = |words: &[&str]| wants_json(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(wants(&["tollgate", "verify", "--json"]));
        assert!(!wants(&["tollgate", "adjust", "--", "--json", "5"]));
    }
}
