//! Another process locks the SQLite file or moves it away: chats wait a little, then get a 503 and
//! cost nothing. Afterwards everything works again without a restart.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;

use super::assert_unavailable;
use crate::support::http::Answer;
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, wait};

/// Takes the write lock, as a backup script or an open shell may do.
fn lock(database: &TestDatabase) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(database.url()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    connection.batch_execute("BEGIN EXCLUSIVE").unwrap();
    connection
}

#[test]
fn a_chat_waits_for_a_lock_of_one_second() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    let mut lock = lock(&database);
    let (mut client, body) = (server.client(), json!({"message": "Hello"}));
    let chatting = token.clone();
    let request = std::thread::spawn(move || client.post("/chat/", Some(&chatting), &body));
    std::thread::sleep(Duration::from_secs(1));
    assert!(!request.is_finished(), "a chat was answered while another process held the database");
    lock.batch_execute("ROLLBACK").unwrap();
    let answer = request.join().unwrap().unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(server.tokens(&token), 3900);
    assert_verified(&database);
}

#[test]
fn a_longer_lock_gives_a_503_that_charges_nothing() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    let mut lock = lock(&database);
    let asked = Instant::now();
    let answer = server.chat(&token, "Hello");
    let took = asked.elapsed();
    assert_unavailable(&answer);
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(15), "after {took:?}");
    assert_eq!(server.tokens(&token), 4000, "reads go on meanwhile");
    lock.batch_execute("ROLLBACK").unwrap();
    let answer = chat_until_it_works(&server, &token);
    assert_eq!(answer.header("X-Tokens-Remaining"), Some("3900"));
    assert_eq!(server.messages(&token), ["Again"]);
    assert_verified(&database);
}

#[test]
fn no_chat_is_accepted_while_the_file_is_moved_away() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "Before").status, 201);
    let elsewhere = format!("{}.moved", database.url());
    std::fs::rename(database.url(), &elsewhere).unwrap();
    for _ in 0..3 {
        // A chat that went into the moved file would be gone at the next start.
        assert_unavailable(&server.chat(&token, "Meanwhile"));
    }
    assert!(!std::path::Path::new(database.url()).exists(), "an empty database was made in its place");
    std::fs::rename(&elsewhere, database.url()).unwrap();
    let answer = chat_until_it_works(&server, &token);
    assert_eq!(answer.header("X-Tokens-Remaining"), Some("3800"));
    assert_eq!(server.messages(&token), ["Again", "Before"]);
    assert_verified(&database);
}

fn chat_until_it_works(server: &Server, token: &str) -> Answer {
    wait::until("chats to work again", Duration::from_secs(10), || {
        let answer = server.chat(token, "Again");
        assert!(matches!(answer.status, 201 | 503), "{answer:?}");
        (answer.status == 201).then_some(answer)
    })
}
