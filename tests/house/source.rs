//! The sources as text, and the little of Rust that the rules need to understand.

use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// Without comments and without its module of tests.
    pub code: String,
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all Rust sources of a folder, or none if it does not exist.
pub fn below(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files.into_iter().map(|file| Source::parse(relative(&file), fs::read_to_string(&file).unwrap())).collect()
}

/// Returns every text file that no build made, with its path.
pub fn texts_of_the_repository() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    let texts = files.into_iter().filter_map(|file| Some((relative(&file), fs::read_to_string(&file).ok()?)));
    texts.collect()
}

fn relative(file: &Path) -> String {
    let path = file.strip_prefix(root()).unwrap();
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || ["target", ".git", "vendor"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

impl Source {
    pub fn parse(path: String, text: String) -> Source {
        let shipped = if path.ends_with("/tests.rs") { String::new() } else { without_tests(&text) };
        let code = shipped.lines().map(without_comment).collect::<Vec<_>>().join("\n");
        Source { path, text, code }
    }

    /// Returns the top-level module of the file: `metering` for `src/metering/charge.rs`.
    pub fn module(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Returns the code in lower case and without blanks, so that its layout does not matter.
    pub fn dense(&self) -> String {
        self.code.to_lowercase().split_whitespace().collect()
    }

    /// Returns the names of its tests.
    pub fn tests(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut is_test = false;
        for line in self.text.lines().map(str::trim) {
            match function_name(line) {
                Some(name) if is_test => names.push(name.to_owned()),
                _ if line.starts_with("#[") || line.starts_with("///") => {
                    is_test |= ["#[test]", "#[rstest]", "#[tokio::test", "#[actix_web::test"]
                        .iter()
                        .any(|attribute| line.starts_with(attribute));
                    continue;
                }
                _ => {}
            }
            is_test = false;
        }
        names
    }
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    for prefix in ["pub ", "pub(super) ", "pub(crate) ", "const ", "async "] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// Leaves out the module of tests, which `cargo fmt` closes at the beginning of a line.
fn without_tests(text: &str) -> String {
    let Some((before, tests)) = text.split_once("#[cfg(test)]\nmod ") else { return text.to_owned() };
    let end = if tests.lines().next().is_some_and(|line| line.ends_with(';')) { ";\n" } else { "\n}\n" };
    let after = tests.split_once(end).map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// Cuts a line at its comment. Two slashes inside a string, as in a URL, do not begin one.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    for (place, character) in line.char_indices() {
        match character {
            '"' if !escaped => quoted = !quoted,
            '/' if !quoted && line[place..].starts_with("//") => return &line[..place],
            _ => {}
        }
        escaped = character == '\\' && !escaped;
    }
    line
}
