//! The model counts its own tokens, even those of answers that nobody reads to the end. The books
//! are compared with this independent meter.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{statement, usage_on_the_books};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, model, wait};

/// Returns the events of a stream: name and data.
pub fn events(body: &str) -> Vec<(String, Value)> {
    let parse = |event: &str| {
        let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ")?;
        Some((name.to_owned(), serde_json::from_str(data).ok()?))
    };
    // Lines that begin with a colon are for proxies and carry nothing.
    let events =
        body.split("\n\n").map(str::trim).filter(|event| !event.is_empty() && !event.starts_with(':'));
    events.map(|event| parse(event).unwrap_or_else(|| panic!("not an event: {event:?}"))).collect()
}

#[test]
fn the_books_have_the_usage_that_the_model_counted() {
    let Some(model) = model::shared() else { return };
    let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
    let server = model.server(&database);
    let token = server.user("ada");
    let before = model.tokens();

    let plain = server.chat(&token, "Say hello.");
    assert_eq!(plain.status, 201, "{plain:?}\n{}", server.log());
    assert!(plain.json()["response"].as_str().is_some_and(|text| !text.is_empty()), "{plain:?}");

    let question = json!({"message": "Say good night.", "stream": true});
    let stream = server.client().post("/chat/", Some(&token), &question).unwrap();
    let kind = stream.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/event-stream"), "{stream:?}");
    let events = events(&stream.text());
    let (done, deltas) = events.split_last().expect("a stream has events");
    assert!(deltas.len() > 1 && deltas.iter().all(|(name, _)| name == "delta"), "{events:?}");
    assert_eq!(done.0, "done", "{events:?}");
    assert_eq!([&done.1["charged"], &done.1["remaining"]], [100, 3800], "{done:?}");
    let text: String = deltas.iter().map(|(_, data)| data["text"].as_str().expect("a text")).collect();
    let chat = server.client().get(&format!("/chats/{}/", done.1["chat_id"]), &token).unwrap().json();
    assert_eq!([&chat["response"], &chat["state"]], [text.as_str(), "complete"], "{chat}");

    let after = model.tokens();
    let books = usage_on_the_books(&database);
    let sums = books.iter().fold((0, 0), |sum, usage| (sum.0 + usage.0, sum.1 + usage.1));
    assert_eq!(books.len(), 2);
    assert_eq!(sums, (after.prompt - before.prompt, after.completion - before.completion), "{books:?}");
    assert_eq!(server.tokens(&token), 3800);
    drop(server);
    assert_verified(&database);
}

/// Reads this many lines of data of a stream on `/v1`, and disconnects.
fn disconnect_after(server: &Server, token: &str, question: &Value, data: usize) {
    let body = question.to_string();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.address(),
        body.len()
    )
    .unwrap();
    let lines = BufReader::new(stream).lines().map(|line| line.expect("the stream goes on"));
    assert_eq!(lines.filter(|line| line.starts_with("data: {")).take(data).count(), data);
}

#[test]
fn a_client_that_disconnects_stops_the_model_and_has_what_arrived_on_the_books() {
    let Some(model) = model::shared() else { return };
    let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
    let server = model.server(&database);
    let token = server.user("ada");
    let before = model.tokens();
    let question = json!({
        "model": model::NAME, "stream": true, "max_tokens": 3000, "temperature": 0, "ignore_eos": true,
        "messages": [{"role": "user", "content": "Tell me a very long story."}],
    });
    disconnect_after(&server, &token, &question, 12);
    wait::until("the chat's end", Duration::from_secs(30), || {
        server.history(&token).iter().all(|chat| chat.state == "cancelled").then_some(())
    });
    let after = model.tokens();
    let generated = after.completion - before.completion;
    assert!((10..1500).contains(&generated), "the model went on: it generated {generated} tokens");

    // The call was cancelled, so the model reported no usage: ours is an estimate from what
    // arrived.
    let [(prompt, completion)] = usage_on_the_books(&database)[..] else { panic!("one chat") };
    assert!((10..=2 * generated).contains(&completion), "{completion} on the books, {generated} generated");
    assert!(prompt > 0, "{prompt} tokens of the prompt");
    assert_eq!(statement(&server, &token)[0], ("charge".to_owned(), -100));
    drop(server);
    assert_verified(&database);
}
