//! Prose is wrapped, so that a change of a sentence changes few lines.

use super::source::texts_of_the_repository;

/// The largest width of a line of prose, in characters.
const WIDTH: usize = 100;

fn is_checked(path: &str) -> bool {
    let is_in_docs = path.strip_prefix("docs/").is_some_and(|name| !name.contains('/'));
    is_in_docs && path.ends_with(".md") || ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].contains(&path)
}

/// Returns the numbers of the lines of prose in a Markdown document that are too wide. Tables,
/// code, pictures, and lines that cannot be broken may be wider.
fn too_wide(document: &str) -> Vec<usize> {
    let (mut is_code, mut found) = (false, Vec::new());
    for (number, line) in document.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let is_free = is_code || ["|", "    ", "!["].iter().any(|start| line.starts_with(start));
        let is_one_word = !line.trim_start_matches(['-', ' ']).contains(' ');
        if line.chars().count() > WIDTH && !is_free && !is_one_word {
            found.push(number + 1);
        }
    }
    found
}

#[test]
fn prose_has_at_most_100_columns() {
    let (mut count, mut found) = (0, Vec::new());
    for (path, text) in texts_of_the_repository().into_iter().filter(|(path, _)| is_checked(path)) {
        count += 1;
        found.extend(too_wide(&text).into_iter().map(|line| format!("{path}:{line}")));
    }
    assert!(count > 10, "only {count} documents are checked");
    assert!(found.is_empty(), "these lines are wider than {WIDTH} columns: {found:#?}");
}

#[test]
fn lines_of_prose_that_are_too_wide_are_found() {
    let (wide, word) = ("word ".repeat(21), "x".repeat(101));
    let free = format!("```sh\n{wide}\n```\n| {wide} |\n    {wide}\n![{wide}](a)\n{word}\n- {word}\n");
    assert_eq!(too_wide(&free), Vec::<usize>::new());
    assert_eq!(too_wide(&format!("{wide}\n{free}- {wide}\n## {wide}\n")), [1, 10, 11]);
    assert_eq!(too_wide(&"é".repeat(100)), Vec::<usize>::new());
}
