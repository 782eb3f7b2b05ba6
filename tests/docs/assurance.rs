//! `docs/assurance.md` has an argument, code and tests for each claim, and they exist.

use super::{code_spans, named_tests};
use crate::house::source::root;

const DOCUMENT: &str = include_str!("../../docs/assurance.md");

/// The parts of a claim, in their order.
const PARTS: [&str; 4] = ["Argument", "Code", "Tests", "Rests on"];

/// A claim: its title, and its parts.
struct Claim {
    title: &'static str,
    parts: [&'static str; PARTS.len()],
}

fn claims() -> Vec<Claim> {
    let (_, section) = DOCUMENT.split_once("\n## Claims\n").expect("a section with the claims");
    let section = section.split("\n## ").next().unwrap();
    section.split("\n### ").skip(1).map(claim).collect()
}

fn claim(text: &'static str) -> Claim {
    let (title, mut rest) = text.split_once('\n').unwrap();
    let parts = PARTS.map(|name| {
        let (before, after) = rest.split_once(&format!("**{name}.**")).unwrap_or_else(|| {
            panic!("{title} has no part {name}, or in another place");
        });
        assert!(!before.contains("**"), "{title} has another part before {name}: {before}");
        rest = after;
        after.split("\n**").next().unwrap()
    });
    Claim { title, parts }
}

#[test]
fn each_claim_has_an_argument_and_says_what_it_rests_on() {
    let claims = claims();
    assert!(claims.len() >= 5, "only {} claims are checked", claims.len());
    for Claim { title, parts: [argument, _, _, rests_on] } in claims {
        for (part, least) in [(argument, 40), (rests_on, 8)] {
            let words = part.split_whitespace().count();
            assert!(words >= least, "{title} says too little: {part}");
        }
    }
}

#[test]
fn the_code_of_each_claim_exists() {
    for Claim { title, parts: [_, code, _, _] } in claims() {
        let paths: Vec<&str> = code_spans(code).collect();
        assert!(paths.len() >= 2, "{title} names too little code: {paths:?}");
        for path in paths {
            assert!(root().join(path).exists(), "{title} names {path}, which does not exist");
        }
    }
}

#[test]
fn the_tests_of_each_claim_exist() {
    let known = named_tests();
    for Claim { title, parts: [_, _, tests, _] } in claims() {
        let tests: Vec<&str> = code_spans(tests).collect();
        assert!(tests.len() >= 3, "{title} names too few tests: {tests:?}");
        for test in tests {
            assert!(known.contains(test), "{title} names {test}, which does not exist");
        }
    }
}
