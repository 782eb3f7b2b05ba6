//! `Idempotency-Key`: a repeated request gets the same answer and is charged once.

use std::collections::HashSet;

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::{GUEST, TestApp};

const REUSED: &str = "This Idempotency-Key was used for another request";

#[rstest]
#[actix_web::test]
async fn the_same_request_again_gets_the_stored_answer_and_no_charge(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let first = app.chat_with_key(&token, "Hello", "key").await;
    first.assert(201, r#"{"message":"Hello","response":"Response to Hello"}"#);
    assert_eq!(first.header("idempotency-replayed"), None);
    let second_token = app.token("ada").await;
    for token in [&token, &second_token] {
        let again = app.chat_with_key(token, "Hello", "key").await;
        again.assert(201, &first.text()).assert_header("idempotency-replayed", "true");
        for name in ["x-chat-id", "x-tokens-charged", "x-tokens-remaining"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
    }
    assert_eq!((app.balance(&token).await, app.count("chats")), (3900, 1));
    let without = app.chat(&token, "Hello").await;
    without.assert_status(201);
    assert_ne!(without.header("x-chat-id"), first.header("x-chat-id"));
}

/// A client may vary these when it repeats a request: spelling, unknown keys, the place of its
/// token.
#[rstest]
#[actix_web::test]
async fn a_request_with_the_same_message_is_the_same_request(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.chat_with_key(&token, "Grüße", "key").await.assert_status(201);
    let other_spelling = app.request("POST", "/chat").bearer(&token).header("idempotency-key", "key");
    let other_spelling =
        other_spelling.body("{ \"more\": 1, \"message\": \"Gr\\u00fc\\u00dfe\" }").send().await;
    other_spelling.assert_status(201).assert_header("idempotency-replayed", "true");
    let in_body = app.request("POST", "/chat/").header("Idempotency-Key", "key");
    let in_body = in_body.json(&json!({ "message": "Grüße", "token": token })).send().await;
    in_body.assert_status(201).assert_header("idempotency-replayed", "true");
    for other in ["grüße", "Grüße ", "Gru\u{308}ße"] {
        app.chat_with_key(&token, other, "key").await.assert_error(422, REUSED);
    }
    assert_eq!(app.balance(&token).await, 3900);
}

#[rstest]
#[actix_web::test]
async fn a_key_belongs_to_its_user_and_is_compared_exactly(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let longest = "k".repeat(255);
    let mut ids = Vec::new();
    for (token, key) in [(&ada, "key"), (&bob, "key"), (&ada, "KEY"), (&ada, "\"key\""), (&ada, &longest)] {
        let answer = app.chat_with_key(token, "Hello", key).await;
        answer.assert_status(201);
        assert_eq!(answer.header("idempotency-replayed"), None, "{key}");
        ids.push(answer.header("x-chat-id").unwrap().to_owned());
    }
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!((distinct.len(), app.count("chats")), (5, 5));
    let replayed = app.chat_with_key(&bob, "Hello", "key").await;
    assert_eq!(replayed.header("x-chat-id"), Some(ids[1].as_str()), "each gets their own answer back");
}

#[rstest]
#[actix_web::test]
async fn an_invalid_key_is_refused(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let too_long = "k".repeat(256);
    for key in ["", " ", "two words", "kéy", "tab\there", &too_long] {
        let answer = app.chat_with_key(&token, "Hello", key).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "Invalid Idempotency-Key"), "{key:?}");
    }
    let twice = app.keyed_chat(&token, "Hello", "one").header("Idempotency-Key", "two").send().await;
    twice.assert_error(400, "Invalid Idempotency-Key");
    app.chat_with_key(GUEST, "Hello", "").await.assert_error(401, "Unauthorized");
    app.chat_with_key(&token, "", "").await.assert_error(400, "Invalid message");
    assert_eq!((app.balance(&token).await, app.count("chats")), (4000, 0));
}

#[rstest]
#[actix_web::test]
async fn a_refusal_stores_nothing_under_the_key(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--opening-tokens", "99"]).await else { return };
    let token = app.user("ada").await;
    app.chat_with_key(&token, "", "key").await.assert_error(400, "Invalid message");
    app.chat_with_key(&token, "Hello", "key").await.assert_error(400, "Insufficient tokens");
    app.chat_with_key("tg_nobody", "Hello", "key").await.assert_error(401, "Unauthorized");
    assert_eq!(app.count("idempotency_keys"), 0);
    // A top-up without a ledger entry: this test is not about the ledger.
    app.sql("UPDATE users SET tokens = 100");
    app.damages_its_books();
    let now_paid = app.chat_with_key(&token, "Another message", "key").await;
    now_paid.assert_status(201).assert_header("x-tokens-remaining", "0");
}

#[rstest]
#[actix_web::test]
async fn a_replay_needs_no_balance(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--opening-tokens", "100"]).await else { return };
    let token = app.user("ada").await;
    let first = app.chat_with_key(&token, "Hello", "key").await;
    first.assert_status(201).assert_header("x-tokens-remaining", "0");
    let again = app.chat_with_key(&token, "Hello", "key").await;
    again.assert(201, &first.text()).assert_header("idempotency-replayed", "true");
    app.chat_with_key(&token, "Hello", "other").await.assert_error(400, "Insufficient tokens");
    app.chat_with_key(&token, "Hi", "key").await.assert_error(422, REUSED);
    assert_eq!((app.balance(&token).await, app.count("idempotency_keys")), (0, 1));
}

#[rstest]
#[actix_web::test]
async fn a_replay_needs_a_live_auth_token_of_an_active_user(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.chat_with_key(&token, "Hello", "key").await.assert_status(201);
    app.sql("UPDATE users SET is_active = FALSE");
    app.chat_with_key(&token, "Hello", "key").await.assert_error(401, "Unauthorized");
    app.sql("UPDATE users SET is_active = TRUE");
    app.post("/logout/", &token, json!({})).await.assert_status(200);
    app.chat_with_key(&token, "Hello", "key").await.assert_error(401, "Unauthorized");
}
