//! Checks of the settings themselves.

use std::collections::BTreeSet;
use std::env;

use super::check::Check;
use crate::cli::command_line::{command_line, settings_of};
use crate::cli::serve::LEAST_BCRYPT_COST;
use crate::config::{Config, Settings, Switch};
use crate::throttle::MemoryBudget;

/// Variables that are read and belong to no flag.
const MORE_VARIABLES: [&str; 1] = ["TOLLGATE_UPSTREAM_KEY"];

/// The name of these checks.
const NAME: &str = "settings";

pub(super) fn check(config: &Config, settings: &Settings) -> Vec<Check> {
    let mut checks = vec![summary(settings)];
    checks.extend(unknown_variables());
    if config.accounts.hashing.bcrypt_cost < LEAST_BCRYPT_COST {
        checks.push(Check::warning(
            NAME,
            format!("--bcrypt-cost is {}", config.accounts.hashing.bcrypt_cost),
            "it is for tests, because passwords are easily guessed: leave the setting out",
        ));
    }
    if config.accounts.throttle == Switch::Off {
        checks.push(Check::warning(
            NAME,
            "--throttle is off",
            "it is for tests, because nothing limits guessing and flooding: leave the setting out",
        ));
    }
    // It makes no call. A server would not start either.
    if let Err(why) = config.responder(MemoryBudget::new(config.listen.memory_budget * 1024 * 1024)) {
        checks.push(Check::failure(NAME, why, "the server does not start: correct the setting"));
    }
    checks
}

fn summary(settings: &Settings) -> Check {
    let count = |kinds: &[&str]| settings.iter().filter(|it| kinds.contains(&it.origin.kind())).count();
    let file = settings.find("config").and_then(|setting| setting.value.clone());
    let from_file = match file {
        Some(file) => format!("{} by {file}", count(&["file"])),
        None => "no settings file".to_owned(),
    };
    let (flags, variables) = (count(&["flag"]), count(&["variable"]));
    Check::ok(NAME, format!("{flags} set by flags, {variables} by variables, {from_file}"))
}

/// Returns a warning for each variable with our prefix that is not a setting. Most are misspelt.
fn unknown_variables() -> Option<Check> {
    let command = command_line();
    let known: BTreeSet<String> = settings_of(&command)
        .filter_map(|setting| Some(setting.get_env()?.to_string_lossy().into_owned()))
        .chain(MORE_VARIABLES.map(str::to_owned))
        .collect();
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let prefix = format!("{}_", env!("CARGO_PKG_NAME").to_uppercase());
    let unknown: Vec<String> = names
        .filter(|name| name.starts_with(&prefix) && !known.contains(name))
        // Those of the tests of this repository.
        .filter(|name| !name.starts_with(&format!("{prefix}TEST_")))
        .collect();
    (!unknown.is_empty()).then(|| {
        Check::warning(
            NAME,
            format!("these variables are no settings: {}", unknown.join(", ")),
            "correct their names: `tollgate --help` lists all variables",
        )
    })
}
