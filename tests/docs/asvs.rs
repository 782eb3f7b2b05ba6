//! `docs/security.md` goes through every requirement of ASVS 5.0 up to level 2, names files and
//! tests that exist, and counts right.

use std::collections::BTreeMap;

use super::{code_spans, named_tests, rows};
use crate::house::source::root;

const DOCUMENT: &str = include_str!("../../docs/security.md");

/// The requirements of level 1 in version 5.0.0.
const LEVEL_1: &str = "\
    1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.3.1 1.3.2 1.5.1 2.1.1 2.2.1 2.2.2 2.3.1 3.2.1 3.2.2 3.3.1 3.4.1 \
    3.4.2 3.5.1 3.5.2 3.5.3 4.1.1 4.4.1 5.2.1 5.2.2 5.3.1 5.3.2 6.1.1 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 \
    6.2.6 6.2.7 6.2.8 6.3.1 6.3.2 6.4.1 6.4.2 7.2.1 7.2.2 7.2.3 7.2.4 7.4.1 7.4.2 8.1.1 8.2.1 8.2.2 \
    8.3.1 9.1.1 9.1.2 9.1.3 9.2.1 10.4.1 10.4.2 10.4.3 10.4.4 10.4.5 11.3.1 11.3.2 11.4.1 12.1.1 \
    12.2.1 12.2.2 13.4.1 14.2.1 14.3.1 15.1.1 15.2.1 15.3.1";

/// The requirements that level 2 adds.
const LEVEL_2: &str = "\
    1.1.1 1.1.2 1.2.6 1.2.7 1.2.8 1.2.9 1.3.3 1.3.4 1.3.5 1.3.6 1.3.7 1.3.8 1.3.9 1.3.10 1.3.11 \
    1.4.1 1.4.2 1.4.3 1.5.2 2.1.2 2.1.3 2.2.3 2.3.2 2.3.3 2.3.4 2.4.1 3.3.2 3.3.3 3.3.4 3.4.3 3.4.4 \
    3.4.5 3.4.6 3.5.4 3.5.5 3.7.1 3.7.2 4.1.2 4.1.3 4.2.1 4.3.1 4.3.2 4.4.2 4.4.3 4.4.4 5.1.1 5.2.3 \
    5.4.1 5.4.2 5.4.3 6.1.2 6.1.3 6.2.9 6.2.10 6.2.11 6.2.12 6.3.3 6.3.4 6.4.3 6.4.4 6.5.1 6.5.2 \
    6.5.3 6.5.4 6.5.5 6.6.1 6.6.2 6.6.3 6.8.1 6.8.2 6.8.3 6.8.4 7.1.1 7.1.2 7.1.3 7.3.1 7.3.2 7.4.3 \
    7.4.4 7.4.5 7.5.1 7.5.2 7.6.1 7.6.2 8.1.2 8.2.3 8.4.1 9.2.2 9.2.3 9.2.4 10.1.1 10.1.2 10.2.1 \
    10.2.2 10.3.1 10.3.2 10.3.3 10.3.4 10.4.6 10.4.7 10.4.8 10.4.9 10.4.10 10.4.11 10.5.1 10.5.2 \
    10.5.3 10.5.4 10.5.5 10.6.1 10.6.2 10.7.1 10.7.2 10.7.3 11.1.1 11.1.2 11.2.1 11.2.2 11.2.3 \
    11.3.3 11.4.2 11.4.3 11.4.4 11.5.1 11.6.1 12.1.2 12.1.3 12.3.1 12.3.2 12.3.3 12.3.4 13.1.1 \
    13.2.1 13.2.2 13.2.3 13.2.4 13.2.5 13.3.1 13.3.2 13.4.2 13.4.3 13.4.4 13.4.5 14.1.1 14.1.2 \
    14.2.2 14.2.3 14.2.4 14.3.2 14.3.3 15.1.2 15.1.3 15.2.2 15.2.3 15.3.2 15.3.3 15.3.4 15.3.5 \
    15.3.6 15.3.7 16.1.1 16.2.1 16.2.2 16.2.3 16.2.4 16.2.5 16.3.1 16.3.2 16.3.3 16.3.4 16.4.1 \
    16.4.2 16.4.3 16.5.1 16.5.2 16.5.3 17.1.1 17.2.1 17.2.2 17.2.3 17.2.4 17.3.1 17.3.2";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    NotMet,
    DoesNotApply,
}

struct Requirement {
    id: &'static str,
    level: &'static str,
    asks: &'static str,
    verdict: Verdict,
    /// Where it is met, or why it is not met or does not apply.
    place: &'static str,
    /// `path::name`, or "review". Empty if it is not met.
    test: &'static str,
}

fn requirements() -> Vec<Requirement> {
    let (_, section) = DOCUMENT.split_once("\n## ASVS 5.0, level 2\n").expect("a section on ASVS");
    let rows = rows(section.split("\n## ").next().unwrap()).into_iter();
    rows.map(|row| {
        let [id, level, asks, verdict, place, test] = row[..] else { panic!("six cells: {row:?}") };
        let verdict = match verdict {
            "met" => Verdict::Met,
            "not met" => Verdict::NotMet,
            "does not apply" => Verdict::DoesNotApply,
            other => panic!("{id}: {other} is no verdict"),
        };
        Requirement { id, level, asks, verdict, place, test: test.trim_matches('`') }
    })
    .collect()
}

/// Returns the parts of an id as numbers, in whose order the requirements are.
fn order(id: &str) -> Vec<u32> {
    id.split('.').map(|number| number.parse().unwrap()).collect()
}

#[test]
fn every_requirement_has_a_row_with_its_level_in_the_order_of_the_standard() {
    let levels = [("1", LEVEL_1), ("2", LEVEL_2)];
    let mut expected: Vec<(&str, &str)> =
        levels.iter().flat_map(|(level, ids)| ids.split_whitespace().map(move |id| (id, *level))).collect();
    expected.sort_by_key(|(id, _)| order(id));
    assert_eq!(expected.len(), 253);
    let documented: Vec<(&str, &str)> = requirements().iter().map(|one| (one.id, one.level)).collect();
    assert_eq!(documented, expected);
}

#[test]
fn what_is_met_names_files_and_a_test_that_exist_and_all_else_says_why() {
    let tests = named_tests();
    let mut faults = Vec::new();
    for Requirement { id, asks, verdict, place, test, .. } in requirements() {
        let mut fault = |what: &str| faults.push(format!("{id} ({asks}): {what}"));
        let words = |text: &str| text.split_whitespace().count();
        if words(asks) == 0 {
            fault("does not say what it asks");
        }
        let files: Vec<&str> = code_spans(place)
            .filter(|span| span.contains('/') || span.ends_with(".md") || span.ends_with(".toml"))
            .filter(|span| !span.starts_with('/'))
            .collect();
        for file in &files {
            if !root().join(file).exists() {
                fault(&format!("{file} does not exist"));
            }
        }
        match verdict {
            Verdict::Met if files.is_empty() => fault("names no file"),
            Verdict::Met if test != "review" && !tests.contains(test) => {
                fault(&format!("there is no test {test}"))
            }
            Verdict::NotMet if words(place) < 10 || !test.is_empty() => fault("says too little of why"),
            Verdict::DoesNotApply if words(place) < 2 || !test.is_empty() => fault("does not say why"),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Returns the three sentences on the counts.
fn counts(requirements: &[Requirement]) -> [String; 3] {
    let count = |of: &[&Requirement]| {
        let with = |verdict| of.iter().filter(|one| one.verdict == verdict).count();
        let (met, not_met) = (with(Verdict::Met), with(Verdict::NotMet));
        format!("{met} are met, {not_met} are not met, and {} do not apply.", with(Verdict::DoesNotApply))
    };
    let all: Vec<&Requirement> = requirements.iter().collect();
    let first: Vec<&Requirement> = requirements.iter().filter(|one| one.level == "1").collect();
    let met = || requirements.iter().filter(|one| one.verdict == Verdict::Met);
    let reviewed = met().filter(|one| one.test == "review").count();
    [
        format!("Of its {} requirements, {}", all.len(), count(&all)),
        format!("Of the {} of level 1, {}", first.len(), count(&first)),
        format!("Of those that are met, {} have a test. The other {reviewed} are", met().count() - reviewed),
    ]
}

#[test]
fn the_counts_are_those_of_the_rows() {
    for sentence in counts(&requirements()) {
        assert!(DOCUMENT.contains(&sentence), "docs/security.md must say: {sentence}");
    }
}

/// A requirement that is met by a document is met by a section with that name.
#[test]
fn the_sections_of_this_document_that_rows_name_exist() {
    let mut named = BTreeMap::new();
    for requirement in requirements() {
        if let Some((_, sections)) = requirement.place.split_once("`docs/security.md`: ") {
            named.extend(sections.split(", ").map(|section| (section, requirement.id)));
        }
    }
    assert!(named.len() > 5, "only {named:?} are checked");
    for (section, id) in named {
        assert!(DOCUMENT.contains(&format!("\n## {section}\n")), "{id} names {section}, which is no section");
    }
}
