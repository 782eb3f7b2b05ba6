//! Prose is wrapped, so that a change of a sentence changes few lines.

use super::source::{below, texts_of_the_repository};

/// The largest width of a line of prose or of a comment, in characters.
const WIDTH: usize = 100;

fn is_checked(path: &str) -> bool {
    let is_in_docs = path.strip_prefix("docs/").is_some_and(|name| !name.contains('/'));
    is_in_docs && path.ends_with(".md")
        || ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].contains(&path)
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

/// Returns the numbers of the lines with comments that are too wide. Tables and a single long word,
/// for example a URL, may be wider.
fn too_wide_comments(source: &str) -> Vec<usize> {
    let (mut is_block, mut found) = (false, Vec::new());
    for (number, line) in source.lines().enumerate() {
        let text = line.trim_start();
        is_block |= text.starts_with("/*");
        let is_outside = |code: &str| code.replace("\\\"", "").matches('"').count().is_multiple_of(2);
        let is_trailing = line.split_once(" // ").is_some_and(|(code, _)| is_outside(code));
        let is_comment = is_block || is_trailing || text.starts_with("//");
        is_block &= !line.contains("*/");
        let text = text.trim_start_matches(['/', '!', '*', '-', ' ']);
        let is_free = text.starts_with('|') || !text.contains(' ');
        if is_comment && !is_free && line.chars().count() > WIDTH {
            found.push(number + 1);
        }
    }
    found
}

#[test]
fn comments_have_at_most_100_columns() {
    let (mut count, mut found) = (0, Vec::new());
    for source in ["src", "tests", "benches"].into_iter().flat_map(below) {
        count += 1;
        let lines = too_wide_comments(&source.text);
        found.extend(lines.into_iter().map(|line| format!("{}:{line}", source.path)));
    }
    assert!(count > 300, "only {count} sources were checked");
    assert!(found.is_empty(), "these comments are wider than {WIDTH} columns: {found:#?}");
}

#[test]
fn comments_that_are_too_wide_are_found() {
    let (wide, word) = ("word ".repeat(21), format!("https://a.example/{}", "x".repeat(100)));
    let free = format!(
        "let a = \"{wide}\";\n// {word}\n    /// - {word}\n//! | {wide} |\n/* a */\n\"; // {wide}\"\n"
    );
    assert_eq!(too_wide_comments(&free), Vec::<usize>::new());
    for start in ["// ", "    /// ", "//! ", "/* ", "let a = 1; // ", "/*\n * ", "//! - "] {
        let lines = start.lines().count();
        assert_eq!(too_wide_comments(&format!("{start}{wide}")), [lines], "{start:?}");
    }
    assert_eq!(too_wide_comments(&format!("// {}", "é ".repeat(48))), Vec::<usize>::new());
}
