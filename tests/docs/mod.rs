//! What the documents say about the code is true and complete.

mod api;
mod assurance;
mod asvs;
mod clients;
mod console;
mod decisions;
mod failures;
mod links;
pub mod operating;
mod panel;
mod paths;
mod settings;
mod upstreams;
mod versions;

use std::collections::BTreeSet;

use crate::house::source::below;

/// Returns the cells of each row of a document's tables, without the heads.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = document.lines().collect();
    let mut rows = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let is_rule = line.starts_with("| ---");
        let is_head = lines.get(number + 1).is_some_and(|next| next.starts_with("| ---"));
        if let Some(row) = line.strip_prefix("| ").filter(|_| !is_rule && !is_head) {
            rows.push(row.trim_end_matches('|').split(" | ").map(str::trim).collect());
        }
    }
    rows
}

/// Returns the code span at the beginning of a text.
fn code(text: &str) -> Option<&str> {
    Some(text.strip_prefix('`')?.split_once('`')?.0)
}

/// Returns all code spans of a text.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns all tests as documents name them: `tests/api/me.rs::the_name_of_a_test`.
fn named_tests() -> BTreeSet<String> {
    let sources = ["src", "tests"].into_iter().flat_map(below);
    let tests = sources.flat_map(|source| {
        let names = source.tests().into_iter();
        names.map(|name| format!("{}::{name}", source.path)).collect::<Vec<_>>()
    });
    tests.collect()
}

#[test]
fn rows_and_code_are_found_in_a_document() {
    let document = "text\n\n| a | b |\n| --- | --- |\n| `c d` e | |\n| f | `g` |\n";
    assert_eq!(rows(document), [["`c d` e", ""], ["f", "`g`"]]);
    assert_eq!(code("`c d` e"), Some("c d"));
    assert_eq!(code("f `g`"), None);
    assert_eq!(code_spans("a `b c` `d`").collect::<Vec<_>>(), ["b c", "d"]);
    assert!(named_tests().contains("tests/docs/mod.rs::rows_and_code_are_found_in_a_document"));
}
