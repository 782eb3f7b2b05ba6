//! The changelog has a section for each version, and a database of each released one is kept.

use crate::house::source::root;

const CHANGELOG: &str = include_str!("../../CHANGELOG.md");

/// Returns each version with its section.
fn versions() -> Vec<(&'static str, &'static str)> {
    let sections = CHANGELOG.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    let sections = sections.filter(|(title, _)| *title != "Unreleased");
    sections.map(|(title, section)| (title.split(' ').next().unwrap(), section)).collect()
}

#[test]
fn this_version_has_a_section_and_the_newest_comes_first() {
    let numbers =
        |version: &str| -> Vec<u32> { version.split('.').map(|part| part.parse().unwrap()).collect() };
    let names: Vec<&str> = versions().iter().map(|(version, _)| *version).collect();
    assert!(names.contains(&env!("CARGO_PKG_VERSION")), "{names:?}");
    assert!(names.is_sorted_by(|newer, older| numbers(newer) > numbers(older)), "{names:?}");
    let first = CHANGELOG.find(&format!("\n## {}", names[0])).unwrap();
    assert!(CHANGELOG.find("\n## Unreleased\n").is_none_or(|unreleased| unreleased < first));
}

/// The policy in `docs/upgrading.md` rests on these. A version that is just being made has no
/// commit yet.
#[test]
fn databases_of_each_released_version_are_kept_for_the_tests_of_upgrades() {
    let files: Vec<String> = std::fs::read_dir(root().join("tests/upgrade"))
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    for (version, section) in versions() {
        let Some((_, rest)) = section.split_once("(commit `") else {
            assert_eq!(version, env!("CARGO_PKG_VERSION"), "{version} names no commit");
            continue;
        };
        let commit = rest.split('`').next().unwrap();
        for start in ["sqlite-", "postgres-"] {
            let kept = format!("{start}{commit}.");
            assert!(files.iter().any(|file| file.starts_with(&kept)), "{version}: no {kept}… in {files:?}");
        }
    }
}
