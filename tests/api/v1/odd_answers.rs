use rstest::rstest;
use serde_json::json;

use super::super::upstream::{data, spawn};
use super::{complete, question};
use crate::support::On;
use crate::support::upstream::{Step, answer, chunk, done, finish, head, role, status, text};

/// PostgreSQL cannot store U+0000. An answer with one must still be settled, and must not affect
/// other chats.
#[rstest]
#[actix_web::test]
async fn a_character_that_postgresql_cannot_store_is_replaced(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let call = json!({ "index": 0, "id": "a\0", "function": { "name": "f", "arguments": "\0" } });
    let parts =
        [head(), text("a\0b"), chunk(json!({ "tool_calls": [call] }), None), finish("stop\0"), done()];
    upstream.next(parts.into_iter().chain([Step::End]));
    let answer = complete(&app, &token, json!({})).await;
    let body = answer.assert_status(200).json();
    assert_eq!(body["choices"][0]["message"]["content"], "a\u{fffd}b");
    let chat = &app.get("/chats/", &token).await.json()["chats"][0];
    assert_eq!((&chat["state"], &chat["response"]), (&json!("complete"), &json!("a\u{fffd}b")));
}

#[actix_web::test]
async fn a_stream_without_content_is_not_an_answer() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    for script in [vec![head(), done(), Step::End], vec![head(), role(), done(), Step::End]] {
        upstream.next(script);
        complete(&app, &token, json!({})).await.assert_status(502);
    }
    // An explicitly empty answer is not an answer either, and a price per message is refunded.
    upstream.next([head(), role(), finish("stop"), done(), Step::End]);
    let answer = complete(&app, &token, json!({})).await;
    assert_eq!(answer.assert_status(502).json()["error"]["code"], "responder_failed");
    let chat = &app.get("/chats/", &token).await.json()["chats"][0];
    assert_eq!((&chat["state"], &chat["failure"]), (&json!("failed"), &json!("the model wrote nothing")));
    assert_eq!(app.balance(&token).await, 4000);
}

#[rstest]
#[case(402)]
#[case(404)]
#[actix_web::test]
async fn a_fault_of_the_operator_is_not_reported_as_the_clients(#[case] theirs: u16) {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(status(theirs, &[], "pay first"));
    let answer = complete(&app, &token, json!({})).await;
    assert_eq!(answer.assert_status(502).json()["error"]["type"], "server_error");
    assert_eq!(
        app.get("/readyz", &token).await.json()["upstream"],
        json!(null),
        "only administrators see it"
    );
    app.sql("UPDATE users SET is_staff = TRUE");
    assert_eq!(app.get("/readyz", &token).await.json()["upstream"]["failures_in_a_row"], 1);
}

#[actix_web::test]
async fn a_429_of_the_upstream_becomes_a_503_with_a_time_to_retry() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(status(429, &[("retry-after", "300")], ""));
    let answer = complete(&app, &token, json!({})).await;
    let wait: u64 = answer.assert_status(503).header("retry-after").unwrap().parse().unwrap();
    assert!((5..=12).contains(&wait), "{wait}");
    assert_eq!(answer.json()["error"]["code"], "busy");
    assert_eq!(app.balance(&token).await, 4000);
}

/// The chat has its answer, so a retry depends neither on the upstream nor on today's prices.
#[rstest]
#[actix_web::test]
async fn a_replay_needs_no_upstream_no_model_and_no_balance(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &["--opening-tokens", "100"]).await else { return };
    upstream.next(answer("Hello", 9, 3));
    let ask = async |streamed: bool| {
        let request =
            app.request("POST", "/v1/chat/completions").bearer(&token).header("Idempotency-Key", "one");
        request.json(&question(json!({ "stream": streamed }))).send().await
    };
    let first = ask(false).await.assert_status(200).json();
    upstream.refuse().await;
    app.sql("UPDATE models SET is_withdrawn = TRUE");
    let again = ask(false).await;
    assert_eq!(again.assert_header("idempotency-replayed", "true").json(), first);
    assert_eq!(data(&ask(true).await)[0]["choices"][0]["delta"]["content"], "Hello");
    complete(&app, &token, json!({})).await.assert_status(404);
}

/// The first client disconnected during the answer. A retry must not present a partial answer as a
/// whole one.
#[actix_web::test]
async fn a_replay_of_a_cancelled_chat_says_that_the_answer_is_partial() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(answer("Hello", 9, 3));
    let ask = async |path: &str, key: &str, body: serde_json::Value| {
        app.request("POST", path).bearer(&token).header("Idempotency-Key", key).json(&body).send().await
    };
    ask("/v1/chat/completions", "one", question(json!({}))).await.assert_status(200);
    ask("/chat/", "two", json!({ "message": "hi" })).await.assert_status(201);
    app.sql("UPDATE chats SET state = 'cancelled'");
    let again = ask("/v1/chat/completions", "one", question(json!({}))).await;
    assert_eq!(
        again.assert_header("x-chat-state", "cancelled").json()["choices"][0]["finish_reason"],
        "length"
    );
    let again = ask("/chat/", "two", json!({ "message": "hi" })).await;
    again.assert_status(201).assert_header("x-chat-state", "cancelled");
}

#[actix_web::test]
async fn an_insufficient_balance_is_reported_even_if_the_upstream_is_down() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--opening-tokens", "99"]).await else { return };
    upstream.refuse().await;
    for _ in 0..7 {
        complete(&app, &token, json!({})).await.assert_status(402);
        app.chat(&token, "hi").await.assert_error(400, "Insufficient tokens");
    }
    assert!(upstream.requests().is_empty());
}

#[actix_web::test]
async fn the_field_that_limits_an_answer_can_be_configured() {
    let flags = ["--upstream-limit-field", "max_completion_tokens"];
    let Some((app, upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    complete(&app, &token, json!({ "max_tokens": 7 })).await.assert_status(200);
    let asked = &upstream.requests()[0].body;
    assert_eq!((&asked["max_completion_tokens"], asked.get("max_tokens")), (&json!(7), None));
}

/// Models write an object's fields in the order of its schema.
#[actix_web::test]
async fn the_order_of_fields_is_kept_on_the_way_to_the_model() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],
        "response_format":{"type":"json_schema","json_schema":{"schema":{"properties":{"z":{},"a":{}}}}}}"#;
    app.request("POST", "/v1/chat/completions").bearer(&token).body(body).send().await.assert_status(200);
    let properties = &upstream.requests()[0].body["response_format"]["json_schema"]["schema"]["properties"];
    let names: Vec<_> = properties.as_object().unwrap().keys().collect();
    assert_eq!(names, ["z", "a"]);
}

/// OpenAI's client libraries retry a 502 automatically, and each retry would be charged again.
#[actix_web::test]
async fn a_charged_failure_says_so_and_asks_not_to_be_retried() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    app.sql("UPDATE models SET base_price = 7, prompt_price = 0, completion_price = 0");
    upstream.next([head(), finish("stop"), done(), Step::End]);
    let answer = complete(&app, &token, json!({})).await;
    answer.assert_status(502).assert_header("x-should-retry", "false");
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the model wrote nothing") && message.contains("are charged"), "{message}");
    assert_eq!(app.balance(&token).await, 3993);
}
