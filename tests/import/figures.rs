//! How long an import takes.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::source::{HASH, OldService};
use super::{imported, number};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, require, wait};

const USERS: i64 = 10_000;
const CHATS: i64 = 100_000;

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
    let started = Instant::now();
    imported(&target, old.url(), &[]);
    println!("{on:?}: {first:.1?}, a second run {:.1?}", started.elapsed());
    assert_eq!((number(&target, "users"), number(&target, "chats")), (USERS, CHATS));
    assert!(first < Duration::from_secs(60), "the import took {first:?}");
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
