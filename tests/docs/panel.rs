//! `docs/panel.md` describes every section of the panel.

use tollgate::panel::SECTIONS;

use super::rows;

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
