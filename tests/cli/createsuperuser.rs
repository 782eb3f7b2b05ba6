//! `tollgate createsuperuser` in scripts. `terminal.rs` tests its prompts.

use rstest::rstest;
use serde_json::json;

use super::{run, run_with};
use crate::support::server::{PASSWORD, Server, assert_verified};
use crate::support::{On, TestDatabase};

const BY_STDIN: [&str; 4] = ["createsuperuser", "--username", "root", "--password-stdin"];

#[rstest]
fn a_superuser_is_created_with_the_password_from_standard_input(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    // The end of the line is not part of the password, and what follows is not read.
    let said = run_with(&database, &BY_STDIN, &format!("{PASSWORD}\r\nanother line\n"));
    said.assert_good();
    assert_eq!(said.out, "Superuser root created\n");
    let server = Server::start(&database, &[]);
    assert!(!server.log().contains("there is no superuser yet"), "{}", server.log());
    let token = server.login("root");
    assert_eq!(server.tokens(&token), 4000);
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn a_weak_password_or_a_bad_name_creates_no_superuser(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    for (password, why) in [
        ("short", "at least 8 characters"),
        ("password1", "among the most common"),
        ("", "Enter a password"),
        ("ro\0t and more", "U+0000"),
        (&"x".repeat(1025), "at most 1024 bytes"),
    ] {
        run_with(&database, &BY_STDIN, &format!("{password}\n")).assert_refused(1, why);
    }
    let name = |name| ["createsuperuser", "--password-stdin", "--username", name];
    run_with(&database, &name("lovelace"), "LoveLace\n").assert_refused(1, "not the username");
    run_with(&database, &name("lovelace"), "lovelace1\n")
        .assert_refused(1, "the username with little around it");
    run_with(&database, &name("lovelace"), "tollgate2026\n").assert_refused(1, "the server's name");
    for bad in ["", "two words", &"x".repeat(51)] {
        run_with(&database, &name(bad), PASSWORD).assert_refused(1, "username: ");
    }
    let server = Server::start(&database, &[]);
    assert!(server.log().contains("there is no superuser yet"), "{}", server.log());
}

#[rstest]
fn a_taken_name_is_refused_in_any_case_and_stays_with_its_owner(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("Root");
    run_with(&database, &BY_STDIN, "a pass phrase of an impostor\n").assert_refused(1, "already exists");
    let impostor = json!({"username": "Root", "password": "a pass phrase of an impostor"});
    assert_eq!(server.client().post("/login/", None, &impostor).unwrap().status, 400);
    assert_eq!(server.tokens(&token), 4000);
    let again = server.login("Root");
    assert_eq!(server.tokens(&again), 4000);
}

#[test]
fn without_a_terminal_it_says_what_is_missing_and_creates_nothing() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    run(&database, &["createsuperuser"]).assert_refused(1, "give it as --username");
    let no_password = run(&database, &["createsuperuser", "--username", "root"]);
    no_password.assert_refused(1, "use --password-stdin");
    run_with(&database, &BY_STDIN, &format!("{PASSWORD}\n")).assert_good();
}
