//! The help of a command lists the settings that the command reads, and no others.

use std::collections::BTreeSet;

use super::{run, tollgate_in};
use crate::support::{On, TestDatabase, temporary};

/// What all commands read that have a log.
const GENERAL: [&str; 3] = ["--config", "--log", "--log-format"];
/// What opening the database needs.
const DATABASE: [&str; 4] = ["--database-url", "--database-url-file", "--read-connections", "--pg-writers"];

/// Each command that does not read all settings: the settings that it reads, and its own options.
/// The functions of the commands get no others, which the compiler checks.
fn commands() -> [(&'static str, Vec<&'static str>, Vec<&'static str>); 12] {
    let with = |more: &[&'static str]| [&GENERAL[..], &DATABASE, more].concat();
    [
        ("adjust", with(&[]), vec!["--note", "--json"]),
        ("verify", with(&[]), vec!["--json"]),
        ("reindex", with(&[]), vec!["--json"]),
        ("migrate", with(&[]), vec!["--status", "--down", "--json"]),
        ("backup", with(&[]), vec!["--rate", "--overwrite", "--no-verify", "--json"]),
        (
            "restore",
            [&GENERAL[..], &["--database-url", "--database-url-file"]].concat(),
            vec!["--delete-old", "--no-verify", "--json"],
        ),
        (
            "createsuperuser",
            with(&["--opening-tokens", "--bcrypt-cost"]),
            vec!["--username", "--password-stdin", "--json"],
        ),
        ("changepassword", with(&["--bcrypt-cost"]), vec!["--username", "--password-stdin", "--json"]),
        (
            "import-django",
            with(&[]),
            vec![
                "--from",
                "--from-url-file",
                "--dry-run",
                "--json",
                "--table",
                "--column",
                "--rename",
                "--renames",
                "--negative-balances",
                "--skip-refused",
                "--into-used",
                "--time-zone",
                "--source",
                "--model",
            ],
        ),
        (
            "health",
            [&GENERAL[..], &["--bind", "--tls-certificate", "--tls-key"]].concat(),
            vec!["--ready", "--timeout", "--json"],
        ),
        ("completions", vec![], vec![]),
        ("man", vec![], vec![]),
    ]
}

/// Returns the flags that a help lists, each at the beginning of a line.
fn listed(help: &str) -> BTreeSet<&str> {
    let lines = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("-h, ").or_else(|| line.strip_prefix("-V, ")).unwrap_or(line);
        line.starts_with("--").then(|| line.split([' ', '=']).next().unwrap_or_default())
    });
    lines.filter(|flag| !["--help", "--version"].contains(flag)).collect()
}

#[test]
fn the_help_of_a_command_lists_only_what_the_command_reads() {
    let directory = temporary::directory();
    let help = |words: &[&str]| {
        let said = tollgate_in(directory.path(), words, &[]);
        said.assert_good();
        said.out
    };
    for (command, settings, own) in commands() {
        let wanted: BTreeSet<&str> = settings.into_iter().chain(own).collect();
        for words in [[command, "--help"], ["help", command]] {
            assert_eq!(listed(&help(&words)), wanted, "{words:?}");
        }
    }
    let all = help(&["--help"]);
    let all = listed(&all);
    assert!(all.len() > 50, "only {} settings", all.len());
    assert_eq!(listed(&help(&["serve", "--help"])), all);
    for (command, own) in
        [("config", vec!["--json"]), ("doctor", vec!["--json"]), ("demo", vec!["--seed", "--json"])]
    {
        let own: BTreeSet<&str> = own.into_iter().collect();
        let help = help(&[command, "--help"]);
        assert_eq!(listed(&help).difference(&own).copied().collect::<BTreeSet<_>>(), all, "{command}");
    }
}

/// A script may give all commands the same settings.
#[test]
fn a_command_accepts_settings_that_it_does_not_read_before_and_after_it() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    run(&database, &["migrate"]).assert_good();
    let directory = temporary::directory();
    let unread = ["--chat-price", "7", "--bind", "127.0.0.1:1", "--upstream-key-file", "none"];
    let database = ["--database-url", database.url()];
    let before = [&unread[..], &database, &["verify"]].concat();
    let after = [&["verify"], &unread[..], &database].concat();
    for words in [before, after] {
        tollgate_in(directory.path(), &words, &[]).assert_good();
    }
    // A value that no server takes is refused all the same.
    let wrong = [&["verify", "--chat-price", "dear"][..], &database].concat();
    tollgate_in(directory.path(), &wrong, &[]).assert_refused(2, "--chat-price");
}
