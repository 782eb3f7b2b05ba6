//! Every dialect rejects the same requests for the same reasons as chat completions do, in its own
//! envelope, and nothing is charged.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::{data, spawn};
use crate::support::On;
use crate::support::app::{Answer, GUEST, Request, TestApp};
use crate::support::upstream::{Step, embeddings, head, role, status, text};

/// An endpoint, and a request that would be answered.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    path: &'static str,
    body: fn() -> Value,
}

const CHAT_COMPLETIONS: Dialect = Dialect {
    path: "/v1/chat/completions",
    body: || json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }),
};

const MESSAGES: Dialect = Dialect {
    path: "/v1/messages",
    body: || json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 50 }),
};

const DIALECTS: [Dialect; 5] = [
    CHAT_COMPLETIONS,
    Dialect { path: "/v1/responses", body: || json!({ "model": "m", "input": "hi" }) },
    MESSAGES,
    Dialect { path: "/v1/completions", body: || json!({ "model": "m", "prompt": "hi" }) },
    Dialect { path: "/v1/embeddings", body: || json!({ "model": "m", "input": "hi" }) },
];

impl Dialect {
    fn body_with(self, more: Value) -> Value {
        let mut body = (self.body)();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    fn request<'a>(self, app: &'a TestApp, token: &str) -> Request<'a> {
        app.request("POST", self.path).bearer(token)
    }
}

/// Checks that an error is in the envelope of the dialect, whether it is a body or ends a stream.
#[track_caller]
fn check_envelope(dialect: Dialect, body: &Value, context: &str) {
    let fields: BTreeSet<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    if dialect.path == MESSAGES.path {
        assert_eq!(fields, BTreeSet::from(["error", "request_id", "type"]), "{context}");
        assert_eq!(body["type"], "error", "{context}");
    } else {
        assert_eq!(fields, BTreeSet::from(["error"]), "{context}");
    }
    let error = body["error"].as_object().unwrap();
    let fields: Vec<_> = error.keys().map(String::as_str).collect();
    assert_eq!(
        BTreeSet::from_iter(fields),
        BTreeSet::from(["message", "type", "param", "code"]),
        "{context}"
    );
    for field in ["message", "type", "code"] {
        assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{context}");
    }
}

/// What a client learns of a rejection, other than its words.
#[derive(Debug, PartialEq, Eq)]
struct Rejection {
    status: u16,
    code: String,
    headers: Vec<(String, String)>,
    /// The headers whose values differ from one request to the next.
    has: Vec<&'static str>,
}

impl Rejection {
    /// Checks the envelope of the dialect.
    fn of(dialect: Dialect, name: &str, answer: &Answer) -> Rejection {
        let context = format!("{} {name}: {}", dialect.path, answer.text());
        assert!(answer.status >= 400, "{context}");
        answer.assert_header("content-type", "application/json");
        let body = answer.json();
        check_envelope(dialect, &body, &context);
        if dialect.path == MESSAGES.path {
            assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"), "{context}");
        }
        let error = &body["error"];
        let names = [
            "allow",
            "accept",
            "www-authenticate",
            "x-should-retry",
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
        ];
        let header = |name: &&str| Some(((*name).to_owned(), answer.header(name)?.to_owned()));
        let changing = ["retry-after", "x-ratelimit-reset-requests", "x-request-id"];
        Rejection {
            status: answer.status,
            code: error["code"].as_str().unwrap().to_owned(),
            headers: names.iter().filter_map(header).collect(),
            has: changing.into_iter().filter(|name| answer.header(name).is_some()).collect(),
        }
    }
}

/// Users whose requests are rejected.
struct Users {
    ada: String,
    poor: String,
    nobodies: Vec<String>,
}

async fn users(app: &TestApp, ada: String) -> Users {
    let inactive = app.user("inactive").await;
    app.sql("UPDATE users SET is_active = FALSE WHERE username = 'inactive'");
    let expired = app.user("expired").await;
    app.sql(
        "UPDATE auth_tokens SET expires_at = '2020-01-01 00:00:00'
         WHERE user_id = (SELECT id FROM users WHERE username = 'expired')",
    );
    let revoked = app.user("revoked").await;
    app.post("/logout/", &revoked, json!({})).await.assert_status(200);
    let poor = app.user("poor").await;
    let taken = [("amount", "-4000"), ("reason", "x")];
    let path = format!("/admin/users/{}/adjust/", app.id_of("poor"));
    app.superuser("root").await.submit(&path, &taken).await.assert_status(303);
    Users { ada, poor, nobodies: vec![GUEST.to_owned(), "tg_nobody".to_owned(), inactive, expired, revoked] }
}

/// Returns requests that must be rejected, each with a name.
fn rejected<'a>(app: &'a TestApp, users: &Users, dialect: Dialect) -> Vec<(String, Request<'a>)> {
    let body = (dialect.body)();
    let mut all: Vec<(String, Request<'a>)> = Vec::new();
    for (number, token) in users.nobodies.iter().enumerate() {
        all.push((format!("nobody {number}"), dialect.request(app, token).json(&body)));
        all.push((format!("nobody {number} with rubbish"), dialect.request(app, token).body("{")));
    }
    let as_key = |name, key: &str| app.request("POST", dialect.path).header(name, key).json(&body);
    all.push(("a wrong x-api-key".to_owned(), as_key("x-api-key", "tg_nobody")));
    all.push(("a key in Anthropic's beta header".to_owned(), as_key("anthropic-beta", &users.ada)));
    let streamed = dialect.body_with(json!({ "stream": true }));
    let is_embedding = dialect.path == "/v1/embeddings";
    all.push(("an empty balance".to_owned(), dialect.request(app, &users.poor).json(&body)));
    let streamed = if is_embedding { &body } else { &streamed };
    all.push(("an empty balance, streamed".to_owned(), dialect.request(app, &users.poor).json(streamed)));

    let request = || dialect.request(app, &users.ada);
    for text in ["", " ", "{", "[]", "null", "\u{feff}", "{\"model\":\"\\u0000\"}", "{'model':'m'}"] {
        all.push((format!("the body {text:?}"), request().body(text)));
    }
    all.push(("a body that is not UTF-8".to_owned(), request().body(b"{\"model\":\"\xff\"}".to_vec())));
    let deep = format!("{{\"model\":{}", "[".repeat(5000));
    all.push(("a deep body".to_owned(), request().body(deep)));
    let huge = format!("{{\"model\":\"{}\"}}", "x".repeat(9 << 20));
    all.push(("a huge body".to_owned(), request().body(huge)));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        all.push((kind.to_owned(), request().header("Content-Type", kind).body(body.to_string())));
    }
    let unknown = dialect.body_with(json!({ "model": "gpt-9" }));
    all.push(("an unknown model".to_owned(), request().json(&unknown)));
    for (name, model) in [("a model of a wrong type", json!(7)), ("an empty model", json!(""))] {
        all.push((name.to_owned(), request().json(&dialect.body_with(json!({ "model": model })))));
    }
    let long = "x".repeat(256);
    for key in ["", "a b", long.as_str()] {
        all.push((format!("the key {key:?}"), request().header("Idempotency-Key", key).json(&body)));
    }
    let below = format!("{}/no/such", dialect.path);
    for method in ["GET", "POST"] {
        all.push((format!("{method} of a path below"), app.request(method, &below).bearer(&users.ada)));
    }
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        for path in [dialect.path.to_owned(), format!("{}/", dialect.path)] {
            all.push((
                format!(
                    "{method} with {} slashes",
                    path.matches('/').count() - dialect.path.matches('/').count()
                ),
                app.request(method, &path).bearer(&users.ada),
            ));
        }
    }
    let foreign = request().header("Host", "evil.example").header("Origin", "http://evil.example");
    all.push(("a foreign host".to_owned(), foreign.json(&body)));
    all
}

#[rstest]
#[actix_web::test]
async fn every_dialect_rejects_what_chat_completions_do(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, ada)) = spawn(on, &[]).await else { return };
    let users = users(&app, ada).await;
    let mut expected: Vec<(String, Rejection)> = Vec::new();
    for dialect in DIALECTS {
        for (place, (name, request)) in rejected(&app, &users, dialect).into_iter().enumerate() {
            let rejection = Rejection::of(dialect, &name, &request.send().await);
            match expected.get(place) {
                None => expected.push((name, rejection)),
                Some(expected) => assert_eq!((name, rejection), *expected, "{}", dialect.path),
            }
        }
    }
    let status_of = |name: &str| expected.iter().find(|(other, _)| other == name).map(|(_, one)| one.status);
    for (name, status) in [
        ("nobody 3 with rubbish", 401),
        ("an empty balance", 402),
        ("the body \"{\"", 400),
        ("a huge body", 413),
        ("text/plain", 415),
        ("an unknown model", 404),
        ("GET with 1 slashes", 405),
        ("POST of a path below", 404),
        ("a foreign host", 421),
    ] {
        assert_eq!(status_of(name), Some(status), "{name}");
    }
    assert_eq!((app.count("chats"), upstream.requests().len()), (0, 0));
    assert_eq!((app.balance(&users.ada).await, app.balance(&users.poor).await), (4000, 0));
}

/// An upstream that fails: at once, busy, and during a stream, where only an event can say so.
#[rstest]
#[actix_web::test]
async fn the_failure_of_an_answer_is_in_every_dialects_envelope(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    for dialect in DIALECTS {
        let ask = |more: Value| dialect.request(&app, &token).json(&dialect.body_with(more)).send();
        for (theirs, tries, ours) in [(500, 1, 502), (429, 3, 503), (400, 1, 400)] {
            for stream in [false, true] {
                (0..tries).for_each(|_| upstream.next(status(theirs, &[("retry-after", "0")], "gossip")));
                let more =
                    if dialect.path == "/v1/embeddings" { json!({}) } else { json!({ "stream": stream }) };
                let rejection = Rejection::of(dialect, &theirs.to_string(), &ask(more).await);
                assert_eq!(rejection.status, ours, "{} {theirs}", dialect.path);
            }
        }
        if dialect.path == "/v1/embeddings" {
            continue;
        }
        upstream.next([head(), role(), text("Hel"), Step::Reset]);
        let broken = ask(json!({ "stream": true })).await;
        let all = data(broken.assert_status(200));
        let mut error = all.iter().find(|event| !event["error"].is_null()).unwrap().clone();
        let context = format!("{}: {}", dialect.path, broken.text());
        if dialect.path == "/v1/responses" {
            // Its events have a type and a number besides.
            let fields = error.as_object_mut().unwrap();
            assert_eq!(fields.remove("type"), Some(json!("error")), "{context}");
            assert!(fields.remove("sequence_number").is_some(), "{context}");
            assert_eq!(all.last().unwrap()["type"], "response.failed", "{context}");
        } else {
            assert_eq!(all.last(), Some(&error), "{context}");
            assert!(!broken.text().contains("[DONE]"), "{context}");
        }
        check_envelope(dialect, &error, &context);
        assert_eq!(error["error"]["code"], "responder_failed", "{context}");
    }
    assert_eq!(app.balance(&token).await, 4000, "each of them was refunded");
}

#[rstest]
#[actix_web::test]
async fn every_dialect_counts_for_the_same_limit_and_says_what_is_left(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let flags = ["--throttle", "on", "--requests-per-minute", "7"];
    let Some((app, upstream, token)) = spawn(on, &flags).await else { return };
    upstream.when("\"input\"", embeddings(&[&[1.0, 0.0]], 1));
    for (number, dialect) in DIALECTS.into_iter().enumerate() {
        let answer = dialect.request(&app, &token).json(&(dialect.body)()).send().await;
        answer.assert_status(200).assert_header("x-ratelimit-limit-requests", "7");
        answer.assert_header("x-ratelimit-remaining-requests", &(6 - number).to_string());
        assert!(answer.header("x-ratelimit-reset-requests").is_some());
        assert!(answer.header("x-tokens-charged").is_some() && answer.header("x-chat-id").is_some());
    }
    for _ in 0..2 {
        app.chat(&token, "hi").await.assert_status(201);
    }
    let balance = app.balance(&token).await;
    for dialect in DIALECTS {
        let answer = dialect.request(&app, &token).json(&(dialect.body)()).send().await;
        let rejection = Rejection::of(dialect, "too many", &answer);
        assert_eq!((rejection.status, rejection.code.as_str()), (429, "rate_limit_exceeded"));
        assert_eq!(rejection.has, ["retry-after", "x-ratelimit-reset-requests", "x-request-id"]);
        answer.assert_header("x-ratelimit-remaining-requests", "0");
        let is_anthropic = answer.header("anthropic-ratelimit-requests-remaining") == Some("0");
        assert_eq!(is_anthropic, dialect.path == MESSAGES.path);
    }
    assert_eq!(app.balance(&token).await, balance);
}

#[rstest]
#[actix_web::test]
async fn every_dialect_counts_for_the_same_limit_of_chats_at_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let flags = ["--concurrent-chats", "1", "--upstream-waiting", "0"];
    let Some((app, upstream, token)) = spawn(on, &flags).await else { return };
    app.hold(&token).await;
    let balance = app.balance(&token).await;
    for dialect in DIALECTS {
        let answer = dialect.request(&app, &token).json(&(dialect.body)()).send().await;
        let rejection = Rejection::of(dialect, "too many at once", &answer);
        assert_eq!((rejection.status, rejection.code.as_str()), (429, "rate_limit_exceeded"));
        assert!(rejection.has.contains(&"retry-after"), "{rejection:?}");
    }
    assert_eq!((app.balance(&token).await, app.count("chats"), upstream.requests().len()), (balance, 1, 0));
}

#[rstest]
#[actix_web::test]
async fn a_key_of_another_request_is_rejected_also_across_dialects(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.when("\"input\"", embeddings(&[&[1.0, 0.0]], 1));
    for first in DIALECTS {
        let keyed = |dialect: Dialect| {
            dialect.request(&app, &token).header("Idempotency-Key", first.path).json(&(dialect.body)()).send()
        };
        let answered = keyed(first).await;
        assert_eq!(answered.status, 200, "{}: {}", first.path, answered.text());
        let balance = app.balance(&token).await;
        for dialect in DIALECTS {
            let again = keyed(dialect).await;
            if dialect.path == first.path {
                again.assert_status(200).assert_header("idempotency-replayed", "true");
                assert_eq!(again.json(), answered.json(), "{}", dialect.path);
                continue;
            }
            let rejection = Rejection::of(dialect, first.path, &again);
            assert_eq!((rejection.status, rejection.code.as_str()), (422, "idempotency_key_reused"));
        }
        assert_eq!(app.balance(&token).await, balance);
    }
}

/// A slash at the end of the path, the key in `x-api-key`, and JSON under several types.
#[rstest]
#[actix_web::test]
async fn every_dialect_is_served_at_both_paths_and_with_either_header(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    upstream.when("\"input\"", embeddings(&[&[1.0, 0.0]], 1));
    for dialect in DIALECTS {
        let body = (dialect.body)().to_string();
        for path in [dialect.path.to_owned(), format!("{}/", dialect.path)] {
            for (name, value) in [("x-api-key", token.clone()), ("Authorization", format!("Bearer {token}"))]
            {
                let request = app.request("POST", &path).header(name, &value);
                let request = request.header("anthropic-version", "2023-06-01");
                request
                    .header("Content-Type", "application/json")
                    .body(body.clone())
                    .send()
                    .await
                    .assert_status(200);
            }
        }
        for kind in ["application/json; charset=utf-8", "application/vnd.api+json"] {
            let request = dialect.request(&app, &token).header("Content-Type", kind);
            request.body(body.clone()).send().await.assert_status(200);
        }
    }
}

/// The headers that the libraries of OpenAI and Anthropic send from browsers.
const PREFLIGHTS: [&str; 2] = [
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,\
     x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,\
     x-stainless-runtime-version,x-stainless-timeout,openai-organization,openai-project",
    "anthropic-beta,anthropic-dangerous-direct-browser-access,anthropic-version,content-type,\
     idempotency-key,x-api-key,x-stainless-arch,x-stainless-helper-method,x-stainless-lang,\
     x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,\
     x-stainless-runtime-version,x-stainless-timeout",
];

#[actix_web::test]
async fn browsers_of_a_named_origin_may_use_every_dialect() {
    let origin = "https://app.example";
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--cors-origins", origin]).await else { return };
    upstream.when("\"input\"", embeddings(&[&[1.0, 0.0]], 1));
    for dialect in DIALECTS {
        for (path, headers) in [dialect.path.to_owned(), format!("{}/", dialect.path)]
            .into_iter()
            .flat_map(|path| PREFLIGHTS.map(|headers| (path.clone(), headers)))
        {
            let preflight = |origin: &str| {
                let request = app.request("OPTIONS", &path).header("Origin", origin);
                let request = request.header("Access-Control-Request-Method", "POST");
                request.header("Access-Control-Request-Headers", headers).send()
            };
            let granted = preflight(origin).await;
            granted.assert(200, "").assert_header("access-control-allow-origin", origin);
            let allowed = granted.header("access-control-allow-headers").unwrap().to_lowercase();
            for header in headers.split(',') {
                assert!(allowed.contains(header.trim()), "{header} is not in {allowed}");
            }
            assert!(granted.header("access-control-allow-methods").unwrap().contains("POST"));
            let refused = preflight("https://evil.example").await;
            assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, None));
        }
        for token in [token.as_str(), "tg_nobody"] {
            let request = dialect.request(&app, token).header("Origin", origin).json(&(dialect.body)());
            let answer = request.send().await;
            assert_eq!(answer.status, if token == "tg_nobody" { 401 } else { 200 });
            answer.assert_header("access-control-allow-origin", origin);
            let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
            for name in ["x-request-id", "x-ratelimit-remaining-requests", "retry-after", "x-should-retry"] {
                assert!(exposed.contains(name), "{exposed}");
            }
        }
    }
}
