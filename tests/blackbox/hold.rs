//! Holds end to end: a slow or failing responder, and clients that do not wait for their answer.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::load::send;
use crate::support::http::{Answer, Client};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, wait};

/// A dummy that is slow enough to look at the hold, even on a busy machine.
const SLOW: [&str; 2] = ["--dummy-delay", "5000"];

fn get(server: &Server, path: &str, token: &str) -> Value {
    let answer = server.client().get(path, token).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Returns the balance and the held tokens, from one response.
fn balance_and_held(server: &Server, token: &str) -> (i64, i64) {
    let me = get(server, "/me/", token);
    (me["tokens"].as_i64().unwrap(), me["held"].as_i64().unwrap())
}

fn wait_until_held(server: &Server, token: &str, held: i64) {
    wait::until("the hold to begin or end", Duration::from_secs(25), || {
        (balance_and_held(server, token).1 == held).then_some(())
    });
}

/// Returns the user's newest chat.
fn newest_chat(server: &Server, token: &str) -> Value {
    get(server, "/chats/", token)["chats"][0].clone()
}

/// Returns kind, amount and balance after each of the user's ledger entries, oldest first.
fn ledger(server: &Server, token: &str) -> Vec<(String, i64, i64)> {
    let entries = get(server, "/ledger/", token)["entries"].clone();
    let row = |entry: &Value| {
        let number = |name: &str| entry[name].as_i64().unwrap();
        (entry["kind"].as_str().unwrap().to_owned(), number("amount"), number("balance_after"))
    };
    entries.as_array().unwrap().iter().rev().map(row).collect()
}

fn entries(rows: &[(&str, i64, i64)]) -> Vec<(String, i64, i64)> {
    rows.iter().map(|(kind, amount, after)| (kind.to_string(), *amount, *after)).collect()
}

fn assert_answered(answer: &Answer) {
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json(), json!({"message": "Hello", "response": "Response to Hello"}));
}

#[rstest]
fn a_slow_answer_is_pending_with_a_hold_and_then_complete(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &SLOW);
    let token = server.user("ada");
    let (mut client, held_token) = (server.client(), token.clone());
    let chat = thread::spawn(move || send(&mut client, &held_token, "Hello", "key-1").unwrap());
    wait_until_held(&server, &token, 100);

    assert_eq!(balance_and_held(&server, &token), (3900, 100));
    let pending = newest_chat(&server, &token);
    assert_eq!((&pending["state"], &pending["message"]), (&json!("pending"), &json!("Hello")));
    assert_eq!((&pending["response"], &pending["finished_at"]), (&Value::Null, &Value::Null));
    let again = send(&mut server.client(), &token, "Hello", "key-1").unwrap();
    assert_eq!(
        (again.status, again.error().as_str()),
        (409, "A request with this Idempotency-Key is still being answered")
    );
    let other = send(&mut server.client(), &token, "Something else", "key-1").unwrap();
    assert_eq!(other.status, 422, "{other:?}");
    assert!(!chat.is_finished(), "all this should have happened during the hold");

    let answer = chat.join().unwrap();
    assert_answered(&answer);
    assert_eq!(answer.header("X-Tokens-Charged"), Some("100"));
    assert_eq!(answer.header("X-Tokens-Remaining"), Some("3900"));
    assert_eq!(answer.header("X-Chat-Id"), Some(pending["id"].to_string().as_str()));
    assert_eq!(balance_and_held(&server, &token), (3900, 0));
    let complete = newest_chat(&server, &token);
    assert_eq!(complete["id"], pending["id"]);
    assert_eq!(
        (&complete["state"], &complete["response"]),
        (&json!("complete"), &json!("Response to Hello"))
    );
    assert_eq!(ledger(&server, &token), entries(&[("opening", 4000, 4000), ("charge", -100, 3900)]));
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn a_failed_answer_is_refunded_and_its_key_is_free_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &["--dummy-failures", "100"]);
    let token = server.user("ada");
    // The second try under the key is a new chat, not a replay.
    for tries in 1..=2 {
        let answer = send(&mut server.client(), &token, "Hello", "key-1").unwrap();
        assert_eq!((answer.status, answer.error().as_str()), (502, "The message could not be answered"));
        assert_eq!(server.history(&token).len(), tries);
        assert_eq!(balance_and_held(&server, &token), (4000, 0));
    }
    let failed = newest_chat(&server, &token);
    assert_eq!((&failed["state"], &failed["response"]), (&json!("failed"), &Value::Null));
    assert_eq!(failed["failure"], "the dummy was told to fail");
    let (charge, refund) = (("charge", -100, 3900), ("refund", 100, 4000));
    let twice = entries(&[("opening", 4000, 4000), charge, refund, charge, refund]);
    assert_eq!(ledger(&server, &token), twice);
    drop(server);
    assert_verified(&database);

    let server = Server::start(&database, &[]);
    let answer = send(&mut server.client(), &token, "Hello", "key-1").unwrap();
    assert_answered(&answer);
    assert_eq!(answer.header("Idempotency-Replayed"), None);
    assert_eq!(server.tokens(&token), 3900);
}

/// How a client disconnects before its answer.
#[derive(Clone, Copy, Debug)]
enum Disconnect {
    /// It closes the connection: FIN.
    Closes,
    /// Its connection breaks: RST, which ends the handler at once.
    Resets,
}

/// Sends a chat, waits for the hold, and disconnects.
fn chat_and_disconnect(server: &Server, token: &str, how: Disconnect) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    if let Disconnect::Resets = how {
        // The kernel resets a connection that is closed with an unread response.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.peek(&mut [0]).unwrap();
    }
    let body = json!({"message": "Hello"}).to_string();
    let request = format!(
        "POST /chat/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: key-1\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    wait_until_held(server, token, 100);
    drop(stream);
}

#[rstest]
fn a_client_that_disconnects_before_its_answer_pays_and_finds_it_later(
    #[values(Disconnect::Closes, Disconnect::Resets)] how: Disconnect,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &["--dummy-delay", "2000"]);
    let token = server.user("ada");
    chat_and_disconnect(&server, &token, how);
    wait_until_held(&server, &token, 0);

    assert_eq!(server.tokens(&token), 3900);
    let chat = newest_chat(&server, &token);
    assert_eq!((&chat["state"], &chat["response"]), (&json!("complete"), &json!("Response to Hello")));
    let again = send(&mut Client::new(server.address()), &token, "Hello", "key-1").unwrap();
    assert_answered(&again);
    assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
    assert_eq!(again.header("X-Chat-Id"), Some(chat["id"].to_string().as_str()));
    assert_eq!(ledger(&server, &token), entries(&[("opening", 4000, 4000), ("charge", -100, 3900)]));
    drop(server);
    assert_verified(&database);
}
