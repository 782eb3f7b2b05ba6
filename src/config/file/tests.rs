use clap::{Args, Command};

use super::*;
use crate::config::Config;

fn settings() -> Vec<Arg> {
    Config::augment_args(Command::new("tollgate")).get_arguments().cloned().collect()
}

/// Writes a file with this content and mode, and reads it.
fn read(content: &str, mode: u32) -> Result<SettingsFile, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.toml");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    // The name of the folder differs each time.
    SettingsFile::read(&path, &settings()).map_err(|why| why.replace(&path.display().to_string(), "t.toml"))
}

#[test]
fn values_may_be_texts_numbers_switches_and_lists() {
    let content = "\
# A comment.
chat-price = 1_00
body-timeout = \"20\"
throttle = false
store-responses = 'on'
cors-origins = [\"https://a.example\", \"https://b.example\"]
trusted-proxies = [\"10.0.0.1\"]
unlimited-addresses = \"127.0.0.0/8, ::1\"
upstream-models = []
workers = 0x2
";
    let file = read(content, 0o644).unwrap();
    let found: Vec<_> =
        file.settings.iter().map(|it| (it.name.as_str(), it.value.as_str(), it.line)).collect();
    assert_eq!(
        found,
        [
            ("body-timeout", "20", 3),
            ("chat-price", "100", 2),
            ("cors-origins", "https://a.example,https://b.example", 6),
            ("store-responses", "on", 5),
            ("throttle", "off", 4),
            ("trusted-proxies", "10.0.0.1", 7),
            ("unlimited-addresses", "127.0.0.0/8, ::1", 8),
            ("upstream-models", "", 9),
            ("workers", "2", 10),
        ]
    );
}

#[test]
fn an_error_has_the_line_the_setting_the_value_and_what_to_write() {
    for (content, wanted) in [
        ("\nbody-timeout = \"soon\"", "t.toml:2: body-timeout is \"soon\": give a whole number"),
        ("workers = 0", "t.toml:1: workers is \"0\": give a whole number from 1 to 256"),
        ("chat-price = 1.5", "t.toml:1: chat-price is \"1.5\": give a whole number"),
        ("throttle = \"maybe\"", "t.toml:1: throttle is \"maybe\": give one of: on, off"),
        ("chat-price = true", "t.toml:1: chat-price is \"true\": give a whole number"),
        ("chat-price = [1]", "t.toml:1: chat-price: it takes one value, not a list"),
        ("chat-price = {a = 1}", "t.toml:1: chat-price: it takes one value, not a table"),
        ("log = 2026-01-01", "t.toml:1: log: it takes no date: write the value in quotes"),
        ("cors-origins = [1]", "t.toml:1: cors-origins: write each element of the list in quotes"),
        (
            "cors-origins = ['a,b']",
            "t.toml:1: cors-origins: an element of a list has no comma: write two elements",
        ),
        ("body_timeout = 1", "t.toml:1: body_timeout is not a setting: write body-timeout"),
        ("TOLLGATE_BIND = ''", "t.toml:1: TOLLGATE_BIND is not a setting: write bind"),
        ("config = 'b.toml'", "t.toml:1: config: a settings file cannot name another one: remove this line"),
        ("upstream-key = 1", "t.toml:1: upstream-key: give the key in quotes"),
    ] {
        assert_eq!(read(content, 0o600).unwrap_err(), wanted, "{content}");
    }
    for (content, wanted) in [
        ("colour = 1", "t.toml:1: colour is not a setting: `tollgate --help` lists them"),
        ("log = 'info'\n[upstream]\nurl = 'x'", "t.toml:2: [upstream]: a settings file has no sections"),
        ("log = 'info'\nlog = 'warn'", "t.toml:2: "),
        ("log = info", "t.toml:1: "),
        ("log", "write each setting as NAME = VALUE, with texts in quotes"),
        ("chat-price = 99999999999999999999", "chat-price: the number is too large"),
    ] {
        let why = read(content, 0o600).unwrap_err();
        assert!(why.contains(wanted), "{content}: {why}");
    }
}

#[test]
fn a_value_that_may_be_a_secret_is_not_in_the_error() {
    for (name, value) in [
        ("database-url", "mysql://u:zq7secret@h/d"),
        ("upstream-url", "https://u:zq7secret@h/v1"),
        ("public-url", "https://u:zq7secret@h"),
        ("cors-origins", "https://u:zq7secret@h"),
    ] {
        let why = read(&format!("{name} = \"{value}\""), 0o600).unwrap_err();
        assert!(why.starts_with(&format!("t.toml:1: {name} is (not shown): ")), "{why}");
        assert!(!why.contains("zq7"), "{why}");
    }
    let file =
        read("upstream-key = 'zq7secret'\ndatabase-url = 'postgres://u:zq7secret@h/d'", 0o600).unwrap();
    assert!(!format!("{file:?}").contains("zq7"), "{file:?}");
}

#[test]
fn a_file_with_a_secret_must_not_be_open_to_everybody() {
    for secret in [
        "upstream-key = 'sk-1'",
        "database-url = 'postgres://u:pw@h/d'",
        "database-url = 'postgres://h/d?password=x'",
    ] {
        for mode in [0o600, 0o400, 0o640, 0o660] {
            assert!(read(secret, mode).is_ok(), "{secret} {mode:o}");
        }
        for mode in [0o644, 0o604, 0o666] {
            let why = read(secret, mode).unwrap_err();
            assert!(why.contains("chmod 640 t.toml"), "{secret} {mode:o}: {why}");
        }
    }
    for open in ["database-url = 'postgres://u@h/d?sslmode=require'", "database-url = 't.db'", ""] {
        assert!(read(open, 0o644).is_ok(), "{open}");
    }
}

#[test]
fn only_a_regular_file_of_text_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("binary"), b"\xff\xfe").unwrap();
    // Sparse: it takes no space on the disk.
    File::create(path("huge")).unwrap().set_len(1 << 40).unwrap();
    for (path, why) in [
        (path("missing"), "the file cannot be read (entity not found)"),
        (folder.path().to_owned(), "give the path of a file"),
        ("/dev/zero".into(), "give the path of a file"),
        (path("binary"), "not text in UTF-8"),
        (path("huge"), "larger than 1 MiB"),
    ] {
        let said = SettingsFile::read(&path, &settings()).unwrap_err();
        assert!(said.starts_with(&format!("--config {}: ", path.display())) && said.contains(why), "{said}");
    }
}
