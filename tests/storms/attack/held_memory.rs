//! Clients that make the server hold as much memory as they can, by large bodies, unread responses
//! and streams.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::storm::{Storm, size};
use crate::support::server::Server;
use crate::support::upstream::{ScriptedUpstream, Step, answer, head, role, text};

const MEBIBYTE: usize = 1024 * 1024;

fn users(server: &Server, count: usize) -> Vec<String> {
    (0..count).map(|number| server.user(&format!("user{number}"))).collect()
}

/// Sends a completion slowly and returns the status, if any.
fn send_slowly(server: &Server, token: &str, body: &str, pause: Duration) -> Option<u16> {
    let mut stream = TcpStream::connect(server.address()).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    for part in body.as_bytes().chunks(MEBIBYTE) {
        if stream.write_all(part).is_err() {
            break;
        }
        std::thread::sleep(pause);
    }
    let mut start = [0; 12];
    stream.read_exact(&mut start).ok()?;
    std::str::from_utf8(start.get(9..12)?).ok()?.parse().ok()
}

#[test]
fn large_bodies_of_known_users_stay_within_the_memory_budget() {
    let upstream = ScriptedUpstream::start();
    upstream.otherwise(answer("Hello", 3, 2));
    let url = upstream.url();
    let flags = ["--responder", "openai", "--upstream-url", &url, "--upstream-models", "m"];
    let Some(storm) = Storm::begin(&flags) else { return };
    let (count, tokens) = (size(200, 2), users(&storm.server, size(10, 2)));
    // A debug build takes seconds for a large body.
    let kibibytes = size(8192, 600);
    // Made once, because making it takes long and would delay the honest user.
    let message = "x".repeat(kibibytes * 1024 - 200);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{message}"}}]}}"#);
    let statuses: Vec<Option<u16>> = std::thread::scope(|threads| {
        let senders: Vec<_> = (0..count)
            .map(|number| {
                let (server, token, body) = (&storm.server, &tokens[number % tokens.len()], body.as_str());
                threads.spawn(move || send_slowly(server, token, body, Duration::from_millis(500)))
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let with = |status: u16| statuses.iter().filter(|got| **got == Some(status)).count();
    let (answered, rejected) = (with(200), with(503));
    assert!(answered > 0, "none was answered: {statuses:?}");
    let figures = format!(
        "{count} bodies of {kibibytes} KiB by {} users: {answered} answered, {rejected} rejected with 503",
        tokens.len()
    );
    storm.end("large bodies", &figures);
}

#[rstest]
fn unread_histories_stay_within_the_memory_budget(#[values(false, true)] many_users: bool) {
    let limit = size(30, 5).to_string();
    let Some(storm) = Storm::begin(&["--write-timeout", &limit]) else { return };
    let (accounts, count) = if many_users { (size(20, 2), size(1000, 8)) } else { (1, size(100, 4)) };
    let tokens = users(&storm.server, accounts);
    let long = "\u{1f422}".repeat(32_000);
    for token in &tokens {
        for _ in 0..size(40, 3) {
            assert_eq!(storm.server.chat(token, &long).status, 201);
        }
    }
    let request = |number: usize| {
        let token = &tokens[number % tokens.len()];
        format!("GET /chats/?limit=200 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
            .into_bytes()
    };
    let streams = storm.connect(count, request, true);
    let closed = storm.await_closed(&streams, Duration::from_secs(90));
    let figures = format!(
        "{} connections of {accounts} users, closed after {:.1} s",
        streams.len(),
        closed.as_secs_f64()
    );
    storm.end("histories that are not read", &figures);
}

#[test]
fn a_thousand_streams_stay_within_the_memory_budget() {
    let upstream = ScriptedUpstream::start();
    let url = upstream.url();
    let flags = [
        "--responder",
        "openai",
        "--upstream-url",
        &url,
        "--upstream-models",
        "m",
        "--upstream-calls",
        "2000",
    ];
    let Some(storm) = Storm::begin(&flags) else { return };
    let count = size(1000, 100);
    let tokens = users(&storm.server, count.div_ceil(25));
    // The honest user's calls come in between and complete.
    let Step::Chunk(part) = text(&"x".repeat(500)) else { return };
    upstream.when("without end", [head(), role(), Step::Chunk(part.repeat(20)), Step::Hang]);
    let body =
        json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "without end" }] })
            .to_string();
    let request = |number: usize| {
        let token = &tokens[number % tokens.len()];
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let streams = storm.connect(count, request, false);
    let begun = streams.iter().filter(|stream| has_begun(stream.socket())).count();
    assert_eq!(begun, count, "not all streams have begun");
    drop(streams);
    storm.end("streams", &format!("{begun} streams at once"));
}

fn has_begun(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).is_ok() && start.ends_with(b"200")
}
