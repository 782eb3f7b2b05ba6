//! `docs/upstreams.md` lists every row of the table of providers, with its source.

use super::{code, rows};
use crate::support::upstream::providers;

const DOCUMENT: &str = include_str!("../../docs/upstreams.md");

#[test]
fn each_peculiarity_of_a_provider_is_documented_with_its_source() {
    let mut documented = Vec::new();
    for row in rows(DOCUMENT) {
        let [sends, gets, source, name] = row[..] else { panic!("{row:?} must have four cells") };
        assert!(!sends.is_empty() && !gets.is_empty(), "{name} says too little");
        assert!(source.contains("](") || source == "measured", "{name} has no source: {source}");
        documented.push(code(name).unwrap_or_else(|| panic!("{name} is not a name")));
    }
    let tested: Vec<_> = providers::rows().into_iter().map(|row| row.name).collect();
    assert_eq!(documented, tested);
}
