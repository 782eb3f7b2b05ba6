//! The log of a whole run has a line for each request, with the id that its client got, and no
//! secret.

use rstest::rstest;
use serde_json::json;

use super::load::send;
use crate::support::http::Answer;
use crate::support::server::{PASSWORD, Server};
use crate::support::{On, TestDatabase};

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

/// Returns the pieces of a secret that are long enough to be useful to a thief.
fn pieces(secret: &str) -> Vec<&str> {
    match secret.strip_prefix("tg_") {
        Some(random) => (0..=random.len() - 12).map(|start| &random[start..start + 12]).collect(),
        None => vec![secret],
    }
}

#[rstest]
fn the_log_has_a_line_for_each_request_and_no_secret(
    #[values("info", "debug")] level: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &["--log", level]);
    let secrets =
        [PASSWORD, WRONG_PASSWORD, NEW_PASSWORD, HOPELESS_PASSWORD, MESSAGE, "something else to hide"];
    let secrets = secrets.map(str::to_owned).to_vec();
    let mut run = Run { server, answers: Vec::new(), secrets };
    let (token, named) = accounts(&mut run);
    chats(&mut run, &token, &named);
    mistakes(&mut run, &token);
    let change = json!({"old_password": PASSWORD, "new_password": NEW_PASSWORD});
    assert_eq!(run.post("/password/", Some(&token), change), 200);
    assert_eq!(run.post("/logout/", Some(&token), json!({"everywhere": true})), 200);

    run.secrets.extend(BAD_CREDENTIALS.iter().flat_map(|text| text.split(' ').skip(1)).map(str::to_owned));
    run.server.terminate();
    assert!(run.server.wait(std::time::Duration::from_secs(20)).success());
    let log = run.server.log();
    for answer in &run.answers {
        let id = answer.header("X-Request-Id").unwrap_or_else(|| panic!("no id: {answer:?}"));
        let lines: Vec<&str> = log.lines().filter(|line| line.ends_with(&format!(", id {id}"))).collect();
        assert_eq!(lines.len(), 1, "{id} in {log}");
        assert!(lines[0].contains(&format!(" {} ", answer.status)), "{} has another status", lines[0]);
    }
    for secret in &run.secrets {
        for piece in pieces(secret) {
            assert!(!log.contains(piece), "{piece:?} is in the log:\n{log}");
        }
    }
    if level == "info" {
        let requests = log.lines().filter(|line| line.contains(", id ")).count();
        let probes = log.lines().filter(|line| line.contains("GET /readyz ")).count();
        assert_eq!(requests - probes, run.answers.len(), "{log}");
    }
}
