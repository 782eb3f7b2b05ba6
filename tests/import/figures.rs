//! How long an import takes, and how much it reads.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::source::{HASH, OldService};
use super::{imported, number, rows};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, figures, require, wait};

const USERS: i64 = 10_000;
const CHATS: i64 = 100_000;

/// Checks that a batch looked up its own keys only, however many rows were imported before it.
fn assert_only_its_own_rows_were_read(target: &TestDatabase) {
    if target.on() != On::Postgres {
        return;
    }
    let read = "SELECT CAST(t.seq_tup_read + i.idx_tup_read AS TEXT) AS line
                FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid)
                WHERE t.relname = 'import_map'";
    let read: i64 = rows(target, read)[0].parse().unwrap();
    let all = USERS * 2 + CHATS;
    // The ids of all users are read once.
    assert!(read <= 2 * all, "{read} rows of the map were read to import {all}");
}

#[rstest]
fn ten_thousand_users_and_a_hundred_thousand_chats_take_less_than_a_minute(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    if !require::long() {
        return;
    }
    let time = match on {
        On::Sqlite => "datetime(1500000000 + (i * 7919) % 100000000, 'unixepoch')",
        On::Postgres => "to_timestamp(1500000000 + (i * 7919) % 100000000)",
    };
    let text = "'Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor ' || i";
    let numbers = |most: i64| {
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})")
    };
    let statements = format!(
        "{} INSERT INTO chat_user (id, username, password, tokens, auth_token, date_joined)
            SELECT i, 'user' || i, '{HASH}', i, 'token-of-user-number-' || i, {time} FROM n;
         {} INSERT INTO chat_chat (id, user_id, message, response, timestamp)
            SELECT i, 1 + i % {USERS}, {text}, {text}, {time} FROM n;",
        numbers(USERS),
        numbers(CHATS),
    );
    let Some(old) = OldService::create(on, &statements) else { return };
    let Some(target) = TestDatabase::create(on) else { return };
    let started = Instant::now();
    imported(&target, old.url(), &[]);
    let first = started.elapsed();
    assert_only_its_own_rows_were_read(&target);
    let started = Instant::now();
    imported(&target, old.url(), &[]);
    figures::report(
        &format!("import of {USERS} users and {CHATS} chats, {on:?}"),
        &format!("{:.1} s, a second run {:.1} s", first.as_secs_f64(), started.elapsed().as_secs_f64()),
    );
    assert_eq!((number(&target, "users"), number(&target, "chats")), (USERS, CHATS));
    // Other runs share the machine with other tests.
    if require::proofs() {
        assert!(first < Duration::from_secs(60), "the import took {first:?}");
    }
    assert_verified(&target);

    // The server's follower finds the chats by itself.
    let server = Server::start(&target, &[]);
    let token = "token-of-user-number-17";
    let all = wait::until("the index", Duration::from_secs(120), || {
        let answer = server.client().get("/chats/?limit=100", token).unwrap();
        (answer.status == 200).then(|| server.history(token).len())
    });
    assert_eq!(all, 10);
}
