//! The README's first steps do what they print.

use std::process::Command;
use std::time::Duration;

use crate::support::On;
use crate::support::TestDatabase;
use crate::support::server::{Server, assert_verified};

/// The address that the README's commands name.
const ADDRESS: &str = "127.0.0.1:8000";

/// The session: each command with the lines that it prints.
fn session() -> Vec<(String, String)> {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```console\n").expect("the README has a session");
    let (block, _) = rest.split_once("```").expect("the session ends");
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push((command.to_owned(), String::new())),
            None => steps.last_mut().expect("a command comes first").1.push_str(&format!("{line}\n")),
        }
    }
    steps
}

/// The commands share one shell, as they would on a terminal; a mark tells where the output of each ends.
#[test]
fn the_readmes_session_prints_what_it_shows() {
    let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
    let mut server = Server::start(&database, &[]);
    let steps = session();
    assert!(steps.len() >= 8, "{steps:?}");
    let mut script = String::from("set -eo pipefail\n");
    for (command, _) in &steps {
        // Our answers end without a new line, as a terminal shows them; the README shows them on a line each.
        script.push_str(&format!("{command}\nprintf '\\n--\\n'\n"));
    }
    let script = script.replace(ADDRESS, &server.address().to_string());
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("text");
    let printed: Vec<String> = printed.split("--\n").map(|part| part.trim().to_owned()).collect();
    for ((command, shown), printed) in steps.iter().zip(printed) {
        assert_eq!(printed, shown.trim(), "{command}");
    }
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    assert_verified(&database);
}
