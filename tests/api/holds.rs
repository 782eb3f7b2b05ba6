//! Chats whose answer takes time or fails: what their user sees of the hold, during and after it.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{TestApp, eventually};

/// Longer than any test: the chat stays open until the app is dropped.
const NEVER: [&str; 2] = ["--dummy-delay", "600000"];

/// Starts a chat that is not answered while the test runs. Returns once it is charged.
async fn open_chat(app: &TestApp, token: &str) {
    let answer = app.keyed_chat(token, "Hello", "key").send();
    drop(actix_web::rt::spawn(answer));
    eventually("the charge", async || app.get("/me/", token).await.json()["held"] == 100).await;
}

#[rstest]
#[actix_web::test]
async fn held_tokens_are_off_the_balance_and_shown_as_held(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &NEVER).await else { return };
    let token = app.user("ada").await;
    open_chat(&app, &token).await;
    let me = app.get("/me/", &token).await.json();
    assert_eq!((&me["tokens"], &me["held"]), (&json!(3900), &json!(100)));
    assert_eq!(app.balance(&token).await, 3900);
    let chat = app.get("/chats/", &token).await.json()["chats"][0].clone();
    assert_eq!((&chat["state"], &chat["response"]), (&json!("pending"), &Value::Null));
    assert_eq!((&chat["charged"], &chat["finished_at"]), (&json!(100), &Value::Null));
}

#[rstest]
#[actix_web::test]
async fn a_key_conflicts_while_its_first_request_is_still_open(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &NEVER).await else { return };
    let token = app.user("ada").await;
    open_chat(&app, &token).await;
    let again = app.chat_with_key(&token, "Hello", "key").await;
    again.assert_error(409, "A request with this Idempotency-Key is still being answered");
    let other = app.chat_with_key(&token, "Something else", "key").await;
    other.assert_error(422, "This Idempotency-Key was used for another request");
    assert_eq!((app.balance(&token).await, app.count("chats")), (3900, 1));
}

#[rstest]
#[actix_web::test]
async fn a_slow_answer_is_charged_once_and_kept(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--dummy-delay", "1"]).await else { return };
    let token = app.user("ada").await;
    let answer = app.chat_with_key(&token, "Hello", "key").await;
    answer.assert(201, r#"{"message":"Hello","response":"Response to Hello"}"#);
    answer.assert_header("x-tokens-charged", "100").assert_header("x-tokens-remaining", "3900");
    let again = app.chat_with_key(&token, "Hello", "key").await;
    again.assert(201, &answer.text()).assert_header("idempotency-replayed", "true");
    let me = app.get("/me/", &token).await.json();
    assert_eq!((&me["tokens"], &me["held"]), (&json!(3900), &json!(0)));
    let chat = app.get("/chats/", &token).await.json()["chats"][0].clone();
    assert_eq!((&chat["state"], &chat["response"]), (&json!("complete"), &json!("Response to Hello")));
    assert!(chat["finished_at"].as_str() > chat["created_at"].as_str(), "{chat}");
}

#[rstest]
#[actix_web::test]
async fn a_failure_refunds_the_tokens_and_frees_the_key(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--dummy-failures", "100"]).await else { return };
    let token = app.user("ada").await;
    for _ in 0..2 {
        let answer = app.chat_with_key(&token, "Hello", "key").await;
        answer.assert_error(502, "The message could not be answered");
        assert_eq!(answer.header("x-tokens-charged"), None);
        assert_eq!(app.balance(&token).await, 4000);
    }
    assert_eq!(app.count("idempotency_keys"), 0);
    let chats = app.get("/chats/", &token).await.json()["chats"].clone();
    assert_eq!(chats.as_array().unwrap().len(), 2, "the second attempt is a chat of its own");
    assert_eq!((&chats[0]["state"], &chats[0]["response"]), (&json!("failed"), &Value::Null));
    assert!(chats[0]["failure"].is_string());
    let entries = app.get("/ledger/", &token).await.json()["entries"].clone();
    let kinds: Vec<_> =
        entries.as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["refund", "charge", "refund", "charge", "opening"]);
    assert_eq!((&entries[0]["amount"], &entries[0]["chat_id"]), (&json!(100), &chats[0]["id"]));
}
