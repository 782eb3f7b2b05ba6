//! Rows that are not as they should be: NULLs, huge texts, unknown hashes, shared auth tokens.

use rstest::rstest;
use serde_json::json;

use super::source::{HASH, OldService, chat, user};
use super::{imported, noted, number, rows};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase};

#[rstest]
fn rows_with_gaps_are_imported_and_reported(#[values(On::Sqlite, On::Postgres)] on: On) {
    let statements = [
        user(1, "ada", "4000"),
        user(2, "no balance", "NULL"),
        user(3, "plain", "5"),
        user(4, "sleeper", "6"),
        "UPDATE chat_user SET password = 'a plain password' WHERE id = 3;
         UPDATE chat_user SET is_active = FALSE, date_joined = NULL, last_login = '2021-01-01 10:00:00' WHERE id = 4;"
            .to_owned(),
        chat(1, 1, "first", "2020-02-01 00:00:00"),
        chat(2, 1, "second", "2020-02-02 00:00:00.5"),
        chat(3, 4, "of the sleeper", "2019-03-03 00:00:00"),
        chat(4, 1, "", "2020-02-04 00:00:00"),
        "INSERT INTO chat_chat VALUES (5, 1, NULL, NULL, NULL), (6, NULL, 'of nobody', 'x', '2020-02-05 00:00:00');"
            .to_owned(),
    ];
    let Some(old) = OldService::create(on, &statements.concat()) else { return };
    let Some(target) = TestDatabase::create(on) else { return };
    let report = imported(&target, old.url(), &[]);
    assert_eq!(report["chats"], json!({"found": 6, "new": 5, "imported_before": 0, "not_imported": 1}));
    for (topic, count) in [
        ("no_balance", 1),
        ("unusable_password", 1),
        ("inactive", 1),
        ("no_time", 1),
        ("empty_message", 2),
        ("chat_without_user", 1),
    ] {
        assert_eq!(noted(&report, topic).0, count, "{topic} in {report:#}");
    }
    let chats = rows(
        &target,
        "SELECT message || '|' || coalesce(response, 'NULL') || '|' || CAST(created_at AS TEXT) || '|' || state
                || '|' || origin || '|' || charge AS line
         FROM chats ORDER BY id",
    );
    assert_eq!(
        chats.iter().map(|row| row.trim_end_matches("|complete|imported|0")).collect::<Vec<_>>(),
        [
            "of the sleeper|Response to of the sleeper|2019-03-03 00:00:00",
            "first|Response to first|2020-02-01 00:00:00",
            if on == On::Sqlite {
                "second|Response to second|2020-02-02 00:00:00.500"
            } else {
                "second|Response to second|2020-02-02 00:00:00.5"
            },
            "|Response to |2020-02-04 00:00:00",
            "|NULL|2020-02-04 00:00:00",
        ]
    );
    // Without a join date, a user joined with the first chat.
    let users =
        "SELECT username || ' ' || CAST(date_joined AS TEXT) || ' ' || tokens AS line FROM users ORDER BY id";
    assert_eq!(rows(&target, users)[0], "sleeper 2019-03-03 00:00:00 6");
    assert_eq!(rows(&target, "SELECT password AS line FROM users WHERE username = 'plain'"), ["!"]);
    assert_eq!(number(&target, "users WHERE last_login IS NOT NULL AND username = 'sleeper'"), 1);
    assert_verified(&target);
    let server = Server::start(&target, &[]);
    for name in ["plain", "sleeper"] {
        let body = json!({"username": name, "password": "a plain password"});
        assert_eq!(server.client().post("/login/", None, &body).unwrap().status, 400, "{name}");
    }
}

#[rstest]
fn auth_tokens_that_nobody_could_use_alone_are_left_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let names = ["ada", "bob", "eve", "gil", "hal"];
    let mut statements: String = (1..).zip(names).map(|(id, name)| user(id, name, "100")).collect();
    for (id, token) in [
        (1, "shared-token-of-two-0123456789"),
        (2, "shared-token-of-two-0123456789"),
        (3, ""),
        (4, "with a space"),
    ] {
        statements.push_str(&format!("UPDATE chat_user SET auth_token = '{token}' WHERE id = {id};"));
    }
    let long = "y".repeat(513);
    statements.push_str(&format!(
        "UPDATE chat_user SET auth_token = '{long}' WHERE id = 5;
         CREATE TABLE chat_authtoken (key VARCHAR(600) PRIMARY KEY, user_id BIGINT,
                                      created {{time}});
         INSERT INTO chat_authtoken VALUES ('0123456789abcdef0123456789abcdef01234567', 3, '2020-05-05 00:00:00'),
                                           ('short', 3, NULL), ('lost', 99, NULL);
         CREATE TABLE shop_setting (key VARCHAR(64), user_id BIGINT REFERENCES chat_user (id));
         INSERT INTO shop_setting VALUES ('colour', 1);"
    ));
    let Some(old) = OldService::create(on, &statements) else { return };
    let Some(target) = TestDatabase::create(on) else { return };
    let report = imported(&target, old.url(), &[]);
    assert_eq!(report["auth_tokens"], json!({"found": 7, "new": 2, "imported_before": 0, "not_imported": 5}));
    for (topic, count) in [("shared_token", 2), ("unusable_token", 2), ("token_without_user", 1)] {
        assert_eq!(noted(&report, topic).0, count, "{topic} in {report:#}");
    }
    // No report names a whole token.
    assert!(!report.to_string().contains("shared-token-of-two"), "{report:#}");
    let stored =
        "SELECT first_characters || ' ' || name || ' ' || user_id AS line FROM auth_tokens ORDER BY id";
    assert_eq!(rows(&target, stored), ["0123456789 imported from Django 3", "s imported from Django 3"]);
    let server = Server::start(&target, &[]);
    assert_eq!(server.tokens("0123456789abcdef0123456789abcdef01234567"), 100);
    assert_eq!(server.tokens("short"), 100);
    for token in ["shared-token-of-two-0123456789", "lost", "colour"] {
        assert_eq!(server.client().get("/tokens/", token).unwrap().status, 401, "{token}");
    }
}

#[rstest]
fn huge_texts_are_imported_whole(#[values(On::Sqlite, On::Postgres)] on: On) {
    let huge = "wörd ".repeat(600_000);
    let chats: String = (1..=4)
        .map(|id| {
            format!("INSERT INTO chat_chat VALUES ({id}, 1, '{huge}', '{huge}', '2020-02-0{id} 00:00:00');")
        })
        .collect();
    let Some(old) = OldService::create(on, &[user(1, "ada", "4000"), chats].concat()) else { return };
    let Some(target) = TestDatabase::create(on) else { return };
    imported(&target, old.url(), &[]);
    let length = huge.chars().count();
    assert_eq!(number(&target, &format!("chats WHERE length(message) = {length} AND message = response")), 4);
    assert_verified(&target);
}

/// SQLite stores what PostgreSQL refuses.
#[rstest]
fn texts_of_sqlite_that_no_database_stores_are_changed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let statements = [
        user(1, "ada", "4000"),
        "INSERT INTO chat_chat VALUES (1, 1, 'a' || char(0) || 'b', CAST(X'61FF62' AS TEXT), '2020-02-01 00:00:00');"
            .to_owned(),
    ];
    let Some(old) = OldService::create(On::Sqlite, &statements.concat()) else { return };
    let Some(target) = TestDatabase::create(on) else { return };
    let report = imported(&target, old.url(), &[]);
    assert_eq!(noted(&report, "unstorable_text"), (1, "chat 1".to_owned()));
    assert_eq!(
        rows(&target, "SELECT message || '|' || response AS line FROM chats"),
        ["a\u{FFFD}b|a\u{FFFD}b"]
    );
}

#[rstest]
fn times_are_kept_in_utc(#[values(On::Sqlite, On::Postgres)] on: On) {
    let time = |time: &str| match on {
        On::Sqlite => time.to_owned(),
        On::Postgres => format!("{time}+00"),
    };
    let statements = [
        user(1, "ada", "1"),
        chat(1, 1, "summer", &time("2026-07-01 12:00:00")),
        chat(2, 1, "x", &time("2026-07-02 12:00:00")),
    ];
    let Some(old) = OldService::create(on, &statements.concat()) else { return };
    // A time with an offset is that time whatever the zone.
    old.sql("UPDATE chat_chat SET timestamp = '2026-07-02 12:00:00+02:00' WHERE id = 2");
    for (zone, expected) in [("UTC", "2026-07-01 12:00:00"), ("Europe/Berlin", "2026-07-01 10:00:00")] {
        let Some(target) = TestDatabase::create(on) else { return };
        imported(&target, old.url(), &["--time-zone", zone]);
        let times = rows(&target, "SELECT CAST(created_at AS TEXT) AS line FROM chats ORDER BY id");
        let expected = if on == On::Sqlite { expected } else { "2026-07-01 12:00:00" };
        assert_eq!(times, [expected, "2026-07-02 10:00:00"], "{zone}");
    }
}

#[rstest]
fn keys_that_are_texts_are_imported_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(old) = OldService::empty(on) else { return };
    old.sql(&format!(
        "CREATE TABLE member (uuid VARCHAR(36) PRIMARY KEY, username TEXT, password TEXT, balance DECIMAL(12, 2));
         CREATE TABLE message (uuid VARCHAR(36) PRIMARY KEY, author_id VARCHAR(36) REFERENCES member (uuid), prompt TEXT,
                               reply TEXT, sent_at {{time}});
         INSERT INTO member VALUES ('00f1', 'ada', '{HASH}', 12.00), ('00e0', 'bob', '{HASH}', 7);
         INSERT INTO message VALUES ('b', '00f1', 'later', 'x', '2020-02-02 00:00:00'),
                                    ('c', '00e0', 'earlier', 'x', '2020-02-01 00:00:00');"
    ));
    let Some(target) = TestDatabase::create(on) else { return };
    for new in [2, 0] {
        let report = imported(&target, old.url(), &[]);
        assert_eq!(
            (&report["users"]["new"], &report["chats"]["new"]),
            (&json!(new), &json!(new)),
            "{report:#}"
        );
    }
    assert_eq!(rows(&target, "SELECT message AS line FROM chats ORDER BY id"), ["earlier", "later"]);
    assert_eq!(
        rows(&target, "SELECT CAST(tokens AS TEXT) AS line FROM users WHERE username = 'ada'"),
        ["12"]
    );
    assert_verified(&target);
}
