//! A line of the log is found by its request, its user and its chat, in both forms, and no client
//! can forge one.

use rstest::rstest;
use serde_json::{Value, json};

use crate::faults::ask::Way;
use crate::faults::world::{PATIENCE, World};
use crate::support::http::Answer;
use crate::support::server::{PASSWORD, Server};
use crate::support::upstream::{head, role, status, text};
use crate::support::{On, TestDatabase, wait};

/// Returns the lines of a log in JSON, of which each must be an object with a time, a level and a
/// message.
#[track_caller]
pub fn objects(log: &str) -> Vec<Value> {
    let parse = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for name in ["time", "level", "target", "message"] {
            assert!(object[name].is_string(), "no {name}: {line}");
        }
        let time = object["time"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time} is not RFC 3339");
        object
    };
    log.lines().map(parse).collect()
}

/// Returns the id of a request from its response.
fn id_of(answer: &Answer) -> String {
    answer.header("X-Request-Id").unwrap().to_owned()
}

/// Returns the one line of a request, once it is there.
fn line_of(server: &Server, id: &str) -> String {
    let end = format!(", id {id}");
    wait::until("the line of the request", PATIENCE, || {
        let log = server.log();
        log.lines().find(|line| line.ends_with(&end)).map(str::to_owned)
    })
}

/// Returns the one object of a request, once it is there.
fn object_of(server: &Server, id: &str) -> Value {
    wait::until("the line of the request", PATIENCE, || {
        let log = server.log();
        let is_its_own = |object: &Value| object["request_id"] == id && object["path"].is_string();
        objects(&log).into_iter().find(is_its_own)
    })
}

/// A refusal after a charge: its line has the request, the user, the chat and the reason.
#[rstest]
fn a_refusal_is_found_by_user_by_request_and_by_chat(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values("text", "json")] format: &str,
) {
    let Some(world) = World::start(on, &["--log-format", format]) else { return };
    let (ada, bob) = (world.server.user("ada"), world.server.user("bob"));
    let ask = |token: &str, fails: bool| {
        let answer =
            if fails { status(500, &[], "{}") } else { crate::support::upstream::answer("Hello", 9, 1) };
        world.upstream.next(answer);
        world.server.client().post(Way::V1.path(), Some(token), &Way::V1.body()).unwrap()
    };
    assert_eq!([ask(&ada, false), ask(&bob, false)].map(|answer| answer.status), [200, 200]);
    let refused = ask(&bob, true);
    assert_eq!(refused.status, 502);
    let id = id_of(&refused);
    let chat = world.server.history(&bob)[0].id;
    let user = world.server.client().get("/me/", &bob).unwrap().json()["id"].as_i64().unwrap();
    if format == "text" {
        let line = line_of(&world.server, &id);
        let expected = format!(", user {user}, chat {chat}, responder-failed, id {id}");
        assert!(line.ends_with(&expected), "{line}");
        let log = world.server.log();
        let found = |by: &str| log.lines().filter(|line| line.contains(by)).collect::<Vec<_>>();
        assert!(found(&id).contains(&line.as_str()), "by its request");
        assert!(found(&format!(", user {user},")).contains(&line.as_str()), "by its user");
        assert_eq!(found(&format!(", chat {chat},")), [line], "by its chat");
    } else {
        let object = object_of(&world.server, &id);
        let expected = [
            ("request_id", json!(id)),
            ("user_id", json!(user)),
            ("chat_id", json!(chat)),
            ("reason", json!("responder-failed")),
            ("status", json!(502)),
            ("method", json!("POST")),
            ("path", json!("/v1/chat/completions")),
            ("from", json!("127.0.0.1")),
        ];
        for (name, value) in expected {
            assert_eq!(object[name], value, "{name} of {object}");
        }
        assert!(object["duration_ms"].is_f64(), "{object}");
        let all = objects(&world.server.log());
        let of = |name: &str, value: Value| all.iter().filter(|object| object[name] == value).count();
        // The call, the reason and the request.
        assert_eq!(of("request_id", json!(id)), 3, "{all:#?}");
        assert_eq!(of("chat_id", json!(chat)), 1, "{all:#?}");
        assert!(of("user_id", json!(user)) >= 4, "{all:#?}");
    }
    world.close();
}

/// Which user it was is known at every refusal after the credentials, whatever finds it, and never
/// before.
#[rstest]
fn every_refusal_names_its_reason_and_its_user(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values("on", "off")] throttle: &str,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let flags = ["--opening-tokens", "100", "--log-format", "json", "--throttle", throttle];
    let server = Server::start(&database, &flags);
    let (_, token) = (server.user("ada"), server.user("bob"));
    let keyed = |message: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Idempotency-Key", "k"),
            ("Content-Type", "application/json"),
        ];
        let body = json!({ "message": message }).to_string();
        server.client().send("POST", "/chat/", &headers, body.as_bytes()).unwrap()
    };
    let first = keyed("one");
    let chat: i64 = first.header("X-Chat-Id").unwrap().parse().unwrap();
    let message = |text: &str| json!({ "message": text });
    let post =
        |path: &str, token: Option<&str>, body: Value| server.client().post(path, token, &body).unwrap();
    let login = |password: &str| json!({ "username": "bob", "password": password });
    for (answer, status, user, chat, reason) in [
        (first, 201, Some(2), Some(chat), None),
        (keyed("one"), 201, Some(2), Some(chat), None),
        (keyed("two"), 422, Some(2), None, Some("idempotency-key-reused")),
        (post("/chat/", Some(&token), message("two")), 400, Some(2), None, Some("insufficient-tokens")),
        (post("/chat/", Some(&token), message(" ")), 400, Some(2), None, Some("invalid-message")),
        (post("/chat/", Some(&token), json!([])), 400, Some(2), None, Some("unreadable-body")),
        (post("/chat/", None, message("two")), 401, None, None, Some("unauthorized")),
        (post("/chat/", Some("tg_none"), message("two")), 401, None, None, Some("unauthorized")),
        (
            post("/conversations/", Some(&token), json!({"title": 1})),
            400,
            Some(2),
            None,
            Some("invalid-field"),
        ),
        (server.client().get("/chats/7/", &token).unwrap(), 404, Some(2), None, Some("not-found")),
        (server.client().get("/ledger/", &token).unwrap(), 200, Some(2), None, None),
        (post("/login/", None, login(PASSWORD)), 200, Some(2), None, None),
        (post("/login/", None, login("wrong")), 400, None, None, Some("invalid-password")),
        (post("/nothing", Some(&token), json!({})), 404, None, None, Some("not-found")),
        (post("/tokens/", Some(&token), json!({})), 405, None, None, Some("method-not-allowed")),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        let object = object_of(&server, &id_of(&answer));
        let found = (object["user_id"].as_i64(), object["chat_id"].as_i64(), object["reason"].as_str());
        assert_eq!(found, (user, chat, reason), "{object}");
    }
}

/// A stream that fails after its beginning had the status 200, so it has a line of its own.
#[rstest]
fn a_stream_that_fails_late_has_a_line_with_its_user_and_chat(#[values("text", "json")] format: &str) {
    let Some(world) = World::start(On::Sqlite, &["--log-format", format]) else { return };
    let token = world.server.user("ada");
    world.upstream.next([head(), role(), text("Hel"), crate::support::upstream::Step::End]);
    let answer = world.server.client().post("/chat/", Some(&token), &Way::ChatStream.body()).unwrap();
    assert_eq!(answer.status, 200);
    let (id, chat) = (id_of(&answer), world.server.history(&token)[0].id);
    let message =
        format!("a stream that had begun has failed: responder-failed, user 1, chat {chat}, request {id}");
    wait::until("the line", PATIENCE, || world.server.log().contains(&message).then_some(()));
    if format == "json" {
        let all = objects(&world.server.log());
        let line = all.iter().find(|object| object["message"] == message.as_str()).unwrap();
        assert_eq!((&line["chat_id"], &line["reason"]), (&json!(chat), &json!("responder-failed")));
    }
    world.close();
}

/// What a client can put into a request, with what would end a line or an object, or move the
/// cursor of a terminal.
const FORGED: &str = "x\",\"level\":\"ERROR\"}\n[2026-01-01T00:00:00.000Z ERROR] forged\r\u{1b}[2J\u{2028}";

#[rstest]
fn a_client_cannot_forge_a_line(
    #[values("text", "json")] format: &str,
    #[values("info", "trace")] level: &str,
) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut server = Server::start(&database, &["--log-format", format, "--log", level]);
    let token = server.user("ada");
    let account = json!({ "username": FORGED, "password": PASSWORD });
    for path in ["/register/", "/login/"] {
        server.client().post(path, None, &account).unwrap();
    }
    server.client().post("/chat/", Some(&token), &json!({ "message": FORGED })).unwrap();
    server.client().post("/conversations/", Some(&token), &json!({ "title": FORGED })).unwrap();
    server.client().post("/auth-tokens/", Some(&token), &json!({ "name": FORGED })).unwrap();
    let encoded: String = url::form_urlencoded::byte_serialize(FORGED.as_bytes()).collect();
    for path in [format!("/{encoded}"), format!("/chats/{encoded}/"), format!("/chats/?before={encoded}")] {
        server
            .client()
            .send("GET", &path, &[("Authorization", &token), ("User-Agent", "a\tb")], b"")
            .unwrap();
    }
    // Bytes that are not text, and those that only a client without manners sends.
    for raw in [
        b"GET /\xff\xfe\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Odd: \xff\x1b[2J\r\nConnection: close\r\n\r\n",
        b"F{\"}GED / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://a\"}/ HTTP/1.1\r\nHost: x\"}\r\nOrigin: http://\"}\r\nConnection: close\r\n\r\n",
    ] {
        let _ = server.client().raw(raw);
    }
    server.terminate();
    assert!(server.wait(PATIENCE).success());
    let log = server.log();
    assert!(!log.contains("forged") && !log.contains('\u{1b}') && !log.contains('\r'), "{log}");
    if format == "json" {
        assert!(objects(&log).iter().all(|object| object["level"] != "ERROR"), "{log}");
    } else {
        for line in log.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("    http://")) {
            assert!(line.starts_with("[20"), "{line:?} in {log}");
        }
    }
}

/// What fails a start is a line of the log, too, so that a program can read it.
#[test]
fn a_start_that_fails_is_a_line_of_the_log_in_json() {
    let said = crate::support::server::tollgate(&[
        "serve",
        "--log-format",
        "json",
        "--database-url",
        "/no/such/folder/tollgate.db",
    ]);
    assert_eq!(said.status.code(), Some(1));
    let lines = objects(&String::from_utf8(said.stderr).unwrap());
    let last = lines.last().expect("a line");
    assert_eq!(last["level"], "ERROR", "{lines:#?}");
    assert!(last["message"].as_str().unwrap().contains("/no/such/folder"), "{lines:#?}");
}
