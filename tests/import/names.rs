//! Names and balances that clash, and what the options do about them.

use rstest::rstest;
use serde_json::{Value, json};

use super::source::{OldService, chat, user};
use super::{import, imported, noted, number, rows};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, temporary};

/// Users with names of every kind. The ids are in the order in which they joined.
fn clashing(on: On) -> Option<OldService> {
    let long = "x".repeat(51);
    let users = [
        user(1, "ada", "4000"),
        user(2, "Ada", "100"),
        user(3, &long, "300"),
        user(4, "Old Name", "500"),
        user(5, "adа", "600"),
        user(6, "bob", "-300"),
        user(7, "  padded ", "0"),
    ];
    let chats = [chat(1, 2, "of Ada", "2020-02-01 00:00:00"), chat(2, 1, "of ada", "2020-02-02 00:00:00")];
    OldService::create(on, &[users.concat(), chats.concat()].concat())
}

#[rstest]
fn clashes_are_reported_and_nothing_is_imported(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (clashing(on), TestDatabase::create(on)) else { return };
    let said = import(&target, old.url(), &[]);
    said.assert_refused(1, "nothing was imported: 3 users are refused");
    assert_eq!(number(&target, "users"), 0);
    assert_eq!(number(&target, "import_map"), 0);
    for line in [
        "users           chat_user (active = is_active, id, joined = date_joined,",
        "chats           chat_chat (id, message, response, timestamp, user = user_id)",
        "\"Ada\" (user 2): as \"ada\" (user 1)",
        "the name has more than 50 characters",
        "\"bob\" (user 6): -300",
        "\"Old Name\" (user 4)",
        "(user 5): like \"ada\" (user 1)",
    ] {
        assert!(said.out.contains(line), "{line:?} is not in {}", said.out);
    }
}

#[rstest]
fn a_dry_run_reports_the_same_and_makes_no_database(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (clashing(on), TestDatabase::create(on)) else { return };
    let said = import(&target, old.url(), &["--dry-run", "--json"]);
    said.assert_good();
    assert!(said.err.contains("nothing would be imported: 3 users are refused"), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["users"], json!({"found": 7, "new": 4, "imported_before": 0, "not_imported": 3}));
    assert_eq!(report["chats"], json!({"found": 2, "new": 1, "imported_before": 0, "not_imported": 1}));
    assert_eq!(noted(&report, "same_name").0, 1);
    assert_eq!(noted(&report, "unusable_name").0, 1);
    assert_eq!(noted(&report, "negative_balance").0, 1);
    assert_eq!(noted(&report, "unusual_name").0, 3);
    assert_eq!(noted(&report, "look_alike").0, 1);
    if on == On::Sqlite {
        assert!(!std::path::Path::new(target.url()).exists());
    } else {
        assert_eq!(number(&target, "pg_tables WHERE schemaname = 'public'"), 0);
    }
    assert_eq!(report["opening_tokens"], 5100);
}

#[rstest]
fn options_say_what_to_do_with_each_clash(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (clashing(on), TestDatabase::create(on)) else { return };
    let directory = temporary::directory();
    let file = directory.path().join("renames");
    std::fs::write(&file, format!("{}=shorter\n", "x".repeat(51))).unwrap();
    let renames = file.to_str().unwrap();
    let words = ["--rename", "Ada=ada.lovelace", "--renames", renames, "--negative-balances", "zero"];
    let report = imported(&target, old.url(), &words);
    assert_eq!(report["users"]["new"], 7, "{report:#}");
    assert_eq!((noted(&report, "renamed").0, noted(&report, "zeroed_balance").0), (2, 1));
    let names = rows(&target, "SELECT username || ' ' || tokens AS line FROM users ORDER BY id");
    let expected =
        ["ada 4000", "ada.lovelace 100", "shorter 300", "Old Name 500", "adа 600", "bob 0", "  padded  0"];
    assert_eq!(names, expected);
    let notes = rows(&target, "SELECT note AS line FROM ledger_entries ORDER BY id");
    assert_eq!(notes[5], "imported from Django, where the balance was -300");
    assert_verified(&target);

    let server = Server::start(&target, &[]);
    for name in ["ada", "ada.lovelace", "Old Name", "OLD NAME", "adа", "  padded ", "bob"] {
        let body = json!({"username": name, "password": "correct horse"});
        let answer = server.client().post("/login/", None, &body).unwrap();
        assert_eq!(answer.status, 200, "{name:?} {answer:?}");
    }
    drop(server);
    assert_verified(&target);
}

#[rstest]
fn refused_users_can_be_left_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (clashing(on), TestDatabase::create(on)) else { return };
    let report = imported(&target, old.url(), &["--skip-refused"]);
    assert_eq!((report["users"]["new"].as_u64(), report["chats"]["new"].as_u64()), (Some(4), Some(1)));
    assert_eq!(noted(&report, "chat_without_user"), (1, "chat 1 of user 2".to_owned()));
    assert_eq!(rows(&target, "SELECT message AS line FROM chats"), ["of ada"]);
    assert_verified(&target);
}

#[test]
fn a_renaming_must_fit_a_user_and_the_rules() {
    let (Some(old), Some(target)) = (clashing(On::Sqlite), TestDatabase::create(On::Sqlite)) else { return };
    let import = |rename: &str| import(&target, old.url(), &["--rename", rename]);
    import("nobody=somebody").assert_refused(1, "there is no such user");
    import("Ada=a b").assert_refused(2, "letters, digits");
    import("Ada").assert_refused(2, "write OLD=NEW");
    import("Ada=BOB").assert_refused(1, "refused");
    import("users:Ada=ada.l").assert_refused(1, "2 users are refused");
    import("administrators:Ada=ada.l").assert_refused(1, "there is no such user");
}

#[rstest]
fn a_first_import_needs_an_empty_database(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(old) = OldService::create(on, &[user(1, "ada", "4000"), user(2, "eve", "7")].concat()) else {
        return;
    };
    let Some(target) = TestDatabase::create(on) else { return };
    let server = Server::start(&target, &[]);
    let token = server.user("Eve");
    assert_eq!(server.chat(&token, "Hello").status, 201);
    import(&target, old.url(), &[]).assert_refused(1, "a first import goes into an empty database");
    let refused = import(&target, old.url(), &["--into-used"]);
    refused.assert_refused(1, "1 user is refused");
    assert!(refused.out.contains("\"eve\" (user 2)"), "{refused:?}");
    let report = imported(&target, old.url(), &["--into-used", "--rename", "eve=eve.django"]);
    assert_eq!(report["users"]["new"], 2);
    assert_eq!(server.chat(&token, "Hello").status, 201);
    drop(server);
    assert_verified(&target);
}

/// A superuser may have been made before the import.
#[rstest]
fn a_superuser_alone_leaves_the_database_empty(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(old) = OldService::create(on, &user(1, "ada", "4000")) else { return };
    let Some(target) = TestDatabase::create(on) else { return };
    let words = ["createsuperuser", "--username", "root", "--password-stdin"];
    crate::cli::run_with(&target, &words, "a pass phrase of root\n").assert_good();
    assert_eq!(imported(&target, old.url(), &[])["users"]["new"], 1);
    assert_verified(&target);
}
