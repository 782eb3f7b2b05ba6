//! A secret in a setting is never printed, whatever is wrong with the setting.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use super::{BINARY, Said, finish, run_with};
use crate::support::{On, TestDatabase, temporary};

/// It has no character that a URL would encode, and neither half of it occurs in our own texts.
const SECRET: &str = "zq7secretzq8";
const HALVES: [&str; 2] = ["zq7", "zq8"];

/// Settings whose values may hold a secret, with their variables.
const SETTINGS: [(&str, &str); 8] = [
    ("--database-url", "DATABASE_URL"),
    ("--database-url-file", "DATABASE_URL_FILE"),
    ("--public-url", "TOLLGATE_PUBLIC_URL"),
    ("--security-contact", "TOLLGATE_SECURITY_CONTACT"),
    ("--cors-origins", "TOLLGATE_CORS_ORIGINS"),
    ("--upstream-url", "TOLLGATE_UPSTREAM_URL"),
    ("--upstream-key-file", "TOLLGATE_UPSTREAM_KEY_FILE"),
    ("--tls-key", "TOLLGATE_TLS_KEY"),
];

/// Values in which `S` stands for the secret: URLs with each part wrong or misplaced.
const VALUES: [&str; 44] = [
    "S",
    "mysql://u:S@h/d",
    "S://h/d",
    "postgre://u:S@h/d",
    "POSTGRES://u:S@h/d",
    "postgres:/u:S@h/d",
    "postgres:u:S@h/d",
    "u:S@h/d",
    "//u:S@h/d",
    "sqlite://u:S@h/d",
    "postgres://u:S@127.0.0.1:1/d",
    "postgres://u:S@127.0.0.1:1,127.0.0.1:1/d",
    "postgres://u:S@127.0.0.1:port/d",
    "postgres://u:S@127.0.0.1:99999/d",
    "postgres://u:x@S@127.0.0.1:1/d",
    "postgres://u:x/S@127.0.0.1:1/d",
    "postgres://u:1/S@127.0.0.1:1/d",
    "postgres://u:x?S@127.0.0.1:1/d",
    "postgres://u:x#S@127.0.0.1:1/d",
    "postgres://u:x%S@127.0.0.1:1/d",
    "postgres://u:x%00S@127.0.0.1:1/d",
    "postgres://u:x S@127.0.0.1:1/d",
    "postgres://127.0.0.1:S/d",
    "postgres://127.0.0.1:1/d?password=S",
    "postgres://127.0.0.1:1/d?password=S&sslmode=no",
    "postgres://127.0.0.1:1/d?sslpassword=S&passwrod=S",
    "postgres://127.0.0.1:1/d?S",
    "postgres://127.0.0.1:1/d?S=1",
    "postgres://127.0.0.1:1?password=x@S",
    "postgres://[S]/d",
    "http://u:S@h",
    "https://u:S@h/",
    "https://S@h/v1",
    "https://u:S@h/v1",
    "https://h/v1?key=S",
    "https://h/v1#S",
    "https://h:S/v1",
    "https://[S/v1",
    "ftp://u:S@h/v1",
    "https://h/S/x",
    "https://a.example,https://u:S@h",
    "S,https://h/",
    "https://u:S",
    "/no/such/folder/S",
];

fn run(directory: &Path, words: &[OsString], variables: &[(&str, OsString)]) -> Said {
    let mut command = Command::new(BINARY);
    command.env_clear().args(words).current_dir(directory);
    for (name, value) in variables {
        command.env(name, value);
    }
    finish(&mut command, "")
}

#[track_caller]
fn assert_hides(said: &Said, what: &str) {
    let all = format!("{} {}", said.out, said.err);
    for half in HALVES {
        assert!(!all.contains(half), "{what}: {said:?}");
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Upstream settings are read only with the responder `openai`.
const SERVE: [&str; 5] = ["serve", "--bind", "256.0.0.1:0", "--responder", "openai"];

#[test]
fn an_invalid_setting_does_not_print_its_secret() {
    let directory = temporary::directory();
    for (flag, variable) in SETTINGS {
        // The name of a database file is not secret.
        let is_path = |value: &&str| flag == "--database-url" && !value.contains(':');
        for value in VALUES.into_iter().filter(|value| !is_path(value)) {
            let value = value.replace('S', SECRET);
            // Every command uses the database's URL, and libpq writes its errors.
            let command = if flag == "--database-url" { &["verify"][..] } else { &SERVE[..] };
            let by_flag = [words(command), words(&[flag, &value])].concat();
            let joined = [words(command), words(&[&format!("{flag}={value}")])].concat();
            for said in [
                run(directory.path(), &by_flag, &[]),
                run(directory.path(), &joined, &[]),
                run(directory.path(), &words(command), &[(variable, value.clone().into())]),
            ] {
                assert_ne!(said.code, Some(0), "{flag} {value}: {said:?}");
                assert_hides(&said, &format!("{flag} {value}"));
            }
        }
        let help = run(directory.path(), &words(&["--help"]), &[(variable, SECRET.into())]);
        assert_hides(&help, variable);
    }
}

#[test]
fn a_secret_in_place_of_a_command_is_not_printed() {
    let directory = temporary::directory();
    for value in ["postgres://u:S@h/d", "u:S@h", "mysql://S"] {
        let value = value.replace('S', SECRET);
        for line in [
            vec![value.as_str()],
            vec!["verify", &value],
            vec!["--database-ur", &value],
            vec!["verify", "--database-url", "t.db", &value],
            vec!["--bind", &value],
        ] {
            let said = run(directory.path(), &words(&line), &[]);
            assert_eq!(said.code, Some(2), "{said:?}");
            assert_hides(&said, &value);
        }
    }
}

#[test]
fn a_variable_that_is_not_text_is_named_and_not_printed() {
    let directory = temporary::directory();
    let bytes = [SECRET.as_bytes(), b"\xff", SECRET.as_bytes()].concat();
    let value = OsStr::from_bytes(&bytes).to_owned();
    // It needs an upstream, so it ends at once even if the variable's value may be a path.
    let serve = [&SERVE[..1], &SERVE[3..]].concat();
    for (flag, variable) in SETTINGS {
        let said = run(directory.path(), &words(&serve), &[(variable, value.clone())]);
        if !flag.ends_with("-file") && flag != "--tls-key" {
            said.assert_refused(2, variable);
            said.assert_refused(2, flag);
        }
        assert_hides(&said, variable);
        let by_flag = [words(&SERVE), vec![flag.into(), value.clone()]].concat();
        assert_hides(&run(directory.path(), &by_flag, &[]), flag);
    }
    let log = run(directory.path(), &words(&["verify"]), &[("TOLLGATE_LOG", value)]);
    log.assert_refused(2, "TOLLGATE_LOG");
}

#[test]
fn an_invalid_upstream_key_is_not_printed() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let flags = [
        "--database-url",
        database.url(),
        "--upstream-url",
        "http://127.0.0.1:1/v1",
        "--upstream-models",
        "m",
    ];
    let serve = [words(&["serve", "--responder", "openai", "--bind", "127.0.0.1:0"]), words(&flags)].concat();
    let contents: [(&str, Vec<u8>); 6] = [
        ("no header can carry", format!("{SECRET}\n{SECRET}").into()),
        ("no header can carry", format!("{SECRET}é").into()),
        ("longer than", SECRET.repeat(400).into()),
        ("not text", [SECRET.as_bytes(), b"\xff\xfe"].concat()),
        ("no header can carry", format!("{SECRET} {SECRET}").into()),
        ("no header can carry", [SECRET.as_bytes(), b"\x01"].concat()),
    ];
    for (why, content) in &contents {
        let variable = ("TOLLGATE_UPSTREAM_KEY", OsStr::from_bytes(content).to_owned());
        let said = run(directory.path(), &serve, &[variable]);
        // A variable that is not text is refused as such.
        let code = if std::str::from_utf8(content).is_ok() { 1 } else { 2 };
        said.assert_refused(code, why);
        assert_hides(&said, why);
        let file = directory.path().join("key");
        std::fs::write(&file, content).unwrap();
        let by_file = [serve.clone(), vec!["--upstream-key-file".into(), file.into()]].concat();
        let said = run(directory.path(), &by_file, &[]);
        said.assert_refused(1, why);
        assert_hides(&said, why);
    }
}

#[test]
fn a_key_file_must_be_a_small_regular_file() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    // Sparse: it takes no space on the disk.
    std::fs::File::create(path("huge")).unwrap().set_len(1 << 40).unwrap();
    std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
    let folder = path("folder");
    for (file, why) in [
        (folder, "not a regular file"),
        (path("fifo"), "not a regular file"),
        ("/dev/zero".into(), "not a regular file"),
        (path("huge"), "larger than 16 KiB"),
        (path("loop"), "cannot be read"),
        (path(SECRET), "cannot be read"),
    ] {
        let file = file.to_str().unwrap();
        let flags =
            ["--responder", "openai", "--upstream-url", "http://127.0.0.1:1/v1", "--upstream-models", "m"];
        let said = run_with(&database, &[&["serve", "--upstream-key-file", file], &flags[..]].concat(), "");
        said.assert_refused(1, why);
        assert!(!said.err.contains(SECRET), "{said:?}");
    }
}

#[test]
fn a_password_on_standard_input_must_be_one_line_of_text_of_limited_length() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let create = ["createsuperuser", "--username", "root", "--password-stdin"];
    for (input, why) in [
        (format!("{}\n", "zq7x".repeat(2_000)).into_bytes(), "longer than 4096 bytes"),
        ("zq7x".repeat(2_000).into_bytes(), "longer than 4096 bytes"),
        (b"zq7-pass-phrase \xff\xfe\n".to_vec(), "not UTF-8"),
        (b"zq7\n".to_vec(), "at least 8 characters"),
        (b"".to_vec(), "password"),
    ] {
        let mut command = Command::new(BINARY);
        command.env_clear().args(create).args(["--database-url", database.url()]);
        let said = super::finish_with(&mut command, &input);
        said.assert_refused(1, why);
        assert!(!said.err.contains("zq7"), "{said:?}");
    }
    // An endless input is not read to its end.
    let said = std::process::Command::new("sh")
        .args(["-c", "yes | tr -d '\\n' | \"$0\" \"$@\"", BINARY])
        .args(create)
        .args(["--database-url", database.url()])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("longer than 4096 bytes"), "{said:?}");
}
