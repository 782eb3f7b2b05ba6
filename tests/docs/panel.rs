//! `docs/panel.md` describes every section of the panel.

use tollgate::panel::{SECTIONS, shortcuts};

use super::{code, rows};

const DOCUMENT: &str = include_str!("../../docs/panel.md");

#[test]
fn every_section_of_the_panel_is_in_the_table_of_pages() {
    let (_, pages) = DOCUMENT.split_once("\n## The pages\n").expect("a section with the pages");
    let described = rows(pages.split("\n## ").next().unwrap());
    for section in SECTIONS {
        let is_described = described.iter().any(|row| row[0].split(", ").any(|page| page == section.label));
        assert!(is_described, "docs/panel.md has no row for {}", section.label);
    }
}

/// The panel's own list of shortcuts and the document's are the same.
#[test]
fn every_shortcut_is_in_the_table_of_keys() {
    let (_, keys) = DOCUMENT.split_once("\n## Keyboard\n").expect("a section with the shortcuts");
    let described: Vec<(String, String)> = rows(keys.split("\n## ").next().unwrap())
        .iter()
        .map(|row| (code(row[0]).unwrap().to_owned(), row[1].to_owned()))
        .collect();
    let known: Vec<(String, String)> = shortcuts().into_iter().map(|one| (one.keys, one.does)).collect();
    assert_eq!(described, known);
}
