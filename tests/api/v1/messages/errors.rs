use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::spawn;
use super::{ask, ask_under};
use crate::support::On;
use crate::support::app::{Answer, GUEST};
use crate::support::upstream::status;

/// Checks the form of an error. Returns the message.
#[track_caller]
fn check(answer: &Answer, status: u16, kind: &str, param: Value, code: &str) -> String {
    let body = answer.assert_status(status).json();
    assert_eq!(body["type"], "error");
    assert_eq!(body["request_id"].as_str(), answer.header("request-id"));
    let error = &body["error"];
    assert_eq!((&error["type"], &error["param"], &error["code"]), (&json!(kind), &param, &json!(code)));
    assert_eq!((body.as_object().unwrap().len(), error.as_object().unwrap().len()), (3, 4), "{body}");
    answer.assert_header("content-type", "application/json");
    error["message"].as_str().unwrap().to_owned()
}

#[rstest]
#[actix_web::test]
async fn an_insufficient_balance_is_a_billing_error(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = spawn(on, &["--opening-tokens", "99"]).await else { return };
    for more in [json!({}), json!({ "stream": true })] {
        let answer = ask(&app, &token, more).await;
        let message = check(&answer, 402, "billing_error", Value::Null, "insufficient_quota");
        assert!(message.contains("100") && message.contains("99"), "{message}");
        answer.assert_header("x-should-retry", "false");
    }
    assert_eq!((app.count("chats"), upstream.requests().len()), (0, 0));
}

#[actix_web::test]
async fn every_error_has_the_protocols_shape() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let invalid = "invalid_request_error";
    for token in [GUEST, "tg_wrong"] {
        let answer = ask(&app, token, json!({ "messages": 7 })).await;
        check(&answer, 401, "authentication_error", Value::Null, "invalid_api_key");
    }
    let broken = app.request("POST", "/v1/messages").bearer(&token).body("{").send().await;
    check(&broken, 400, invalid, json!("body"), "invalid_field");
    for (field, value) in [
        ("messages", json!([])),
        ("max_tokens", Value::Null),
        ("tools", json!([{ "type": "web_search_20250305", "name": "web_search" }])),
        ("container", json!("c")),
    ] {
        check(&ask(&app, &token, json!({ field: value })).await, 400, invalid, json!(field), "invalid_field");
    }
    let message = check(
        &ask(&app, &token, json!({ "model": "claude-9" })).await,
        404,
        "not_found_error",
        json!("model"),
        "model_not_found",
    );
    assert!(message.contains("`claude-9`"), "{message}");
    let other = app.get("/v1/messages", &token).await;
    check(&other, 405, invalid, Value::Null, "method_not_allowed");
    let batches = app.post("/v1/messages/batches", &token, json!({})).await;
    check(&batches, 404, "not_found_error", Value::Null, "unknown_url");
    assert_eq!((upstream.requests().len(), app.balance(&token).await), (0, 4000));
}

#[actix_web::test]
async fn what_the_upstream_rejects_is_named_by_the_field_of_the_dialect() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let complaint = |param: &str| {
        let error =
            json!({ "error": { "message": "Bad.", "type": "invalid_request_error", "param": param } });
        status(400, &[("content-type", "application/json")], &error.to_string())
    };
    for (param, field) in
        [("stop", "stop_sequences"), ("response_format", "output_config"), ("tools", "tools")]
    {
        upstream.next(complaint(param));
        let answer = ask(&app, &token, json!({})).await;
        check(&answer, 400, "invalid_request_error", json!(field), "request_refused");
    }
    upstream.next(status(500, &[], "no"));
    let failed = ask(&app, &token, json!({})).await;
    check(&failed, 502, "api_error", Value::Null, "responder_failed");
    assert_eq!(app.balance(&token).await, 4000);
}

#[actix_web::test]
async fn a_key_that_was_used_for_another_request_is_rejected() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    ask_under(&app, &token, "one", json!({})).await.assert_status(200);
    let other = ask_under(&app, &token, "one", json!({ "system": "Be kind." })).await;
    check(&other, 422, "invalid_request_error", Value::Null, "idempotency_key_reused");
}

#[actix_web::test]
async fn the_limits_are_in_anthropics_headers_too() {
    let flags = ["--throttle", "on", "--requests-per-minute", "2"];
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &flags).await else { return };
    for (remaining, status) in [("1", 200), ("0", 200), ("0", 429)] {
        let answer = ask(&app, &token, json!({})).await;
        answer
            .assert_status(status)
            .assert_header("anthropic-ratelimit-requests-limit", "2")
            .assert_header("anthropic-ratelimit-requests-remaining", remaining);
        if status == 429 {
            check(&answer, 429, "rate_limit_error", Value::Null, "rate_limit_exceeded");
        }
    }
}
