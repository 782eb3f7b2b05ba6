//! Databases that Django itself has made, with its own password hashers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rstest::rstest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::source::OldService;
use super::{imported, noted, number, rows};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, require};

/// The cost of new hashes in these tests.
const UPGRADED: &str = "bcrypt_sha256$$2b$04$";

#[derive(Deserialize)]
struct Contents {
    users: Vec<DjangoUser>,
    administrator: Administrator,
}

#[derive(Deserialize)]
struct DjangoUser {
    name: String,
    password: String,
    hash: String,
    token: String,
    tokens: i64,
    /// The newest first.
    chats: Vec<DjangoChat>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct DjangoChat {
    message: String,
    response: Option<String>,
    at: String,
}

#[derive(Deserialize)]
struct Administrator {
    password: String,
    token: String,
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(file)
}

/// Returns the folder of Django, which is installed if needed. `None` if this machine cannot
/// install it, which is reported.
fn installed() -> Option<&'static Path> {
    static PLACE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let install = || {
        let mut install = Command::new("timeout");
        install.args(["--kill-after=5", "300", "bash"]).arg(here("install.sh")).stdin(Stdio::null());
        let output = install.output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        }
    };
    match PLACE.get_or_init(install) {
        Ok(place) => Some(place),
        Err(why) => {
            require::missing("Django", why);
            None
        }
    }
}

/// Lets Django make and fill a database in one of the two layouts.
fn made_by_django(on: On, layout: &str) -> Option<(OldService, Contents)> {
    let place = installed()?;
    let service = OldService::empty(on)?;
    let output = Command::new(place.join("bin/python"))
        .arg("fill.py")
        .current_dir(here("project"))
        .env_clear()
        .envs([("LAYOUT", layout), ("SOURCE", service.url()), ("PYTHONDONTWRITEBYTECODE", "1")])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some((service, serde_json::from_slice(&output.stdout).unwrap()))
}

fn log_in(server: &Server, name: &str, password: &str) -> Option<String> {
    let body = json!({"username": name, "password": password});
    let answer = server.client().post("/login/", None, &body).unwrap();
    (answer.status == 200).then(|| answer.json()["token"].as_str().unwrap().to_owned())
}

fn chats(server: &Server, token: &str) -> Vec<DjangoChat> {
    let answer = server.client().get("/chats/?limit=100", token).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let chat = |row: &Value| DjangoChat {
        message: row["message"].as_str().unwrap().to_owned(),
        response: row["response"].as_str().map(str::to_owned),
        at: row["created_at"].as_str().unwrap().to_owned(),
    };
    answer.json()["chats"].as_array().unwrap().iter().map(chat).collect()
}

#[rstest]
#[case("first", On::Sqlite, On::Sqlite)]
#[case("first", On::Postgres, On::Postgres)]
#[case("second", On::Sqlite, On::Postgres)]
#[case("second", On::Postgres, On::Sqlite)]
fn users_of_django_log_in_with_old_passwords_and_old_tokens(
    #[case] layout: &str,
    #[case] from: On,
    #[case] on: On,
) {
    let (Some((old, contents)), Some(target)) = (made_by_django(from, layout), TestDatabase::create(on))
    else {
        return;
    };
    let report = imported(&target, old.url(), &[]);
    assert_eq!(report["chats"], json!({"found": 40, "new": 40, "imported_before": 0, "not_imported": 0}));
    assert_eq!(report["auth_tokens"]["new"], 11, "{report:#}");
    assert_eq!(noted(&report, "unusable_password").0, 2);
    assert_eq!(noted(&report, "look_alike").0, 1);
    assert_verified(&target);

    let server = Server::start(&target, &["--bcrypt-cost", "4"]);
    for user in &contents.users {
        assert_eq!(server.tokens(&user.token), user.tokens, "{}", user.name);
        assert_eq!(chats(&server, &user.token), user.chats, "{}", user.name);
        assert_eq!(log_in(&server, &user.name, "another password"), None);
        assert_eq!(stored_hash(&target, &user.name), user.hash, "{}", user.name);
        let token = log_in(&server, &user.name, &user.password).unwrap_or_else(|| panic!("{}", user.name));
        assert_eq!(server.tokens(&token), user.tokens);
        let stored = stored_hash(&target, &user.name);
        match user.hash.starts_with("bcrypt_sha256$") {
            // Django's cost is higher than that of this test.
            true => assert_eq!(stored, user.hash),
            false => assert!(stored.starts_with(UPGRADED), "{}: {stored}", user.name),
        }
        assert!(log_in(&server, &user.name, &user.password).is_some(), "{} a second time", user.name);
        assert_eq!(server.tokens(&user.token), user.tokens, "the old token stays valid");
    }
    for (name, password) in [("nobody", "!"), ("md5", "md5 password"), ("gone", "gone password")] {
        assert_eq!(log_in(&server, name, password), None, "{name}");
    }
    check_rights(&target, &server, layout, &contents.administrator);
    // A chat by an old token costs what it costs here.
    let first = &contents.users[0];
    assert_eq!(server.chat(&first.token, "Hello").status, 201);
    assert_eq!(server.tokens(&first.token), first.tokens - 100);
    drop(server);
    assert_verified(&target);
    let again = imported(&target, old.url(), &[]);
    assert_eq!((&again["users"]["new"], &again["chats"]["new"]), (&json!(0), &json!(0)));
    assert_verified(&target);
}

fn check_rights(target: &TestDatabase, server: &Server, layout: &str, administrator: &Administrator) {
    let superusers = rows(target, "SELECT username AS line FROM users WHERE is_superuser AND is_staff");
    assert_eq!(superusers, ["root"]);
    // Django's first layout has the helper in a table of its own, and only superusers come from it.
    let staff = i64::from(layout == "second");
    assert_eq!(number(target, "users WHERE is_staff AND NOT is_superuser"), staff);
    assert!(log_in(server, "root", &administrator.password).is_some());
    assert_eq!(server.client().get("/me/", &administrator.token).unwrap().json()["username"], "root");
}

fn stored_hash(target: &TestDatabase, name: &str) -> String {
    rows(target, &format!("SELECT password AS line FROM users WHERE username = '{name}'")).remove(0)
}
