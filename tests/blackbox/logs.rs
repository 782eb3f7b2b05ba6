//! The log of a whole run has a line for each request, with the id that its client got, and no
//! secret.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::load::send;
use super::log_lines::objects;
use crate::faults::ask::{GOSSIP, WAYS};
use crate::support::http::Answer;
use crate::support::server::{Launch, PASSWORD, Server};
use crate::support::upstream::{ScriptedUpstream, Step, answer, event, head, role, status, text};
use crate::support::{On, TestDatabase, temporary};

const MESSAGE: &str = "a message that is nobody's business";
const WRONG_PASSWORD: &str = "a wrong pass phrase 8";
const NEW_PASSWORD: &str = "another pass phrase 9";
const HOPELESS_PASSWORD: &str = "hunter2";
/// What clients may send in place of an auth token.
const BAD_CREDENTIALS: [&str; 4] = [
    "Basic YWRhOmEgc2VjcmV0IG9mIGFkYQ==",
    "Bearer tg_AAAAbbbbCCCCddddEEEEffffGGGGhhhhIIIIjjjjKKK",
    "Bearer one-secret-word and-another-secret-word",
    "Digest response=\"6629fae49393a05397450978507c4ef1\"",
];

/// A run with its responses, and the secrets that must not be in the log.
struct Run {
    server: Server,
    answers: Vec<Answer>,
    secrets: Vec<String>,
}

impl Run {
    fn send(&mut self, method: &str, path: &str, authorization: Option<&str>, body: &[u8]) -> u16 {
        let headers: Vec<_> = authorization.map(|value| ("Authorization", value)).into_iter().collect();
        let answer = self.server.client().send(method, path, &headers, body).unwrap();
        let status = answer.status;
        self.answers.push(answer);
        status
    }

    fn post(&mut self, path: &str, token: Option<&str>, body: serde_json::Value) -> u16 {
        let bearer = token.map(|token| format!("Bearer {token}"));
        self.send("POST", path, bearer.as_deref(), body.to_string().as_bytes())
    }

    /// Returns the auth token in the last response, and adds it to the secrets.
    fn token(&mut self) -> String {
        let answer = self.answers.last().unwrap().json();
        let token = answer["token"].as_str().expect("an auth token").to_owned();
        self.secrets.push(token.clone());
        token
    }
}

fn accounts(run: &mut Run) -> (String, String) {
    let ada = |password: &str| json!({"username": "ada", "password": password});
    assert_eq!(run.post("/register/", None, ada(PASSWORD)), 201);
    assert_eq!(run.post("/register/", None, ada(PASSWORD)), 400);
    assert_eq!(
        run.post("/register/", None, json!({"username": "grace", "password": HOPELESS_PASSWORD})),
        400
    );
    assert_eq!(run.post("/login/", None, ada(WRONG_PASSWORD)), 400);
    assert_eq!(run.post("/login/", None, json!({"username": "nobody", "password": WRONG_PASSWORD})), 400);
    // Somebody types the password where the name belongs.
    assert_eq!(run.post("/login/", None, json!({"username": PASSWORD, "password": "ada"})), 400);
    assert_eq!(run.post("/login/", None, ada(PASSWORD)), 200);
    let token = run.token();
    assert_eq!(run.post("/auth-tokens/", Some(&token), json!({"name": "for a script"})), 201);
    let named = run.token();
    let change = json!({"old_password": WRONG_PASSWORD, "new_password": NEW_PASSWORD});
    assert_eq!(run.post("/password/", Some(&token), change), 400);
    (token, named)
}

fn chats(run: &mut Run, token: &str, named: &str) {
    assert_eq!(run.post("/chat/", Some(token), json!({"message": MESSAGE})), 201);
    assert_eq!(run.post("/chat/", None, json!({"message": MESSAGE, "token": named})), 201);
    for (message, status) in [(MESSAGE, 201), (MESSAGE, 201), ("something else to hide", 422)] {
        let answer = send(&mut run.server.client(), token, message, "key-1").unwrap();
        assert_eq!(answer.status, status);
        run.answers.push(answer);
    }
    for path in ["/chats/", "/ledger/", "/me/", "/tokens/", "/balance/", "/auth-tokens/"] {
        assert_eq!(run.send("GET", path, Some(&format!("Token {token}")), b""), 200);
    }
}

fn mistakes(run: &mut Run, token: &str) {
    let with_token = |before: &str, after: &str| format!("{before}{token}{after}");
    for path in [
        with_token("/chats/?token=", ""),
        with_token("/tokens/?a=b&", "&c=d"),
        with_token("/", ""),
        with_token("/auth-tokens/", "/"),
        with_token("/chats/", "/more/"),
        with_token("/Bearer%20", "/x"),
        format!("/a/b/c/d/{token}"),
    ] {
        let status = run.send("GET", &path, None, b"");
        assert!((400..500).contains(&status), "{status} to {path}");
        run.send("DELETE", &path, Some(token), b"");
    }
    for credentials in BAD_CREDENTIALS {
        assert_eq!(run.send("GET", "/tokens/", Some(credentials), b""), 401);
        assert_eq!(run.send("POST", "/chat/", Some(credentials), br#"{"message":"x"}"#), 401);
    }
    let bearer = format!("Bearer {token}");
    for body in [format!("{{\"message\":\"{MESSAGE}\""), format!("token={token}"), format!("[\"{MESSAGE}\"]")]
    {
        assert_eq!(run.send("POST", "/chat/", Some(&bearer), body.as_bytes()), 400);
        run.send("POST", "/login/", None, body.as_bytes());
        run.send("POST", "/register/", None, body.as_bytes());
    }
}

/// Puts secrets where they do not belong, or where only the panel and other protocols look.
fn elsewhere(run: &mut Run, token: &str) {
    let cookie = format!("tollgate_session={WRONG_PASSWORD}; token={token}");
    let form = format!("username={WRONG_PASSWORD}&password={PASSWORD}&csrf={token}");
    for (headers, method, path, body) in [
        (vec![("Cookie", cookie.as_str())], "GET", "/admin/", ""),
        (vec![("Cookie", cookie.as_str())], "POST", "/admin/sign-in/", form.as_str()),
        (vec![("x-api-key", token)], "POST", "/v1/messages", "{"),
        (vec![("Referer", token), ("User-Agent", token), ("X-Request-Id", token)], "GET", "/", ""),
        (vec![("Origin", token)], "POST", "/login/", form.as_str()),
        (vec![("Content-Type", "application/x-www-form-urlencoded")], "POST", "/login/", form.as_str()),
        (vec![("Content-Type", token)], "POST", "/chat/", form.as_str()),
        (vec![("Idempotency-Key", token)], "POST", "/chat/", form.as_str()),
        (vec![("X-Forwarded-For", token), ("Accept", token)], "GET", "/tokens/", ""),
        (vec![("Connection", token)], token, "/tokens/", ""),
    ] {
        let answer = run.server.client().send(method, path, &headers, body.as_bytes()).unwrap();
        // A page of the panel leads to the sign-in page.
        assert!((200..500).contains(&answer.status), "{answer:?}");
        if answer.header("X-Request-Id").is_some() {
            run.answers.push(answer);
        }
    }
}

/// Returns the pieces of a secret that are long enough to be useful to a thief.
fn pieces(secret: &str) -> Vec<&str> {
    match secret.strip_prefix("tg_") {
        Some(random) => (0..=random.len() - 12).map(|start| &random[start..start + 12]).collect(),
        None => vec![secret],
    }
}

/// Returns the lines of a request's own, with their status.
fn lines_of(log: &str, id: &str, format: &str) -> Vec<u16> {
    if format == "json" {
        let own =
            objects(log).into_iter().filter(|line| line["request_id"] == id && line["path"].is_string());
        return own.map(|line| line["status"].as_u64().unwrap() as u16).collect();
    }
    let own = log.lines().filter(|line| line.ends_with(&format!(", id {id}")));
    // [TIME LEVEL ] METHOD PATH STATUS MILLISECONDS ms, from …
    let status = |line: &str| line.split(" ms, from ").next()?.rsplit(' ').nth(1)?.parse().ok();
    own.map(|line| status(line).unwrap_or_else(|| panic!("no status: {line}"))).collect()
}

#[track_caller]
fn assert_secret(log: &str, secrets: &[String]) {
    for secret in secrets {
        for piece in pieces(secret) {
            assert!(!log.contains(piece), "{piece:?} is in the log:\n{log}");
        }
    }
}

#[rstest]
fn the_log_has_a_line_for_each_request_and_no_secret(
    #[values("info", "trace")] level: &str,
    #[values("text", "json")] format: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &["--log", level, "--log-format", format]);
    let secrets =
        [PASSWORD, WRONG_PASSWORD, NEW_PASSWORD, HOPELESS_PASSWORD, MESSAGE, "something else to hide"];
    let secrets = secrets.map(str::to_owned).to_vec();
    let mut run = Run { server, answers: Vec::new(), secrets };
    let (token, named) = accounts(&mut run);
    chats(&mut run, &token, &named);
    mistakes(&mut run, &token);
    elsewhere(&mut run, &token);
    let change = json!({"old_password": PASSWORD, "new_password": NEW_PASSWORD});
    assert_eq!(run.post("/password/", Some(&token), change), 200);
    assert_eq!(run.post("/logout/", Some(&token), json!({"everywhere": true})), 200);

    run.secrets.extend(BAD_CREDENTIALS.iter().flat_map(|text| text.split(' ').skip(1)).map(str::to_owned));
    run.server.terminate();
    assert!(run.server.wait(std::time::Duration::from_secs(20)).success());
    let log = run.server.log();
    for answer in &run.answers {
        let id = answer.header("X-Request-Id").unwrap_or_else(|| panic!("no id: {answer:?}"));
        assert_eq!(lines_of(&log, id, format), [answer.status], "{id} in {log}");
    }
    assert_secret(&log, &run.secrets);
    if level == "info" {
        let requests = log.lines().filter(|line| line.contains(", id ")).count();
        let probes = log.lines().filter(|line| line.contains("GET /readyz ")).count();
        assert_eq!(requests - probes, run.answers.len(), "{log}");
    }
}

const KEY: &str = "sk-zq7-the-operators-key-zq8";
const DATABASE_PASSWORD: &str = "zq7databasezq8";

/// Returns the URL of a database with a password, which it does not ask for.
fn with_password(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
        Some((scheme, (user, place))) => format!("{scheme}://{user}:{DATABASE_PASSWORD}@{place}"),
        None => url.to_owned(),
    }
}

/// Asks in each way, and lets the upstream answer, refuse, and fail half-way, each time with the
/// client's message in its answer.
fn ask_an_upstream(server: &Server, upstream: &ScriptedUpstream, token: &str) {
    let gossip =
        json!({ "error": { "message": format!("{GOSSIP}: {MESSAGE}"), "code": GOSSIP } }).to_string();
    let json = [("content-type", "application/json")];
    for way in WAYS {
        for script in [
            answer(MESSAGE, 9, 2),
            status(400, &json, &gossip),
            status(401, &json, &gossip),
            status(500, &json, &gossip),
            vec![head(), role(), text(MESSAGE), event(&gossip), Step::End],
            vec![head(), event(&format!("{{{MESSAGE}")), Step::End],
            vec![Step::Reset],
        ] {
            upstream.next(script);
            let _ = server.client().post(way.path(), Some(token), &way.body_with(MESSAGE));
        }
    }
}

#[rstest]
fn no_line_has_a_message_a_key_or_the_databases_password(
    #[values("info", "trace")] level: &str,
    #[values("text", "json")] format: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let (directory, upstream) = (temporary::directory(), ScriptedUpstream::start());
    let file = directory.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let (url, database_url) = (upstream.url(), with_password(database.url()));
    let flags = ["--responder", "openai", "--upstream-url", &url, "--upstream-models", "m"];
    let more = ["--upstream-key-file", file.to_str().unwrap(), "--log", level, "--log-format", format];
    let launch = Launch::at(&database_url).flags(&flags).flags(&more).flags(&["--opening-tokens", "1000000"]);
    let mut server = launch.start();
    let token = server.user("ada");
    ask_an_upstream(&server, &upstream, &token);
    assert!(upstream.requests().len() > 2 * WAYS.len(), "the upstream was asked");
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    let log = server.log();
    let secrets = [MESSAGE, GOSSIP, KEY, DATABASE_PASSWORD, PASSWORD, &token, "zq7", "zq8"];
    assert_secret(&log, &secrets.map(str::to_owned));
    // The log has the lines of these requests, and what the calls have met.
    assert!(log.contains("code other") && log.contains("the model did not accept the request"), "{log}");
    if format == "json" {
        objects(&log);
    }
}
