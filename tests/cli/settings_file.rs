//! `--config`: what the file may have, what comes before it, and `tollgate config`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::{Said, tollgate_in};
use crate::support::temporary;

/// Writes a settings file that only its owner may read.
fn write(directory: &Path, content: &str) {
    let file = directory.join("t.toml");
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Returns a setting as `tollgate config --json` prints it: value, source, place.
fn setting(said: &Said, name: &str) -> Value {
    said.assert_good();
    let document = said.json();
    let rows = document["settings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    json!([row["value"], row["source"], row["from"]])
}

#[test]
fn a_flag_comes_before_a_variable_before_the_file_before_the_default() {
    let directory = temporary::directory();
    write(directory.path(), "# prices\nchat-price = 7\nopening-tokens = \"8\"\nthrottle = false\n");
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let words = [words, &["config", "--json"]].concat();
        setting(&tollgate_in(directory.path(), &words, variables), "chat-price")
    };
    let file = ["--config", "t.toml"];
    let variable = [("TOLLGATE_CHAT_PRICE", "9")];
    assert_eq!(run(&[], &[]), json!(["100", "default", null]));
    assert_eq!(run(&file, &[]), json!(["7", "file", "t.toml:2"]));
    assert_eq!(run(&[], &[("TOLLGATE_CONFIG", "t.toml")]), json!(["7", "file", "t.toml:2"]));
    assert_eq!(run(&file, &variable), json!(["9", "variable", "TOLLGATE_CHAT_PRICE"]));
    let flag = ["--config", "t.toml", "--chat-price", "10"];
    assert_eq!(run(&flag, &variable), json!(["10", "flag", null]));
    let said = tollgate_in(directory.path(), &["config", "--json", "--config", "t.toml"], &[]);
    assert_eq!(setting(&said, "opening-tokens"), json!(["8", "file", "t.toml:3"]));
    assert_eq!(setting(&said, "throttle"), json!(["off", "file", "t.toml:4"]));
    assert_eq!(setting(&said, "config"), json!(["t.toml", "flag", null]));
}

/// A command that reads one group of settings gets them from the file, too.
#[test]
fn every_command_reads_the_file() {
    let directory = temporary::directory();
    write(directory.path(), "database-url = \"from-the-file.db\"\n");
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let words = [&["--config", "t.toml"], words].concat();
        tollgate_in(directory.path(), &words, variables)
    };
    run(&["migrate"], &[]).assert_good();
    assert!(directory.path().join("from-the-file.db").exists());
    run(&["verify"], &[]).assert_good();
    run(&["verify"], &[("DATABASE_URL", "other.db")]).assert_refused(1, "no database other.db");
    run(&["verify", "--database-url", "third.db"], &[("DATABASE_URL", "other.db")])
        .assert_refused(1, "no database third.db");
}

#[test]
fn a_wrong_file_prevents_every_command_and_says_where_it_is_wrong() {
    let directory = temporary::directory();
    for (content, why) in [
        ("\nbody-timeout = \"soon\"", "t.toml:2: body-timeout is \"soon\": give a whole number"),
        ("workers = 0", "t.toml:1: workers is \"0\": give a whole number from 1 to 256"),
        ("throttle = 5", "t.toml:1: throttle is \"5\": give one of: on, off"),
        ("colour = 'red'", "t.toml:1: colour is not a setting"),
        ("chat_price = 7", "t.toml:1: chat_price is not a setting: write chat-price"),
        ("chat-price", "t.toml:1: "),
        ("[metering]\nchat-price = 7", "t.toml:1: [metering]: a settings file has no sections"),
        (
            "database-url = 'mysql://u:zq7@h/d'",
            "t.toml:1: database-url is (not shown): its scheme is unknown",
        ),
    ] {
        write(directory.path(), content);
        for command in ["serve", "verify", "config"] {
            let said = tollgate_in(directory.path(), &[command, "--config", "t.toml"], &[]);
            said.assert_refused(2, why);
            assert!(!format!("{said:?}").contains("zq7"), "{said:?}");
        }
        let said = tollgate_in(directory.path(), &["verify", "--json", "--config", "t.toml"], &[]);
        assert!(said.json()["error"].as_str().unwrap().contains(why), "{said:?}");
    }
    tollgate_in(directory.path(), &["--config", "missing.toml"], &[])
        .assert_refused(2, "--config missing.toml: the file cannot be read");
    // Completions and the manual need no settings.
    let broken = [("TOLLGATE_CONFIG", "t.toml")];
    tollgate_in(directory.path(), &["man"], &broken).assert_good();
    tollgate_in(directory.path(), &["verify"], &broken).assert_refused(2, "t.toml:1: ");
}

#[test]
fn a_file_with_a_secret_must_not_be_open_to_everybody() {
    let directory = temporary::directory();
    write(directory.path(), "upstream-key = 'sk-zq7'\n");
    let run = || tollgate_in(directory.path(), &["config", "--config", "t.toml"], &[]);
    let said = run();
    said.assert_good();
    assert!(said.out.contains("# upstream-key = \"***\"") && !said.out.contains("zq7"), "{said:?}");
    let file = directory.path().join("t.toml");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = run();
    said.assert_refused(2, "chmod 640 t.toml");
    said.assert_refused(2, "t.toml:1: upstream-key is a secret");
}

#[test]
fn what_config_prints_is_a_settings_file_with_the_same_values() {
    let directory = temporary::directory();
    let variables = [
        ("DATABASE_URL", "postgres://u:zq7secret@h/d?sslmode=require"),
        ("TOLLGATE_UPSTREAM_KEY", "sk-zq7secret"),
        ("TOLLGATE_SITE_TITLE", "A \"title\" \\ of ours"),
        ("TOLLGATE_CORS_ORIGINS", "https://a.example,https://b.example"),
    ];
    let words = ["--chat-price", "7", "--top-up", "Ask Ada", "config"];
    let said = tollgate_in(directory.path(), &words, &variables);
    said.assert_good();
    assert!(!said.out.contains("zq7"), "{said:?}");
    for line in [
        "# Serving",
        "chat-price = 7 ",
        "# flag",
        "# workers: one per core ",
        "# variable TOLLGATE_SITE_TITLE",
        "# database-url = \"postgres://u:***@h/d\" ",
    ] {
        assert!(said.out.contains(line), "{line:?} is not in {}", said.out);
    }
    write(directory.path(), &said.out);
    let again = tollgate_in(directory.path(), &["config", "--json", "--config", "t.toml"], &[]);
    let once = tollgate_in(directory.path(), &[&words[..], &["--json"]].concat(), &variables);
    let is_in_both = |name: &str| !["config", "database-url", "upstream-key"].contains(&name);
    let values = |said: &Said| -> Vec<(String, Value)> {
        let document = said.json();
        let rows = document["settings"].as_array().unwrap().iter();
        let rows = rows.map(|row| (row["name"].as_str().unwrap().to_owned(), row["value"].clone()));
        rows.filter(|(name, _)| is_in_both(name)).collect()
    };
    let (again, once) = (values(&again), values(&once));
    assert!(once.len() > 50, "only {} settings", once.len());
    assert_eq!(again, once);
}
