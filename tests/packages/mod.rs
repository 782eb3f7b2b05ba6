//! What people install: the Debian package with its service, the container image, and builds that
//! anybody can repeat.
//!
//! What needs no release build is tested here like everything else. `proofs` builds releases and
//! tries them on a bare Debian; only `scripts/proofs packages` runs it.

mod container;
mod debian;
mod proofs;
mod service;
mod settings;
mod system_calls;

use std::collections::BTreeSet;

use clap::{Args, Command};
use tollgate::config::Config;

use crate::house::source::root;

/// Reads a file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the names of the variables that are settings.
fn variables() -> BTreeSet<String> {
    let command = Config::augment_args(Command::new("tollgate"));
    let variables = command.get_arguments().filter_map(|argument| argument.get_env());
    variables.map(|name| name.to_str().unwrap().to_owned()).collect()
}

/// Returns the value of a key in a file of `KEY=VALUE` lines, such as a unit of systemd. There must
/// be one.
#[track_caller]
fn value<'a>(file: &'a str, key: &str) -> &'a str {
    let values: Vec<&str> =
        file.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
    let [value] = values[..] else { panic!("{key} must have one value: {values:?}") };
    value
}
