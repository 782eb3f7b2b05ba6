//! The values in force, and where each came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::file::UPSTREAM_KEY;
use super::secret::SecretText;
use crate::db::DatabaseUrl;

/// Where the value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag,
    /// An environment variable. Contains its name.
    Variable(String),
    /// The settings file. Contains its path, and the line.
    File(PathBuf, usize),
    /// A file that holds only this value. Contains its path.
    SecretFile(PathBuf),
    /// Nothing was given.
    Default,
}

impl Origin {
    /// Returns the kind of the origin, as one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Origin::Flag => "flag",
            Origin::Variable(_) => "variable",
            Origin::File(..) => "file",
            Origin::SecretFile(_) => "secret-file",
            Origin::Default => "default",
        }
    }

    /// Returns the variable, or the file with the line. `None` for a flag and a default.
    pub fn place(&self) -> Option<String> {
        match self {
            Origin::Flag | Origin::Default => None,
            Origin::Variable(name) => Some(name.clone()),
            Origin::File(path, line) => Some(format!("{}:{line}", path.display())),
            Origin::SecretFile(path) => Some(path.display().to_string()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.place()) {
            (Origin::Variable(name), _) => write!(f, "variable {name}"),
            (_, Some(place)) => f.write_str(&place),
            (_, None) => f.write_str(self.kind()),
        }
    }
}

/// A value that neither a flag nor a variable gave, and where it came from.
pub type Given = BTreeMap<String, (String, Origin)>;

/// A setting with its value, for people.
#[derive(Clone)]
pub struct Setting {
    /// The name of its flag, without the hyphens.
    pub name: String,
    /// The heading under which `--help` lists it.
    pub heading: String,
    /// The value without its secrets. `None` if there is none.
    pub value: Option<String>,
    /// Whether a part of the value is left out, because it is secret.
    pub is_hidden: bool,
    /// What a missing value means, in words.
    pub default_meaning: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
    /// The whole value, to tell whether it changed.
    whole: String,
}

/// All settings, in the order of `--help`.
#[derive(Clone, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// Collects the settings of a command line that was parsed. `given` has the values that came
    /// neither from a flag nor from a variable; clap took them for defaults.
    pub fn of(command: &Command, matches: &ArgMatches, given: &Given) -> Settings {
        let settings = command.get_arguments().filter(|setting| setting.is_global_set());
        Settings(settings.filter_map(|setting| Setting::of(setting, matches, given)).collect())
    }

    /// Adds the key of the upstream, which has no flag. `contents` are those of the key's file, if
    /// there is one.
    pub fn add_upstream_key(&mut self, key: Option<(&SecretText, Origin)>, contents: Option<SecretText>) {
        let Some(at) = self.0.iter().position(|setting| setting.name == "upstream-key-file") else { return };
        if let Some(contents) = contents {
            self.0[at].whole.push_str(contents.expose());
        }
        let setting = Setting {
            name: UPSTREAM_KEY.to_owned(),
            heading: self.0[at].heading.clone(),
            value: key.as_ref().map(|_| "***".to_owned()),
            is_hidden: key.is_some(),
            default_meaning: Some("none".to_owned()),
            whole: key.as_ref().map_or(String::new(), |(key, _)| key.expose().to_owned()),
            origin: key.map_or(Origin::Default, |(_, origin)| origin),
        };
        self.0.insert(at, setting);
    }

    /// Returns each setting.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// Returns the setting of this name.
    pub fn find(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.name == name)
    }

    /// Returns the names of the settings whose values differ.
    pub fn changed_since(&self, before: &Settings) -> Vec<String> {
        let is_changed =
            |now: &&Setting| before.find(&now.name).is_none_or(|before| before.whole != now.whole);
        self.0.iter().filter(is_changed).map(|setting| setting.name.clone()).collect()
    }

    /// Takes over the values of the settings that satisfy a condition.
    pub fn adopt(&mut self, newer: &Settings, is_adopted: impl Fn(&str) -> bool) {
        for setting in self.0.iter_mut().filter(|setting| is_adopted(&setting.name)) {
            if let Some(newer) = newer.find(&setting.name) {
                *setting = newer.clone();
            }
        }
    }
}

impl Setting {
    fn of(setting: &Arg, matches: &ArgMatches, given: &Given) -> Option<Setting> {
        let (id, name) = (setting.get_id().as_str(), setting.get_long()?);
        let whole = matches.get_raw(id).map(|values| {
            let texts = values.map(|value| value.to_string_lossy().into_owned());
            texts.collect::<Vec<_>>().join(",")
        });
        let variable = || setting.get_env().map(|name| name.to_string_lossy().into_owned());
        let origin = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Origin::Flag,
            Some(ValueSource::EnvVariable) => Origin::Variable(variable().unwrap_or_default()),
            _ => given.get(name).map_or(Origin::Default, |(_, origin)| origin.clone()),
        };
        let value = whole.as_deref().map(|whole| without_secrets(name, whole));
        Some(Setting {
            name: name.to_owned(),
            heading: setting.get_help_heading().unwrap_or_default().to_owned(),
            is_hidden: value != whole,
            value: value.filter(|value| !value.is_empty()),
            default_meaning: default_meaning(setting),
            origin,
            whole: whole.unwrap_or_default(),
        })
    }

    /// Returns whether a settings file may have the value as it is printed.
    pub fn fits_a_file(&self) -> bool {
        self.value.is_some() && !self.is_hidden && self.name != "config"
    }

    /// Returns the file that the value names, if it is the path of one.
    pub fn path(&self) -> Option<&Path> {
        self.value.as_deref().filter(|_| is_path(&self.name)).map(Path::new)
    }
}

/// Returns whether the value of a setting is the path of a file.
pub fn is_path(name: &str) -> bool {
    ["config", "tls-certificate", "tls-key"].contains(&name) || name.ends_with("-file")
}

/// Returns the value of a setting for people. Parsers reject secrets in all other settings.
fn without_secrets(name: &str, value: &str) -> String {
    let shown = || value.parse::<DatabaseUrl>().ok().filter(DatabaseUrl::has_secret);
    match name {
        "database-url" => shown().map_or_else(|| value.to_owned(), |url| url.to_string()),
        _ => value.to_owned(),
    }
}

/// Returns what the help says about the default of a setting that has none for clap.
fn default_meaning(setting: &Arg) -> Option<String> {
    let help = setting.get_help()?.to_string();
    let (_, rest) = help.rsplit_once("[default: ")?;
    Some(rest.split_once(']')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;
    use crate::config::Config;

    /// Parses flags. `given` names the settings whose values count as those of a file.
    fn settings(flags: &[&str], given: &[&str]) -> Settings {
        let command = Config::augment_args(Command::new("tollgate")).mut_args(|arg| arg.env(None::<&str>));
        let matches = command.clone().no_binary_name(true).try_get_matches_from(flags).unwrap();
        let given =
            given.iter().map(|name| ((*name).to_owned(), (String::new(), Origin::File("t.toml".into(), 3))));
        Settings::of(&command, &matches, &given.collect())
    }

    #[test]
    fn each_setting_has_its_value_and_its_origin() {
        let flags = ["--bind", "127.0.0.1:1", "--cors-origins", "https://a.example,*"];
        let settings = settings(&flags, &["bind", "chat-price"]);
        let seen = |name: &str| {
            let setting = settings.find(name).unwrap();
            (setting.value.clone().unwrap_or_default(), setting.origin.to_string())
        };
        assert_eq!(seen("bind"), ("127.0.0.1:1".to_owned(), "flag".to_owned()));
        assert_eq!(seen("cors-origins"), ("https://a.example,*".to_owned(), "flag".to_owned()));
        assert_eq!(seen("chat-price"), ("100".to_owned(), "t.toml:3".to_owned()));
        assert_eq!(seen("opening-tokens"), ("4000".to_owned(), "default".to_owned()));
        assert_eq!(seen("workers"), (String::new(), "default".to_owned()));
        assert_eq!(settings.find("workers").unwrap().default_meaning.as_deref(), Some("one per core"));
        assert_eq!(settings.find("bind").unwrap().heading, "Serving");
    }

    #[test]
    fn passwords_and_keys_are_hidden() {
        let mut settings = settings(&["--database-url", "postgres://u:zq7@h/d?sslmode=require"], &[]);
        let key = SecretText::new("zq7".to_owned());
        settings.add_upstream_key(Some((&key, Origin::Variable("TOLLGATE_UPSTREAM_KEY".to_owned()))), None);
        for name in ["database-url", "upstream-key"] {
            let setting = settings.find(name).unwrap();
            assert!(setting.is_hidden && !setting.fits_a_file(), "{name}");
            assert!(setting.value.as_ref().is_some_and(|value| value.contains("***")), "{name}");
        }
        assert!(settings.iter().all(|it| !it.value.as_deref().unwrap_or_default().contains("zq7")));
    }

    #[test]
    fn a_changed_password_or_key_is_a_change() {
        let of = |password: &str, key: &str| {
            let url = format!("postgres://u:{password}@h/d");
            let mut settings = settings(&["--database-url", &url], &[]);
            settings.add_upstream_key(None, Some(SecretText::new(key.to_owned())));
            settings
        };
        assert_eq!(of("a", "1").changed_since(&of("a", "1")), Vec::<String>::new());
        assert_eq!(of("b", "1").changed_since(&of("a", "1")), ["database-url"]);
        assert_eq!(of("a", "2").changed_since(&of("a", "1")), ["upstream-key-file"]);
        let mut running = of("a", "1");
        running.adopt(&of("b", "2"), |name| name == "upstream-key-file");
        assert_eq!(of("b", "2").changed_since(&running), ["database-url"]);
    }
}
