//! The settings file (`--config`): TOML whose keys are the long names of the flags.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Arg;
use toml::de::{DeTable, DeValue};

use super::refusal::{check, quoted};
use super::secret::SecretText;
use crate::db::DatabaseUrl;

/// The largest settings file, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// The only setting of the file that has no flag.
pub const UPSTREAM_KEY: &str = "upstream-key";

/// The settings that a file has. All of them are valid.
#[derive(Clone, Debug)]
pub struct SettingsFile {
    /// Its path, as it was given.
    pub path: PathBuf,
    /// The settings, in the order of their names.
    pub settings: Vec<FileSetting>,
    /// The key of the upstream, which no flag can set.
    pub upstream_key: Option<(SecretText, usize)>,
}

/// A setting of the file.
#[derive(Clone)]
pub struct FileSetting {
    /// The name of its flag, without the hyphens.
    pub name: String,
    /// The value, as a flag would have it.
    pub value: String,
    /// Where it stands, from 1.
    pub line: usize,
}

impl std::fmt::Debug for FileSetting {
    /// Leaves out the value, which may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (line {})", self.name, self.line)
    }
}

impl SettingsFile {
    /// Reads a file. `settings` are those that it may have.
    ///
    /// # Errors
    /// A text with the file, the line, the setting, its value unless it may be a secret, and what
    /// to write instead.
    pub fn read(path: &Path, settings: &[Arg]) -> Result<SettingsFile, String> {
        let (text, metadata) = load(path)?;
        let parsed = DeTable::parse(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            let why = error.message();
            format!(
                "{}:{line}: {why}: write each setting as NAME = VALUE, with texts in quotes",
                path.display()
            )
        })?;
        let mut file = SettingsFile { path: path.to_owned(), settings: Vec::new(), upstream_key: None };
        for (key, value) in parsed.get_ref().iter() {
            let line = line_of(&text, key.span().start);
            let (name, value) = (key.get_ref().as_ref(), value.get_ref());
            file.add(name, value, line, settings)
                .map_err(|why| format!("{}:{line}: {why}", path.display()))?;
        }
        file.check_mode(&metadata)?;
        Ok(file)
    }

    fn add(&mut self, name: &str, value: &DeValue<'_>, line: usize, settings: &[Arg]) -> Result<(), String> {
        if name == UPSTREAM_KEY {
            let DeValue::String(key) = value else { return Err(format!("{name}: give the key in quotes")) };
            self.upstream_key = Some((SecretText::new(key.trim().to_owned()), line));
            return Ok(());
        }
        let setting = settings.iter().find(|setting| setting.get_long() == Some(name));
        let setting = setting.ok_or_else(|| unknown(name, value, settings))?;
        if name == "config" {
            return Err("config: a settings file cannot name another one: remove this line".to_owned());
        }
        let value = text_of(setting, value).map_err(|why| format!("{name}: {why}"))?;
        check(setting, &value).map_err(|why| format!("{name} is {}: {why}", quoted(name, &value)))?;
        self.settings.push(FileSetting { name: name.to_owned(), value, line });
        Ok(())
    }

    /// Checks that only its owner and group may read a file with a secret.
    fn check_mode(&self, metadata: &Metadata) -> Result<(), String> {
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o007 == 0 {
            return Ok(());
        }
        let Some((name, line)) = self.secret() else { return Ok(()) };
        let path = self.path.display();
        Err(format!(
            "{path}:{line}: {name} is a secret, and every user of this machine may read the file (mode {mode:o}): run \
             `chmod 640 {path}`, or put the secret into a file of its own and name that file with {name}-file"
        ))
    }

    /// Returns the name and the line of a secret in the file.
    fn secret(&self) -> Option<(&str, usize)> {
        let is_secret = |setting: &&FileSetting| {
            setting.name == "database-url"
                && setting.value.parse::<DatabaseUrl>().is_ok_and(|url| url.has_secret())
        };
        let key = self.upstream_key.as_ref().map(|(_, line)| (UPSTREAM_KEY, *line));
        let url = self.settings.iter().find(is_secret);
        key.or_else(|| url.map(|setting| (setting.name.as_str(), setting.line)))
    }
}

fn load(path: &Path) -> Result<(String, Metadata), String> {
    let cannot = |error: std::io::Error| {
        format!(
            "--config {}: the file cannot be read ({}): check its path and its mode",
            path.display(),
            error.kind()
        )
    };
    // A named pipe would block, and a device may never end.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("--config {}: give the path of a file, not of anything else", path.display()));
    }
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!(
            "--config {}: the file is larger than 1 MiB: give a file of settings",
            path.display()
        ));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| {
        format!("--config {}: the file is not text in UTF-8: give a file of settings", path.display())
    })?;
    Ok((text, metadata))
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn unknown(name: &str, value: &DeValue<'_>, settings: &[Arg]) -> String {
    if matches!(value, DeValue::Table(_)) {
        return format!(
            "[{name}]: a settings file has no sections: write each setting on a line of its own, under the name of its flag"
        );
    }
    let hyphened = name.to_lowercase().replace('_', "-");
    let hyphened = hyphened.strip_prefix("tollgate-").unwrap_or(&hyphened);
    let is_known =
        hyphened == UPSTREAM_KEY || settings.iter().any(|known| known.get_long() == Some(hyphened));
    match is_known {
        true => format!("{name} is not a setting: write {hyphened}"),
        false => format!(
            "{name} is not a setting: `tollgate --help` lists them; a key is a flag without its hyphens in front"
        ),
    }
}

/// Returns a value as a flag would have it.
fn text_of(setting: &Arg, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "the number is too large".to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(is_on) => Ok(word_of(setting, *is_on).to_owned()),
        DeValue::Array(elements) if takes_a_list(setting) => {
            let texts = elements.iter().map(|element| text_of_element(element.get_ref()));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        DeValue::Array(_) => Err("it takes one value, not a list".to_owned()),
        DeValue::Table(_) => Err("it takes one value, not a table".to_owned()),
        DeValue::Datetime(_) => Err("it takes no date: write the value in quotes".to_owned()),
    }
}

fn text_of_element(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) if !text.contains(',') => Ok(text.to_string()),
        DeValue::String(_) => Err("an element of a list has no comma: write two elements".to_owned()),
        _ => Err("write each element of the list in quotes".to_owned()),
    }
}

/// Returns the word for true or false. Switches are `on` or `off`.
fn word_of(setting: &Arg, is_on: bool) -> &'static str {
    let is_switch = setting.get_possible_values().iter().any(|value| value.get_name() == "on");
    match (is_switch, is_on) {
        (true, true) => "on",
        (true, false) => "off",
        (false, true) => "true",
        (false, false) => "false",
    }
}

fn takes_a_list(setting: &Arg) -> bool {
    let names = setting.get_value_names().unwrap_or_default();
    setting.get_value_delimiter().is_some() || names.iter().any(|name| name.as_str() == "LIST")
}

#[cfg(test)]
mod tests;
