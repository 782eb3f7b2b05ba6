//! `tollgate config`.

use serde_json::{Value, json};

use super::Refusal;
use super::output::{print_json, print_line};
use crate::config::{Setting, Settings};

const AFTER_HELP: &str = "\
The output is a settings file for --config. Secrets are left out.";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Write the settings to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<(), Refusal> {
    if args.json {
        let rows: Vec<Value> = settings.iter().map(row).collect();
        return print_json(&json!({ "settings": rows }));
    }
    let mut heading = "";
    for setting in settings.iter() {
        if setting.heading != heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            print_line(format_args!("{gap}# {}", setting.heading))?;
            heading = &setting.heading;
        }
        print_line(format_args!("{}", line(setting)))?;
    }
    Ok(())
}

fn row(setting: &Setting) -> Value {
    json!({
        "name": setting.name,
        "value": setting.value,
        "hidden": setting.is_hidden,
        "source": setting.origin.kind(),
        "from": setting.origin.place(),
    })
}

/// Returns the line of a settings file, with where the value came from. A setting without a value,
/// or with a secret, is a comment.
fn line(setting: &Setting) -> String {
    let Setting { name, origin, .. } = setting;
    let text = match &setting.value {
        Some(value) if setting.fits_a_file() => format!("{name} = {}", toml(value)),
        Some(value) => format!("# {name} = {}", toml(value)),
        None => format!("# {name}: {}", setting.default_meaning.as_deref().unwrap_or("none")),
    };
    format!("{text:<58} # {origin}")
}

/// Returns a value as TOML has it: a number, or a text in quotes.
fn toml(value: &str) -> String {
    let is_number = value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
    // A text of JSON is one of TOML, too.
    if is_number { value.to_owned() } else { Value::from(value).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_toml() {
        assert_eq!(toml("300"), "300");
        assert_eq!(toml("007"), "\"007\"");
        assert_eq!(toml("a \"b\" \\ é"), "\"a \\\"b\\\" \\\\ é\"");
    }
}
