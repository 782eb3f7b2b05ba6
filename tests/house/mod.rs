//! Rules of structure that the compiler does not check.

mod layers;
mod prose;
pub mod source;

use std::path::Path;

use source::{Source, below, root, texts_of_the_repository};

#[test]
fn handlers_do_not_use_diesel() {
    for folder in ["src/api", "src/http", "src/pages", "src/panel"] {
        for source in below(folder) {
            assert!(
                !source.code.contains("diesel"),
                "{} uses diesel: the query belongs in models",
                source.path
            );
        }
    }
}

/// A reload replaces the settings of the site, so nobody may keep those of the start.
#[test]
fn handlers_take_the_settings_of_the_moment() {
    for source in below("src") {
        assert!(!source.dense().contains("data<site>"), "{}: take CurrentSite", source.path);
    }
}

/// Diesel calls and SQL that change a balance or write the ledger, in lower case and without
/// blanks.
const MOVES_MONEY: [&str; 16] = [
    "tokens.eq(",
    "users::tokens+",
    "users::tokens-",
    "settokens=",
    ",tokens=tokens",
    "insert_into(users",
    "insert_into(dsl::users",
    "insertintousers",
    "insert_into(ledger_entries",
    "insert_into(dsl::ledger_entries",
    "intoledger_entries",
    "updateledger_entries",
    "update(ledger_entries",
    "deletefromledger_entries",
    "deletefromusers",
    "truncateledger_entries",
];

#[test]
fn only_metering_moves_money() {
    let mut seen_in_metering = 0;
    for source in below("src") {
        let dense = source.dense();
        let found: Vec<_> = MOVES_MONEY.iter().filter(|pattern| dense.contains(**pattern)).collect();
        if source.path.starts_with("src/metering/") {
            seen_in_metering += found.len();
        } else {
            assert!(found.is_empty(), "{} moves money ({found:?}): that belongs in metering", source.path);
        }
    }
    // If metering wrote these in another way, other modules could do so unnoticed.
    assert!(seen_in_metering >= 5, "the patterns no longer match what metering itself does");
}

/// Money also moves if a whole struct is written to `users` or `ledger_entries`.
#[test]
fn no_struct_outside_metering_is_written_to_users_or_the_ledger() {
    for source in below("src").into_iter().filter(|source| !source.path.starts_with("src/metering/")) {
        for derived in source.dense().split("#[derive(").skip(1) {
            let (derives, rest) = derived.split_once(")]").unwrap_or_default();
            let writes = derives.contains("insertable") || derives.contains("aschangeset");
            let head = rest.split('{').next().unwrap_or_default();
            let fields = rest.split('}').next().unwrap_or_default();
            let ledger = head.contains("table_name=ledger_entries");
            let balance = head.contains("table_name=users") && fields.contains("tokens:");
            assert!(!(writes && (ledger || balance)), "{} writes {head}", source.path);
        }
    }
}

#[test]
fn no_template_switches_escaping_off() {
    let templates = texts_of_the_repository().into_iter().filter(|(path, _)| path.starts_with("templates/"));
    let mut count = 0;
    for (path, text) in templates {
        count += 1;
        let dense: String = text.split_whitespace().collect();
        for off in ["|safe", "|escape(", "|e(", "autoescape"] {
            assert!(!dense.contains(off), "{path} has {off}");
        }
    }
    assert!(count > 0, "there are no templates where this test looks");
}

/// A change of a path is a change of `kit/paths.rs` and of the table of routes. A list that no
/// other page links to has its path in its own description.
#[test]
fn the_panel_names_its_paths_in_one_place() {
    for source in below("src/panel") {
        let may_name_them = ["src/panel/mod.rs", "src/panel/kit/paths.rs"].contains(&source.path.as_str());
        assert!(
            may_name_them
                || source.code.match_indices("\"/admin").all(|(at, _)| ends_with_a_list(&source.code[..at])),
            "{} writes a path out: give it a name in src/panel/kit/paths.rs",
            source.path
        );
    }
}

/// Whether code ends where the description of a list has its path.
fn ends_with_a_list(code: &str) -> bool {
    code.rsplit_once("List::new(").is_some_and(|(_, arguments)| !arguments.contains(')'))
}

/// A file that was split only for its length has a name that says nothing.
#[test]
fn a_files_name_says_what_it_contains() {
    for source in ["src", "tests", "benches"].into_iter().flat_map(below) {
        let name = source.path.rsplit('/').next().unwrap_or_default();
        let is_rest = ["more_", "misc", "util"].iter().any(|start| name.starts_with(start));
        assert!(!is_rest, "{} says nothing of its subject", source.path);
    }
}

#[test]
fn a_tests_name_is_a_sentence() {
    for source in below("src").iter().chain(&below("tests")) {
        for name in source.tests() {
            assert!(name.matches('_').count() >= 2, "{name} in {} is not a sentence", source.path);
        }
    }
}

/// The repository stands alone: it names no path of the machines that it was written on.
#[test]
fn no_file_names_a_path_of_some_machine() {
    // Joined here, so that this file does not contain them.
    let places = [["..", "/shared"], ["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"]]
        .map(|parts| parts.concat());
    let texts = texts_of_the_repository();
    assert!(texts.len() > 100, "only {} files are checked", texts.len());
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            let found = places.iter().find(|place| line.contains(place.as_str()));
            assert!(found.is_none(), "{path}:{} names {found:?}", number + 1);
        }
    }
}

#[test]
fn the_rules_check_all_sources() {
    let paths: Vec<String> = below("src").into_iter().map(|source| source.path).collect();
    for file in
        ["src/main.rs", "src/metering/charge/sqlite/set.rs", "src/db/writer/batch.rs", "src/api/chat.rs"]
    {
        assert!(paths.iter().any(|path| path == file), "{file} is not checked");
    }
    assert!(Path::new(&root()).join("Cargo.toml").exists());
    let example = Source::parse(
        "src/models/x.rs".to_owned(),
        "//! crate::api\nfn f() {\n    // crate::cli\n    g(\"a // b\"); // crate::api\n}\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n"
            .to_owned(),
    );
    assert_eq!(example.code.trim(), "fn f() {\n    \n    g(\"a // b\"); \n}");
}
