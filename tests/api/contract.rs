//! The five requests that both older services had, to the byte, because clients match on these
//! texts.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::{GUEST, TestApp};
use crate::support::server::PASSWORD;

/// Both spellings of a path are served directly: a redirect would turn a POST into a GET.
const SLASHES: [&str; 2] = ["/", ""];

#[rstest]
#[actix_web::test]
async fn registration_responds_as_both_older_services_did(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for (name, slash) in ["ada", "bob"].into_iter().zip(SLASHES) {
        let path = format!("/register{slash}");
        let register = |name: &str, password: &str| {
            app.post(&path, GUEST, json!({ "username": name, "password": password }))
        };
        let made = register(name, PASSWORD).await;
        made.assert(201, r#"{"message":"User created successfully"}"#);
        made.assert_header("content-type", "application/json");
        register(name, PASSWORD).await.assert(400, r#"{"error":"Username already exists"}"#);
        register(name, "another long one").await.assert(400, r#"{"error":"Username already exists"}"#);
        register("a b", PASSWORD).await.assert(400, r#"{"error":"Invalid username or password"}"#);
        register("carol", "short").await.assert(400, r#"{"error":"Invalid username or password"}"#);
    }
    assert_eq!(app.count("users"), 2);
}

#[rstest]
#[actix_web::test]
async fn a_login_returns_a_token_or_says_which_field_was_wrong(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.register("ada").await.assert_status(201);
    for slash in SLASHES {
        let path = format!("/login{slash}");
        let log_in = |name: &str, password: &str| {
            app.post(&path, GUEST, json!({ "username": name, "password": password }))
        };
        let answer = log_in("ada", PASSWORD).await;
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        answer.assert(200, &format!(r#"{{"message":"Login successful","token":"{token}"}}"#));
        assert_eq!(app.balance(&token).await, 4000);
        log_in("bob", PASSWORD).await.assert(400, r#"{"error":"Invalid username"}"#);
        log_in("ada", "wrong").await.assert(400, r#"{"error":"Invalid password"}"#);
    }
}

#[rstest]
#[actix_web::test]
async fn a_chat_is_charged_and_answered_with_two_keys_only(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for (slash, remaining) in SLASHES.into_iter().zip(["3900", "3800"]) {
        let path = format!("/chat{slash}");
        let answer = app.post(&path, &token, json!({ "message": "Hello" })).await;
        answer.assert(201, r#"{"message":"Hello","response":"Response to Hello"}"#);
        answer.assert_header("x-tokens-charged", "100").assert_header("x-tokens-remaining", remaining);
        let id = answer.header("x-chat-id").unwrap();
        let stored = app.get(&format!("/chats/{id}/"), &token).await;
        assert_eq!(stored.json()["message"], "Hello");
    }
    assert_eq!(app.balance(&token).await, 3800);
}

#[rstest]
#[actix_web::test]
async fn tokens_and_balance_return_the_same_number_and_each_has_its_own_401(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.chat(&token, "Hello").await.assert_status(201);
    for slash in SLASHES {
        let (tokens, balance) = (format!("/tokens{slash}"), format!("/balance{slash}"));
        app.get(&tokens, &token).await.assert(200, r#"{"tokens":3900}"#);
        app.get(&balance, &token).await.assert(200, r#"{"tokens":3900}"#);
        for stranger in [GUEST, "tg_nobody"] {
            let refused = app.get(&tokens, stranger).await;
            refused.assert(401, r#"{"error":"Unauthorized Token Not Found"}"#);
            refused.assert_header("www-authenticate", "Bearer realm=\"tollgate\"");
            let refused = app.get(&balance, stranger).await;
            refused.assert(401, r#"{"error":"Unauthorized"}"#);
            refused.assert_header("www-authenticate", "Bearer realm=\"tollgate\"");
        }
    }
}

/// A request with several errors gets the first of the contract's three texts.
#[rstest]
#[actix_web::test]
async fn a_chat_is_checked_for_its_user_then_its_message_then_the_balance(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &["--opening-tokens", "99"]).await else { return };
    let poor = app.user("ada").await;
    let cases = [
        (GUEST, json!({ "message": "" }), 401, "Unauthorized"),
        ("tg_nobody", json!({ "message": 5 }), 401, "Unauthorized"),
        (GUEST, json!({ "message": "Hello" }), 401, "Unauthorized"),
        (&poor, json!({ "message": "" }), 400, "Invalid message"),
        (&poor, json!({}), 400, "Invalid message"),
        (&poor, json!({ "message": "Hello" }), 400, "Insufficient tokens"),
    ];
    for (token, body, status, error) in cases {
        app.post("/chat/", token, body).await.assert_error(status, error);
    }
    for (token, status, error) in [(GUEST, 401, "Unauthorized"), (&poor, 400, "Invalid message")] {
        let unreadable = app.request("POST", "/chat/").bearer(token).body("{\"message\": ");
        unreadable.send().await.assert_error(status, error);
    }
    assert_eq!((app.balance(&poor).await, app.count("chats")), (99, 0));
}

#[rstest]
#[actix_web::test]
async fn the_last_tokens_can_be_spent_and_no_more(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--opening-tokens", "250", "--chat-price", "125"];
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    let token = app.user("ada").await;
    for remaining in ["125", "0"] {
        let answer = app.chat(&token, "Hello").await;
        answer.assert_status(201).assert_header("x-tokens-charged", "125");
        answer.assert_header("x-tokens-remaining", remaining);
    }
    let refused = app.chat(&token, "Hello").await;
    refused.assert_error(400, "Insufficient tokens");
    assert_eq!(refused.header("x-tokens-charged"), None);
    assert_eq!((app.balance(&token).await, app.count("chats")), (0, 2));
}

#[rstest]
#[actix_web::test]
async fn closed_registration_is_refused_and_creates_no_user(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--registration", "closed"]).await else { return };
    app.register("ada").await.assert_error(403, "Registration is closed");
    app.log_in("ada", PASSWORD).await.assert_error(400, "Invalid username");
}
