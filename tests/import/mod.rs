//! `tollgate import-django`: databases of the old services, some made by Django itself.

mod django;
mod figures;
mod later;
mod layouts;
mod names;
mod odd_rows;
mod resume;
mod source;
mod walkthrough;

use serde_json::Value;

use crate::cli::{Said, run_with};
use crate::support::TestDatabase;
use crate::support::ledger::{count, lines, raw};

/// Runs the import with further words.
fn import(target: &TestDatabase, from: &str, words: &[&str]) -> Said {
    let words = [&["import-django", "--from", from], words].concat();
    run_with(target, &words, "")
}

/// Imports, and returns the report.
#[track_caller]
fn imported(target: &TestDatabase, from: &str, words: &[&str]) -> Value {
    let said = import(target, from, &[words, &["--json"]].concat());
    said.assert_good();
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// Returns the number of rows that a note counts, and the first of its examples.
fn noted(report: &Value, topic: &str) -> (u64, String) {
    let notes = report["notes"].as_array().unwrap();
    let note = notes.iter().find(|note| note["topic"] == topic);
    note.map_or((0, String::new()), |note| {
        let example = note["examples"][0].as_str().unwrap_or_default();
        (note["count"].as_u64().unwrap(), example.to_owned())
    })
}

/// Returns the rows of a query's column `line`.
fn rows(target: &TestDatabase, query: &str) -> Vec<String> {
    lines(&mut raw(target.on(), target.url()), query)
}

/// Returns the number of rows of `FROM …`.
fn number(target: &TestDatabase, from: &str) -> i64 {
    count(&mut raw(target.on(), target.url()), &format!("SELECT count(*) AS n FROM {from}"))
}
