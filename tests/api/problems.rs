//! Problem details (RFC 9457) for clients that ask for them: `type` never changes, `detail` says
//! what to do, and `errors` names the field.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{Answer, GUEST, Request, TestApp};
use crate::support::html::text;
use crate::support::server::PASSWORD;

async fn problem(request: Request<'_>) -> Answer {
    request.header("Accept", "application/problem+json").send().await
}

/// Checks the whole problem. `fields` are the names of the fields in its `errors`.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, slug: &str, title: &str, detail: &str, fields: &[&str]) {
    let body = answer.json();
    let got = (answer.status, &body["type"], &body["title"], &body["detail"]);
    let r#type = json!(format!("urn:tollgate:problem:{slug}"));
    assert_eq!(got, (status, &r#type, &json!(title), &json!(detail)));
    answer.assert_header("content-type", "application/problem+json");
    assert_eq!(body["status"], status);
    let errors = body.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
    let named: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(named, fields, "{body}");
    assert!(
        errors.iter().all(|error| error["detail"].as_str().is_some_and(|text| !text.is_empty())),
        "{body}"
    );
    assert!(body.get("errors").is_none_or(|errors| errors != &json!([])), "{body}");
}

const CORRECT: &str = "Correct the field that `errors` names.";
const CHECK: &str = "Check the username and the password; a deactivated user cannot log in.";
const SEND_A_TOKEN: &str =
    "Send a valid auth token as `Authorization: Bearer <token>`; POST /login/ makes one.";

#[rstest]
#[actix_web::test]
async fn errors_of_registration_and_login_have_problem_details(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.register("ada").await.assert_status(201);
    let send = |path: &str, body: Value| problem(app.request("POST", path).json(&body));
    let user = |name: Value, password: Value| json!({ "username": name, "password": password });
    let both: &[&str] = &["username", "password"];
    for (body, fields) in [
        (user(json!("a b"), json!(PASSWORD)), &both[..1]),
        (user(json!(5), json!(PASSWORD)), &both[..1]),
        (user(json!("bob"), json!("short")), &both[1..]),
        (user(json!("bob"), json!(null)), &both[1..]),
        (json!({}), both),
    ] {
        let answer = send("/register/", body).await;
        let detail = "Correct the fields that `errors` names and send the request again.";
        assert_problem(&answer, 400, "invalid-registration", "Invalid username or password", detail, fields);
    }
    let answer = send("/register/", user(json!("ADA"), json!(PASSWORD))).await;
    let detail = "Choose a username that neither is another user's nor looks like it.";
    assert_problem(&answer, 400, "username-taken", "Username already exists", detail, &[]);
    let answer = send("/login/", user(json!("bob"), json!("x"))).await;
    assert_problem(&answer, 400, "invalid-username", "Invalid username", CHECK, &[]);
    let answer = send("/login/", user(json!("ada"), json!("x"))).await;
    assert_problem(&answer, 400, "invalid-password", "Invalid password", CHECK, &[]);
    let Some(closed) = TestApp::spawn_with(on, &["--registration", "closed"]).await else { return };
    let request = closed.request("POST", "/register/").json(&user(json!("bob"), json!(PASSWORD)));
    let detail = "Ask an administrator of this server for an account.";
    assert_problem(
        &problem(request).await,
        403,
        "registration-closed",
        "Registration is closed",
        detail,
        &[],
    );
}

#[rstest]
#[actix_web::test]
async fn errors_of_chats_have_problem_details(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--opening-tokens", "150"]).await else { return };
    let token = app.user("ada").await;
    let chat =
        |message: Value| app.request("POST", "/chat/").bearer(&token).json(&json!({ "message": message }));
    let answer = problem(app.request("POST", "/chat/").json(&json!({ "message": "Hello" }))).await;
    assert_problem(&answer, 401, "unauthorized", "Unauthorized", SEND_A_TOKEN, &[]);
    answer.assert_header("www-authenticate", "Bearer realm=\"tollgate\"");
    let answer = problem(app.request("GET", "/tokens/")).await;
    assert_problem(&answer, 401, "unauthorized", "Unauthorized Token Not Found", SEND_A_TOKEN, &[]);
    for message in [json!(""), json!(5)] {
        let answer = problem(chat(message)).await;
        assert_problem(&answer, 400, "invalid-message", "Invalid message", CORRECT, &["message"]);
    }
    let answer = problem(chat(json!("Hello")).header("Idempotency-Key", "")).await;
    let field = "Idempotency-Key";
    assert_problem(&answer, 400, "invalid-field", "Invalid Idempotency-Key", CORRECT, &[field]);
    app.chat_with_key(&token, "Hello", "key").await.assert_status(201);
    let answer = problem(chat(json!("Hello"))).await;
    let detail = "This costs 100 tokens and the balance is 50: ask for a top-up.";
    assert_problem(&answer, 400, "insufficient-tokens", "Insufficient tokens", detail, &[]);
    let answer = problem(app.keyed_chat(&token, "Other", "key")).await;
    let title = "This Idempotency-Key was used for another request";
    let detail = "Send the same request as before under this key, or use a new key.";
    assert_problem(&answer, 422, "idempotency-key-reused", title, detail, &[]);
}

#[actix_web::test]
async fn the_operators_text_says_how_to_top_up_a_balance() {
    let top_up = "write to billing@chat.example";
    let flags = ["--opening-tokens", "50", "--top-up", top_up];
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let token = app.user("ada").await;
    let request = app.request("POST", "/chat/").bearer(&token).json(&json!({ "message": "Hello" }));
    let answer = problem(request).await;
    let detail = format!("This costs 100 tokens and the balance is 50. To top it up: {top_up}");
    assert_problem(&answer, 400, "insufficient-tokens", "Insufficient tokens", &detail, &[]);
    let page = text(&app.request("GET", "/").send().await.text());
    assert!(page.contains(&format!("To top up a balance: {top_up}")), "{page}");
    assert_eq!(app.get("/me/", &token).await.json()["top_up"], top_up);
}

#[actix_web::test]
async fn errors_of_http_have_problem_details() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let chat = || app.request("POST", "/chat/").bearer(&token);
    let answer = problem(app.request("GET", "/nothing")).await;
    let detail = "There is no `GET /nothing` on this server. Check the path. For the OpenAI protocol, the base URL \
                  ends in /v1.";
    assert_problem(&answer, 404, "not-found", "Not found", detail, &[]);
    let answer = problem(app.request("GET", "/chats/1/").bearer(&token)).await;
    assert_problem(&answer, 404, "not-found", "Not found", "Check the path and the id.", &[]);
    let answer = problem(app.request("DELETE", "/chat/")).await;
    let detail = "Use one of these methods: POST.";
    assert_problem(&answer, 405, "method-not-allowed", "Method not allowed", detail, &[]);
    answer.assert_header("allow", "POST");
    let answer = problem(chat().body("x".repeat(512 * 1024 + 1))).await;
    assert_problem(&answer, 413, "body-too-large", "Request body too large", "Send at most 512 KiB.", &[]);
    let log_out =
        app.request("POST", "/logout/").bearer(&token).header("Content-Type", "text/plain").body("{}");
    let answer = problem(log_out).await;
    let detail = "Send the body as one of these, named in its Content-Type: application/json.";
    assert_problem(&answer, 415, "unsupported-media-type", "Unsupported media type", detail, &[]);
    let answer = problem(chat().header("Content-Encoding", "gzip").body("{}")).await;
    let detail = "Send the body uncompressed, without Content-Encoding.";
    assert_problem(&answer, 415, "unsupported-media-type", "Unsupported media type", detail, &[]);
    let answer = problem(chat().header("X-Long", &"x".repeat(16_384))).await;
    let detail = "Send at most 16 KiB of request line and headers.";
    assert_problem(&answer, 431, "head-too-large", "Request header fields too large", detail, &[]);
    let answer = problem(app.request("GET", "/chats/?limit=0").bearer(&token)).await;
    assert_problem(&answer, 400, "invalid-field", "Invalid limit", CORRECT, &["limit"]);
    app.services.readiness.drain();
    let answer = problem(app.request("GET", "/readyz")).await;
    let detail = "This node takes no requests now (draining): send them to another one.";
    assert_problem(&answer, 503, "unavailable", "Service unavailable", detail, &[]);
    assert!(answer.header("retry-after").is_some());
}

#[rstest]
#[actix_web::test]
async fn errors_of_throttles_and_responders_have_problem_details(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--throttle", "on", "--dummy-failures", "100"]).await else {
        return;
    };
    let token = app.user("ada").await;
    let answer = problem(app.request("POST", "/chat/").bearer(&token).body(r#"{"message":"Hello"}"#)).await;
    let detail = "Nothing was charged in the end. Try again later.";
    assert_problem(&answer, 502, "responder-failed", "The message could not be answered", detail, &[]);
    for _ in 0..5 {
        app.log_in("ada", "wrong").await.assert_status(400);
    }
    let log_in = json!({ "username": "ada", "password": "wrong" });
    let answer = problem(app.request("POST", "/login/").json(&log_in)).await;
    let seconds = answer.header("retry-after").unwrap();
    let detail = format!(
        "Wait {seconds} s, then try again. There were too many log-ins to one account from one address."
    );
    assert_problem(&answer, 429, "too-many-requests", "Too many requests", &detail, &[]);
}

#[actix_web::test]
async fn problem_details_are_sent_only_to_clients_that_ask_for_them() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    for accept in ["application/problem+json", "application/json, application/problem+json;q=0.9"] {
        let answer = app.request("GET", "/nothing").header("Accept", accept).send().await;
        answer.assert_status(404).assert_header("content-type", "application/problem+json");
    }
    for accept in ["application/json", "*/*", "text/html", ""] {
        let answer = app.request("GET", "/nothing").header("Accept", accept).send().await;
        answer.assert_error(404, "Not found");
    }
    app.get("/nothing", GUEST).await.assert_error(404, "Not found");
}
