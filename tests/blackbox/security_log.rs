//! The log shows who logged in and why others failed, under the id in the response. It never has a
//! password, or a name that was only typed.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::server::{PASSWORD, Server};
use crate::support::{On, TestDatabase};

const NEW: &str = "another pass phrase 9";
/// A password typed into the name field, with text that would forge a line of the log.
const TYPED: &str = "my secret phrase\n[2026-01-01T00:00:00.000Z INFO ] log-in: user 1 \"root\"";

/// A server, and the log line that belongs to each response.
struct Watched {
    server: Server,
    /// The id of each request, and the text that the log must have for it.
    expected: Vec<(String, String)>,
}

impl Watched {
    fn post(&mut self, path: &str, token: Option<&str>, body: Value, status: u16, says: &str) -> Answer {
        let answer = self.server.client().post(path, token, &body).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        self.expect(&answer, says);
        answer
    }

    fn expect(&mut self, answer: &Answer, says: &str) {
        let id = answer.header("X-Request-Id").unwrap().to_owned();
        self.expected.push((id, says.to_owned()));
    }

    /// Sends a form of the panel. Returns the cookie afterwards.
    fn form(&mut self, path: &str, cookie: Option<&str>, fields: &[(&str, &str)], says: &str) -> String {
        let mut client = self.server.client();
        let host = self.server.address().to_string();
        let origin = format!("http://{host}");
        let known = cookie.map(|cookie| ("Cookie", cookie));
        let page = client.send("GET", path, known.as_slice(), b"").unwrap();
        assert_eq!(page.status, 200, "{path}: {page:?}");
        let set = |answer: &Answer| {
            answer.header("set-cookie").map(|set| set.split(';').next().unwrap().to_owned())
        };
        let cookie = set(&page).or(cookie.map(str::to_owned)).unwrap();
        let (_, rest) = page
            .text()
            .split_once("name=\"csrf\" value=\"")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let csrf = rest.split('"').next().unwrap().to_owned();
        let mut all = url::form_urlencoded::Serializer::new(String::new());
        let body = all.append_pair("csrf", &csrf).extend_pairs(fields).finish();
        let headers = [
            ("Origin", origin.as_str()),
            ("Cookie", cookie.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = client.send("POST", path, &headers, body.as_bytes()).unwrap();
        self.expect(&answer, says);
        set(&answer).unwrap_or(cookie)
    }
}

fn over_the_api(run: &mut Watched) -> String {
    let account = |name: &str, password: &str| json!({ "username": name, "password": password });
    let ok = |what: &str| format!("{what}: user 2 \"ada\", from 127.0.0.1");
    run.post("/register/", None, account("ada", PASSWORD), 201, &ok("registration"));
    run.post("/register/", None, account("ada", PASSWORD), 400, "registration refused: the name is taken");
    run.post("/register/", None, account(TYPED, PASSWORD), 400, "registration refused: the rules for names");
    run.post(
        "/register/",
        None,
        account("grace", "hunter2"),
        400,
        "registration refused: the rules for names",
    );
    run.post("/login/", None, account(TYPED, "ada"), 400, "log-in refused: no such user");
    run.post("/login/", None, account("", "ada"), 400, "log-in refused: no readable name");
    run.post("/login/", None, json!({ "username": 7 }), 400, "log-in refused: no readable name");
    run.post(
        "/login/",
        None,
        account("ada", NEW),
        400,
        "log-in refused: wrong password of user 2, from 127.0.0.1",
    );
    run.post("/login/", None, json!({ "username": "ada" }), 400, "log-in refused: wrong password of user 2");
    let answer = run.post("/login/", None, account("ADA", PASSWORD), 200, &ok("log-in"));
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let change = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    let refused = "password change refused: wrong old password of user 2, from 127.0.0.1";
    run.post("/password/", Some(&token), change(NEW, NEW), 400, refused);
    let rules = "password change refused: the rules for names and passwords";
    run.post("/password/", Some(&token), change(PASSWORD, "hunter2"), 400, rules);
    run.post("/password/", Some(&token), change(PASSWORD, NEW), 200, &ok("password change"));
    token
}

fn in_the_panel(run: &mut Watched) -> String {
    let (sign_in, ok) = ("/admin/sign-in/", "sign-in to the panel: user 1 \"root\", from 127.0.0.1");
    let refused = |why: &str| format!("sign-in to the panel refused: {why}, from 127.0.0.1");
    for (name, password, why) in [
        (TYPED, "root", "no such user"),
        ("root", NEW, "wrong password of user 1"),
        ("ada", NEW, "user 2 is not staff"),
    ] {
        run.form(sign_in, None, &[("username", name), ("password", password)], &refused(why));
    }
    let cookie = run.form(sign_in, None, &[("username", "root"), ("password", PASSWORD)], ok);
    let change = [("old_password", TYPED), ("password", NEW), ("again", NEW)];
    let why = "password change refused: wrong old password of user 1";
    let cookie = run.form("/admin/password/", Some(&cookie), &change, why);
    let give =
        [("username", "ada"), ("active", "1"), ("staff", "1"), ("version", "1"), ("own_password", TYPED)];
    let why = "confirmation by password refused: wrong password of user 1";
    let cookie = run.form("/admin/users/2/edit/", Some(&cookie), &give, why);
    let change = [("old_password", PASSWORD), ("password", NEW), ("again", NEW)];
    run.form("/admin/password/", Some(&cookie), &change, "password change: user 1 \"root\", from 127.0.0.1")
}

#[rstest]
fn each_attempt_to_get_in_has_a_line_with_its_request_id_and_no_secret(
    #[values("info", "debug")] level: &str,
    #[values("distinct", "unified")] errors: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &["--log", level, "--login-errors", errors]);
    let link = server.log().lines().find_map(|line| Some(line.split_once("/admin/first-run/")?.1.to_owned()));
    let path = format!("/admin/first-run/{}", link.expect("the link of the first run"));
    let mut run = Watched { server, expected: Vec::new() };
    let root = |name, password| [("username", name), ("password", password), ("again", password)];
    let rules = "first superuser refused: the rules for names and passwords";
    run.form(&path, None, &root(TYPED, PASSWORD), rules);
    let ok = "first superuser: user 1 \"root\", from 127.0.0.1";
    let first = run.form(&path, None, &root("root", PASSWORD), ok);
    let token = over_the_api(&mut run);
    let session = in_the_panel(&mut run);

    run.server.terminate();
    assert!(run.server.wait(std::time::Duration::from_secs(20)).success());
    let log = run.server.log();
    for (id, says) in &run.expected {
        let lines: Vec<&str> =
            log.lines().filter(|line| line.ends_with(&format!(", request {id}"))).collect();
        assert_eq!(lines.len(), 1, "{says:?} has no line with {id} in {log}");
        assert!(lines[0].contains(says.as_str()), "{says:?} is not in {}", lines[0]);
        assert!(log.contains(&format!(", id {id}")), "{id} is not the request's own");
    }
    let cookie = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    for secret in [PASSWORD, NEW, "my secret phrase", "hunter2", &token, &cookie(&session), &cookie(&first)] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
    assert!(!log.contains("\n[2026-01-01"), "a forged line:\n{log}");
}
