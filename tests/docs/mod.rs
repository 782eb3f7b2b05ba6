//! What the documents say about the code is true and complete.

mod api;
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

#[test]
fn rows_and_code_are_found_in_a_document() {
    let document = "text\n\n| a | b |\n| --- | --- |\n| `c d` e | |\n| f | `g` |\n";
    assert_eq!(rows(document), [["`c d` e", ""], ["f", "`g`"]]);
    assert_eq!(code("`c d` e"), Some("c d"));
    assert_eq!(code("f `g`"), None);
}
