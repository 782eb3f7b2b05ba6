//! `docs/settings.md` lists every setting.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, CommandFactory, Parser};
use tollgate::config::{Config, is_reloaded};

use super::{code, rows};
use crate::house::source::below;

const DOCUMENT: &str = include_str!("../../docs/settings.md");

/// Returns a section of the document.
fn section(title: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("\n## {title}\n")).expect("the document has that section");
    rest.split("\n## ").next().unwrap_or_default()
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

/// The variable and the default of a flag. `None` is no default, or an empty one.
type Setting = (String, Option<String>);

fn defined() -> BTreeMap<String, Setting> {
    let command = Flags::command();
    let settings = command.get_arguments().filter(|argument| argument.get_env().is_some());
    settings.map(|argument| (format!("--{}", argument.get_long().unwrap()), setting(argument))).collect()
}

fn setting(argument: &Arg) -> Setting {
    let text = |value: &std::ffi::OsStr| value.to_str().unwrap().to_owned();
    let default = argument.get_default_values().first().map(|value| text(value));
    (text(argument.get_env().unwrap()), default.filter(|default| !default.is_empty()))
}

fn documented() -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::new();
    let secrets = rows(section("Secrets"));
    for row in rows(DOCUMENT).into_iter().filter(|row| !secrets.contains(row)) {
        let [flag, variable, default, meaning] = row[..] else { panic!("a setting has four cells: {row:?}") };
        assert!(!meaning.is_empty(), "{flag} has no meaning");
        let (flag, variable) = (code(flag).unwrap().to_owned(), code(variable).unwrap().to_owned());
        let earlier = settings.insert(flag.clone(), (variable, code(default).map(str::to_owned)));
        assert!(earlier.is_none(), "{flag} is there twice");
    }
    settings
}

#[test]
fn the_settings_and_their_defaults_are_those_of_the_program() {
    let defined = defined();
    assert!(defined.len() > 40, "only {} settings are checked", defined.len());
    assert_eq!(documented(), defined);
}

#[test]
fn the_settings_that_a_reload_changes_are_listed() {
    let named: BTreeSet<&str> =
        section("Reload").split('`').filter_map(|word| word.strip_prefix("--")).collect();
    let command = Flags::command();
    let names = command.get_arguments().filter_map(|argument| argument.get_long());
    let reloaded: BTreeSet<&str> = names.filter(|name| is_reloaded(name)).collect();
    assert!(reloaded.len() > 20, "only {} settings are checked", reloaded.len());
    assert_eq!(named, reloaded);
}

#[test]
fn every_setting_has_a_variable() {
    for argument in Flags::command().get_arguments() {
        assert!(argument.get_env().is_some(), "{} has no variable", argument.get_id());
    }
}

/// Some variables have no flag.
#[test]
fn every_variable_that_the_code_names_is_in_the_document() {
    let mut count = 0;
    for source in below("src") {
        for rest in source.code.split("\"TOLLGATE_").skip(1) {
            count += 1;
            let name = format!("`TOLLGATE_{}`", rest.split('"').next().unwrap());
            assert!(DOCUMENT.contains(&name), "{} has {name}, docs/settings.md does not", source.path);
        }
    }
    assert!(count > 40, "only {count} variables are checked");
}
