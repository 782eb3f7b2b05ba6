//! `tollgate changepassword` sets a new password and ends all access by the old one.

use rstest::rstest;
use serde_json::json;

use super::{run, run_with};
use crate::support::server::{PASSWORD, Server, assert_verified};
use crate::support::{On, TestDatabase};

const NEW_PASSWORD: &str = "another pass phrase 9";

fn login_status(server: &Server, name: &str, password: &str) -> u16 {
    let body = json!({"username": name, "password": password});
    server.client().post("/login/", None, &body).unwrap().status
}

fn words(name: &str) -> [&str; 4] {
    ["changepassword", "--password-stdin", "--username", name]
}

#[rstest]
fn a_changed_password_revokes_every_auth_token_while_the_server_runs(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let (token, other) = (server.user("Ada"), server.user("bob"));
    let named =
        server.client().post("/auth-tokens/", Some(&token), &json!({"name": "script"})).unwrap().json();
    let named = named["token"].as_str().unwrap();
    assert_eq!(server.tokens(named), 4000);

    let said = run_with(&database, &words("ada"), &format!("{NEW_PASSWORD}\n"));
    said.assert_good();
    assert!(said.out.contains("Password of Ada changed"), "{said:?}");
    for dead in [&token, named] {
        assert_eq!(server.client().get("/tokens/", dead).unwrap().status, 401);
        assert_eq!(server.chat(dead, "Hello").status, 401);
    }
    assert_eq!(login_status(&server, "Ada", PASSWORD), 400);
    assert_eq!(login_status(&server, "Ada", NEW_PASSWORD), 200);
    assert_eq!(server.tokens(&other), 4000, "another user's auth token stays valid");
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn a_refused_password_changes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("lovelace");
    for (password, why) in [
        ("short", "at least 8 characters"),
        ("password1", "among the most common"),
        ("LOVELACE", "not the username"),
        ("", "Enter a password"),
    ] {
        run_with(&database, &words("lovelace"), &format!("{password}\n")).assert_refused(1, why);
    }
    run_with(&database, &words("nobody"), NEW_PASSWORD).assert_refused(1, "there is no user \"nobody\"");
    let no_terminal = run(&database, &["changepassword", "--username", "lovelace"]);
    no_terminal.assert_refused(1, "use --password-stdin");
    run(&database, &["changepassword", "--password-stdin"]).assert_refused(2, "--username");
    assert_eq!(server.tokens(&token), 4000);
    assert_eq!(login_status(&server, "lovelace", PASSWORD), 200);
}
