//! Documents name only files that exist.

use crate::house::source::{root, texts_of_the_repository};

const ENDINGS: [&str; 12] =
    ["rs", "md", "sql", "html", "css", "js", "sh", "py", "mjs", "cfg", "conf", "toml"];

fn documents() -> Vec<(String, String)> {
    let mut texts = texts_of_the_repository();
    texts.retain(|(path, _)| path.ends_with(".md"));
    assert!(texts.len() > 10, "only {} documents are checked", texts.len());
    texts
}

/// Returns the code spans in prose that look like the path of a file or folder. Those that begin
/// with a slash are paths of the API.
fn paths(document: &str) -> Vec<&str> {
    let prose = document.split("\n```").step_by(2);
    let words = prose.flat_map(|part| part.split('`').skip(1).step_by(2));
    let is_path = |word: &&str| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        let is_file = word.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
        word.chars().all(is_name) && !word.starts_with(['/', '-', '.']) && (is_file || word.contains('/'))
    };
    let is_media_type = |word: &&str| {
        ["application/", "multipart/", "text/", "image/"].iter().any(|family| word.starts_with(family))
    };
    let paths = words.filter(is_path).filter(|word| !is_media_type(word));
    // Build results need not exist yet.
    paths.filter(|path| !path.starts_with("target/")).collect()
}

#[test]
fn a_path_in_a_document_exists() {
    let files: Vec<String> =
        texts_of_the_repository().into_iter().map(|(path, _)| format!("/{path}")).collect();
    let (mut count, mut missing) = (0, Vec::new());
    for (document, text) in documents() {
        for path in paths(&text) {
            count += 1;
            // A document may leave out a folder that its text names.
            let (end, within) = (format!("/{path}"), format!("/{}/", path.trim_end_matches('/')));
            let is_in = |file: &String| file.ends_with(&end) || file.contains(&within);
            if !files.iter().any(is_in) && !root().join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "documents name what does not exist: {missing:#?}");
    assert!(count > 100, "only {count} paths are checked");
}

#[test]
fn paths_are_found_in_prose() {
    let document = "`a/b.rs` `src/` `/chat/` `x.y` `z.md`\n```sh\n`c/d`\n```\nand `e/f g` `e/f`\n";
    assert_eq!(paths(document), ["a/b.rs", "src/", "z.md", "e/f"]);
}
