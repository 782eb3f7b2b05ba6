//! Says what is wrong with the value of a setting, and what to write instead.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

/// Stands for a value that may hold a secret.
pub const NOT_SHOWN: &str = "(not shown)";

/// Settings whose values may hold a secret, or where somebody may enter one by mistake.
const MAY_HOLD_SECRETS: [&str; 9] = [
    "database-url",
    "database-url-file",
    "public-url",
    "security-contact",
    "tls-key",
    "cors-origins",
    "upstream-url",
    "upstream-key",
    "upstream-key-file",
];

/// Returns whether the value of a setting may hold a secret, so that errors must not quote it.
pub fn may_hold_secret(name: &str) -> bool {
    MAY_HOLD_SECRETS.contains(&name)
}

/// Returns a value as errors show it.
pub fn quoted(name: &str, value: &str) -> String {
    if may_hold_secret(name) { NOT_SHOWN.to_owned() } else { format!("{value:?}") }
}

/// Checks a value of a setting that is not on the command line.
///
/// # Errors
/// A text that says what to write instead.
pub fn check(setting: &Arg, value: &str) -> Result<(), String> {
    let flag = setting.get_long().unwrap_or_default();
    let alone = Command::new("tollgate").no_binary_name(true).arg(setting.clone().env(None::<&str>));
    let outcome = alone.try_get_matches_from([format!("--{flag}={value}")]);
    outcome.map(drop).map_err(|error| advice(&error))
}

/// Returns what to write instead of a value that clap rejects. It does not contain the value,
/// unless the setting's own parser quotes a part of it.
pub fn advice(error: &clap::Error) -> String {
    if let (ErrorKind::InvalidValue, Some(ContextValue::Strings(valid))) =
        (error.kind(), error.get(ContextKind::ValidValue))
        && !valid.is_empty()
    {
        return format!("give one of: {}", valid.join(", "));
    }
    if error.kind() == ErrorKind::InvalidValue {
        return "give a value, or leave the setting out".to_owned();
    }
    let reason = error.source().map(ToString::to_string);
    let reason = reason.unwrap_or_else(|| error.kind().to_string());
    if let Some((least, most)) = reason.split_once(" is not in ").and_then(|(_, it)| it.split_once("..")) {
        // clap writes a range without an end like this.
        let most = most.trim_start_matches('=');
        let ends = [i64::MAX.to_string(), u64::MAX.to_string(), u32::MAX.to_string()];
        let has_no_end = ends.iter().any(|end| end == most);
        return match has_no_end {
            true => format!("give a whole number from {least} on"),
            false => format!("give a whole number from {least} to {most}"),
        };
    }
    if reason.contains("digit found in string") || reason.contains("cannot parse integer") {
        return "give a whole number".to_owned();
    }
    if reason.starts_with("number too") {
        return format!("{reason}: give another number");
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_says_what_to_write() {
        let number = Arg::new("n").long("n").value_parser(clap::value_parser!(u16).range(1..=64));
        let open = Arg::new("o").long("o").value_parser(clap::value_parser!(u32).range(2..));
        let word = Arg::new("w").long("w").value_parser(["on", "off"]);
        for (setting, value, wanted) in [
            (&number, "65", "give a whole number from 1 to 64"),
            (&number, "many", "give a whole number"),
            (&number, "", "give a whole number"),
            (&open, "1", "give a whole number from 2 on"),
            (&number, "1.5", "give a whole number"),
            (&word, "maybe", "give one of: on, off"),
        ] {
            assert_eq!(check(setting, value), Err(wanted.to_owned()), "{value:?}");
        }
        assert_eq!(check(&number, "64"), Ok(()));
        assert_eq!(check(&word, "off"), Ok(()));
    }

    #[test]
    fn a_value_that_may_hold_a_secret_is_not_shown() {
        assert_eq!(quoted("upstream-key", "sk-1"), NOT_SHOWN);
        assert_eq!(quoted("bind", "nowhere"), "\"nowhere\"");
    }
}
