//! The commands of `docs/migrating-from-django.md`, in their order.

use std::path::Path;
use std::process::Command;

use super::source::{OldService, chat, user};
use crate::support::On;
use crate::support::temporary;

const DOCUMENT: &str = include_str!("../../docs/migrating-from-django.md");

/// Returns the indented commands, except the one that serves for ever.
fn commands() -> Vec<&'static str> {
    let lines = DOCUMENT.lines().filter(|line| line.starts_with("    "));
    let commands = lines.filter_map(|line| line.trim_start().strip_prefix("tollgate "));
    commands.filter(|command| !command.ends_with("serve")).collect()
}

#[test]
fn the_documents_commands_migrate_a_service() {
    let statements =
        [user(1, "ada", "4000"), user(2, "bob", "50"), chat(1, 1, "Hello", "2020-02-01 00:00:00")];
    let old = OldService::create(On::Sqlite, &statements.concat()).expect("SQLite is built in");
    let directory = temporary::directory();
    std::fs::copy(old.url(), directory.path().join("db.sqlite3")).unwrap();
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(command.split_whitespace())
            .env_clear()
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "tollgate {command}: {output:?}");
    }
    for file in ["rehearsal.db", "tollgate.db"] {
        assert!(Path::new(&directory.path().join(file)).exists(), "{file}");
    }
}
