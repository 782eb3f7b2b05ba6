//! Limits on requests of users and guests that cost nothing. Unit tests, which have their own
//! clock, show that allowances come back with time.

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{Answer, GUEST, TestApp};
use crate::support::server::PASSWORD;

const ON: [&str; 2] = ["--throttle", "on"];

/// Checks that this limit rejected the request, and that the error says how long to wait.
#[track_caller]
fn assert_bound(answer: &Answer, bound: &str) {
    answer.assert_error(429, "Too many requests").assert_header("x-ratelimit-bound", bound);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
}

/// All reads of a user.
const READS: [&str; 12] = [
    "/tokens/",
    "/balance/",
    "/me/",
    "/chats/",
    "/chats/1/",
    "/ledger/",
    "/auth-tokens/",
    "/conversations/",
    "/conversations/1/",
    "/v1/models",
    "/v1/models/dummy",
    "/chats/?limit=bad",
];

#[rstest]
#[actix_web::test]
async fn one_limit_covers_all_reads_of_a_user_with_any_auth_token(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let flags = [&ON[..], &["--reads-per-minute", "12"]].concat();
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    let (first, other) = (app.user("ada").await, app.user("eve").await);
    let second = app.token("ada").await;
    for (number, path) in READS.iter().enumerate() {
        let token = if number % 2 == 0 { &first } else { &second };
        assert_ne!(app.get(path, token).await.status, 429, "{path}");
    }
    for path in READS.iter().filter(|path| !path.starts_with("/v1")) {
        assert_bound(&app.get(path, &first).await, "reads of one user in a minute");
        assert_bound(&app.get(path, &second).await, "reads of one user in a minute");
    }
    let of_v1 = app.get("/v1/models", &first).await;
    of_v1.assert_status(429).assert_header("x-ratelimit-bound", "reads of one user in a minute");
    assert!(of_v1.text().contains("There were too many reads of one user in a minute"));
    app.get("/tokens/", &other).await.assert_status(200);
    app.chat(&first, "paid chats have limits of their own").await.assert_status(201);
}

#[actix_web::test]
async fn a_large_response_counts_as_several_reads() {
    let flags = [&ON[..], &["--reads-per-minute", "100"]].concat();
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let token = app.user("ada").await;
    for _ in 0..4 {
        app.chat(&token, &"\u{1F680}".repeat(32_000)).await.assert_status(201);
    }
    app.get("/chats/", &token).await.assert_status(200);
    assert_bound(&app.get("/tokens/", &token).await, "reads of one user in a minute");
}

/// All changes that a user can make at no cost.
fn changes() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("POST", "/auth-tokens/", json!({ "name": "x" })),
        ("DELETE", "/auth-tokens/0/", Value::Null),
        ("POST", "/conversations/", json!({})),
        ("PATCH", "/conversations/0/", json!({ "title": "x" })),
        ("DELETE", "/conversations/0/", Value::Null),
        ("POST", "/password/", json!({ "old_password": "x", "new_password": "y" })),
        ("POST", "/logout/", json!({})),
        ("POST", "/v1/messages/count_tokens", json!({})),
        ("POST", "/v1/responses/input_tokens", json!({})),
    ]
}

#[rstest]
#[actix_web::test]
async fn one_limit_covers_all_changes_of_a_user_that_cost_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    let (token, other) = (app.user("ada").await, app.user("eve").await);
    let mut counted = 0;
    while app.delete("/auth-tokens/0/", &token).await.status != 429 {
        counted += 1;
        assert!(counted <= 700, "there is no limit");
    }
    assert!(counted >= 600, "{counted}");
    // A log-out that gets through ends its auth token, so each try has its own.
    let tokens = [token, app.token("ada").await, app.token("ada").await];
    for (method, path, body) in changes() {
        let mut rejected = false;
        for token in &tokens {
            // At 10 a second some of the allowance comes back, so it is used up again first.
            while app.delete("/auth-tokens/0/", token).await.status == 404 {}
            let request = app.request(method, path).bearer(token);
            let request = if body.is_null() { request } else { request.json(&body) };
            let answer = request.send().await;
            rejected |= answer.header("x-ratelimit-bound") == Some("changes by one user in a minute");
            if rejected {
                break;
            }
        }
        assert!(rejected, "{method} {path}");
    }
    app.delete("/auth-tokens/0/", &other).await.assert_status(404);
    app.get("/tokens/", &other).await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn refused_chats_count_as_messages(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = [&ON[..], &["--requests-per-minute", "4", "--opening-tokens", "100"]].concat();
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    for (name, path) in [("ada", "/chat/"), ("eve", "/v1/chat/completions")] {
        let token = app.user(name).await;
        for body in [json!({ "message": "" }), json!({ "messages": 7 }), json!({}), json!([])] {
            app.post(path, &token, body).await.assert_status(400);
        }
        let answer = app.post(path, &token, json!({})).await;
        answer.assert_status(429).assert_header("x-ratelimit-bound", "messages of one user in a minute");
    }
    let token = app.user("poor").await;
    app.chat(&token, "the last one").await.assert_status(201);
    for _ in 0..3 {
        app.chat(&token, "no tokens left").await.assert_error(400, "Insufficient tokens");
    }
    assert_bound(&app.chat(&token, "no tokens left").await, "messages of one user in a minute");
}

/// The requests of guests, and of clients with an invalid auth token.
const GUEST_REQUESTS: [(&str, &str); 14] = [
    ("GET", "/"),
    ("GET", "/static/tollgate.css"),
    ("GET", "/no-such-path"),
    ("DELETE", "/chat/"),
    ("GET", "/admin/sign-in/"),
    ("GET", "/admin/"),
    ("GET", "/admin/no-such-page"),
    ("DELETE", "/admin/"),
    ("GET", "/admin/first-run/wrong/"),
    ("GET", "/tokens/"),
    ("POST", "/chat/"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/v1/responses/input_tokens"),
];

#[rstest]
#[actix_web::test]
async fn guests_have_a_limit_by_address_that_keeps_no_user_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    let token = app.user("ada").await;
    let from =
        |method: &str, path: &str, token: &str| app.request(method, path).bearer(token).from("192.0.2.1");
    let mut counted = 0;
    while from("GET", "/no-such-path", GUEST).send().await.status != 429 {
        counted += 1;
        assert!(counted <= 4000, "there is no limit");
    }
    assert!(counted >= 3000, "{counted}");
    // At 50 a second some of the allowance comes back, so the limit is reached again before each
    // check.
    for (method, path) in GUEST_REQUESTS {
        for token in [GUEST, "tg_no-such-token"] {
            let mut rejected = false;
            for _ in 0..200 {
                rejected |= from(method, path, token).send().await.status == 429;
            }
            assert!(rejected, "{method} {path} {token}");
        }
    }
    // A user whose auth token was valid recently is not affected, and neither are clients at other
    // addresses.
    from("GET", "/tokens/", &token).send().await.assert_status(200);
    app.request("GET", "/no-such-path").from("192.0.2.2").send().await.assert_status(404);
    from("GET", "/healthz", GUEST).send().await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_revoked_auth_token_is_refused_although_it_was_valid_a_moment_ago(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    let token = app.user("ada").await;
    app.get("/tokens/", &token).await.assert_status(200);
    app.post("/logout/", &token, json!({})).await.assert_status(200);
    app.get("/tokens/", &token).await.assert_status(401);
    app.chat(&token, "Hello").await.assert_status(401);
}

/// A class of 30 behind one address logs in at once, and once more in the next lesson.
#[rstest]
#[actix_web::test]
async fn a_class_of_30_behind_one_address_can_log_in_at_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    for number in 0..30 {
        let body = json!({ "username": format!("pupil-{number}"), "password": PASSWORD });
        let request = app.request("POST", "/register/").json(&body);
        request.from(&format!("198.51.100.{number}")).send().await.assert_status(201);
    }
    for _ in 0..2 {
        let log_ins = (0..30).map(|number| {
            let body = json!({ "username": format!("pupil-{number}"), "password": PASSWORD });
            app.request("POST", "/login/").json(&body).from("192.0.2.1").send()
        });
        let statuses: Vec<u16> = join_all(log_ins).await.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200; 30]);
    }
    // A guesser still has only ten tries.
    let guesses = (0..30).map(|number| {
        let body = json!({ "username": format!("pupil-{number}"), "password": "a guess" });
        app.request("POST", "/login/").json(&body).from("192.0.2.1").send()
    });
    let tried = join_all(guesses).await.iter().filter(|answer| answer.status == 400).count();
    assert!((10..=12).contains(&tried), "{tried}");
}

/// A pupil who guesses passwords uses up only the allowance of strangers at the school's address.
#[rstest]
#[actix_web::test]
async fn a_guesser_does_not_lock_out_users_who_have_logged_in_from_the_same_address(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &ON).await else { return };
    app.user("ada").await;
    let log_in = async |name: &str, password: &str| app.log_in(name, password).await.status;
    for number in 0..20 {
        log_in(&format!("nobody-{number}"), "a guess").await;
    }
    assert_eq!(log_in("nobody", "a guess").await, 429);
    assert_eq!(log_in("ada", PASSWORD).await, 200);
}

#[actix_web::test]
async fn a_successful_password_change_returns_its_allowance() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &ON).await else { return };
    let token = app.user("ada").await;
    let mut old = PASSWORD.to_owned();
    for number in 0..12 {
        let new = format!("another pass phrase {number}");
        let body = json!({ "old_password": old, "new_password": new });
        app.post("/password/", &token, body).await.assert_status(200);
        old = new;
    }
}
