//! The README's first steps print what it shows.

use std::process::Command;
use std::time::Duration;

use crate::support::On;
use crate::support::TestDatabase;
use crate::support::server::{Server, assert_verified};

/// The address that the commands of documents name.
pub const ADDRESS: &str = "127.0.0.1:8000";

const README: &str = include_str!("../README.md");

/// Returns a section of a document.
pub fn section(document: &'static str, title: &str) -> &'static str {
    let (_, rest) = document.split_once(&format!("\n## {title}\n")).expect("the document has that section");
    rest.split("\n## ").next().unwrap_or_default()
}

/// Returns the first code block of this language in a section.
pub fn block(section: &'static str, language: &str) -> &'static str {
    let (_, rest) = section.split_once(&format!("```{language}\n")).expect("the section has such a block");
    rest.split_once("```").expect("the block ends").0
}

/// Returns the session of a section: each command with the lines that it prints.
pub fn session(section: &'static str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in block(section, "console").lines() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push((command.to_owned(), String::new())),
            None => steps.last_mut().expect("a command comes first").1.push_str(&format!("{line}\n")),
        }
    }
    steps
}

/// Runs the commands in one shell, as on a terminal, and returns what each prints. A mark separates
/// their outputs.
pub fn run(steps: &[(String, String)], server: &Server) -> Vec<String> {
    let mut script = String::from("set -eo pipefail\n");
    for (command, _) in steps {
        // Responses end without a newline, but the document shows each on a line of its own.
        script.push_str(&format!("{command}\nprintf '\\n--\\n'\n"));
    }
    let script = script.replace(ADDRESS, &server.address().to_string());
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("text");
    printed.split("--\n").map(|part| part.trim().to_owned()).collect()
}

#[test]
fn the_readmes_first_steps_print_what_it_shows() {
    let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
    let mut server = Server::start(&database, &[]);
    let steps = session(section(README, "First steps"));
    assert!(steps.len() >= 8, "{steps:?}");
    let printed = run(&steps, &server);
    for ((command, shown), printed) in steps.iter().zip(printed) {
        assert_eq!(printed, shown.trim(), "{command}");
    }
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    assert_verified(&database);
}
