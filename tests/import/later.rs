//! Later runs: they add what is new and touch nothing else.

use rstest::rstest;
use serde_json::json;

use super::source::{OldService, chat, user};
use super::{import, imported, noted, number, rows};
use crate::cli::run_with;
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase};

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

fn service(on: On) -> Option<OldService> {
    let statements = [
        user(1, "ada", "4000"),
        user(2, "bob", "500"),
        format!("UPDATE chat_user SET auth_token = '{TOKEN}' WHERE id = 1;"),
        chat(1, 1, "one", "2020-02-01 00:00:00"),
        chat(2, 2, "two", "2020-02-02 00:00:00"),
    ];
    OldService::create(on, &statements.concat())
}

#[rstest]
fn a_later_run_adds_what_is_new_and_touches_no_balance(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (service(on), TestDatabase::create(on)) else { return };
    imported(&target, old.url(), &[]);
    old.sql(
        &[
            user(3, "cleo", "70"),
            chat(3, 3, "three", "2020-02-03 00:00:00"),
            chat(4, 1, "four", "2020-02-04 00:00:00"),
            "UPDATE chat_user SET tokens = 3900 WHERE id = 1;
             UPDATE chat_user SET auth_token = 'ffffffffffffffffffffffffffffffffffffffff' WHERE id = 2;"
                .to_owned(),
        ]
        .concat(),
    );
    let report = imported(&target, old.url(), &[]);
    assert_eq!(report["users"], json!({"found": 3, "new": 1, "imported_before": 2, "not_imported": 0}));
    assert_eq!(report["chats"], json!({"found": 4, "new": 2, "imported_before": 2, "not_imported": 0}));
    assert_eq!(report["auth_tokens"], json!({"found": 2, "new": 1, "imported_before": 1, "not_imported": 0}));
    let changed = (1, "\"ada\" (user 1): 3900, when imported 4000".to_owned());
    assert_eq!(noted(&report, "balance_changed"), changed);
    let balances = rows(&target, "SELECT username || ' ' || tokens AS line FROM users ORDER BY id");
    assert_eq!(balances, ["ada 4000", "bob 500", "cleo 70"]);
    let messages = rows(&target, "SELECT message AS line FROM chats ORDER BY id");
    assert_eq!(messages, ["one", "two", "three", "four"]);
    assert_eq!(number(&target, "import_map"), 3 + 2 + 4);
    assert_verified(&target);
}

#[rstest]
fn what_was_done_here_meanwhile_stays(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (service(on), TestDatabase::create(on)) else { return };
    imported(&target, old.url(), &[]);
    let server = Server::start(&target, &[]);
    assert_eq!(server.chat(TOKEN, "Hello").status, 201);
    let logged_out = server.client().post("/logout/", Some(TOKEN), &json!({"everywhere": true})).unwrap();
    assert!(logged_out.status < 300, "{logged_out:?}");
    let eve = server.user("eve");
    old.sql(&[user(3, "EVE", "9"), chat(5, 2, "late", "2020-02-05 00:00:00")].concat());
    let refused = import(&target, old.url(), &[]);
    refused.assert_refused(1, "1 user is refused");
    assert!(refused.out.contains("\"EVE\" (user 3)"), "{refused:?}");
    let report = imported(&target, old.url(), &["--skip-refused"]);
    assert_eq!(noted(&report, "late_chat").0, 1);
    assert_eq!(report["auth_tokens"]["imported_before"], 1);
    assert_eq!(server.client().get("/tokens/", TOKEN).unwrap().status, 401, "a revoked token stays revoked");
    assert_eq!(server.tokens(&eve), 4000);
    let balance = rows(&target, "SELECT CAST(tokens AS TEXT) AS line FROM users WHERE username = 'ada'");
    assert_eq!(balance, ["3900"]);
    run_with(&target, &["adjust", "ada", "100", "--note", "by hand"], "").assert_good();
    drop(server);
    assert_verified(&target);
}

#[rstest]
fn another_database_is_not_taken_for_the_same(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (service(on), TestDatabase::create(on)) else { return };
    imported(&target, old.url(), &[]);
    let strangers = [user(1, "xaver", "1"), user(2, "yuri", "2")].concat().replace("2020-01", "2022-05");
    let Some(other) = OldService::create(on, &strangers) else { return };
    import(&target, other.url(), &[]).assert_refused(1, "give it another name (--source)");
    old.sql("UPDATE chat_user SET username = 'zoe', date_joined = '2023-01-01 00:00:00' WHERE id = 2");
    old.sql(&chat(9, 2, "of a stranger", "2023-01-01 00:00:00"));
    let refused = import(&target, old.url(), &[]);
    refused.assert_refused(1, "1 user is refused");
    let report = imported(&target, old.url(), &["--skip-refused"]);
    assert_eq!(noted(&report, "other_user").0, 1);
    assert_eq!(number(&target, "chats WHERE message = 'of a stranger'"), 0);
    let second = imported(&target, other.url(), &["--source", "second", "--into-used"]);
    assert_eq!(second["users"]["new"], 2);
    assert_verified(&target);
}

#[rstest]
fn nothing_is_added_to_an_anonymised_user(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(target)) = (service(on), TestDatabase::create(on)) else { return };
    imported(&target, old.url(), &[]);
    let id = rows(&target, "SELECT CAST(id AS TEXT) AS line FROM users WHERE username = 'ada'").remove(0);
    let name = format!("anonymous-{id}");
    let anonymise = format!(
        "UPDATE users SET username = '{name}', username_canonical = '{name}', is_active = FALSE WHERE id = {id}"
    );
    diesel::connection::SimpleConnection::batch_execute(
        &mut crate::support::ledger::raw(on, target.url()),
        &anonymise,
    )
    .unwrap();
    old.sql(&chat(9, 1, "of ada", "2023-01-01 00:00:00"));
    let report = imported(&target, old.url(), &[]);
    assert_eq!((noted(&report, "anonymised").0, report["chats"]["not_imported"].as_u64()), (1, Some(1)));
    assert!(!report.to_string().contains("of ada"), "{report:#}");
    assert_eq!(number(&target, "chats WHERE message = 'of ada'"), 0);
}
