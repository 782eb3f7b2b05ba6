use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::spawn;
use super::{complete, question};
use crate::support::On;
use crate::support::app::{Answer, GUEST, TestApp};
use crate::support::upstream::status;

/// Checks the form of an error. Returns the message.
#[track_caller]
fn check(answer: &Answer, status: u16, kind: &str, param: Value, code: &str) -> String {
    let body = answer.assert_status(status).json();
    let fields: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["error"]);
    let error = &body["error"];
    assert_eq!(error.as_object().unwrap().len(), 4, "{error}");
    assert_eq!((&error["type"], &error["param"], &error["code"]), (&json!(kind), &param, &json!(code)));
    answer.assert_header("content-type", "application/json");
    error["message"].as_str().unwrap().to_owned()
}

#[rstest]
#[actix_web::test]
async fn an_insufficient_balance_gets_402_and_is_not_to_be_retried(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &["--opening-tokens", "99"]).await else { return };
    for more in [json!({}), json!({ "stream": true })] {
        let answer = complete(&app, &token, more).await;
        let message = check(&answer, 402, "insufficient_quota", Value::Null, "insufficient_quota");
        assert!(message.contains("100") && message.contains("99"), "{message}");
        answer.assert_header("x-should-retry", "false");
        assert_eq!(answer.header("retry-after"), None);
    }
    assert_eq!((app.count("chats"), upstream.requests().len()), (0, 0));
}

#[actix_web::test]
async fn every_error_has_the_protocols_shape() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let path = "/v1/chat/completions";
    for token in [GUEST, "tg_wrong"] {
        let answer = complete(&app, token, json!({ "messages": 7 })).await;
        check(&answer, 401, "authentication_error", Value::Null, "invalid_api_key");
        assert!(answer.header("www-authenticate").is_some());
    }
    let in_body = app.post(path, GUEST, question(json!({ "token": token }))).await;
    check(&in_body, 401, "authentication_error", Value::Null, "invalid_api_key");

    let invalid = "invalid_request_error";
    let broken_json = app.request("POST", path).bearer(&token).body("{").send().await;
    check(&broken_json, 400, invalid, json!("body"), "invalid_field");
    let answer = complete(&app, &token, json!({ "messages": [] })).await;
    check(&answer, 400, invalid, json!("messages"), "invalid_field");
    let answer = complete(&app, &token, json!({ "n": 17 })).await;
    check(&answer, 400, invalid, json!("n"), "invalid_field");
    let answer = complete(&app, &token, json!({ "model": "gpt-9" })).await;
    let message = check(&answer, 404, invalid, json!("model"), "model_not_found");
    assert!(message.contains("`gpt-9`"), "{message}");
    check(&app.get("/v1/models/gpt-9", &token).await, 404, invalid, json!("model"), "model_not_found");
    check(&app.get("/v1/nothing", &token).await, 404, invalid, Value::Null, "unknown_url");
    check(&app.get(path, &token).await, 405, invalid, Value::Null, "method_not_allowed");
    let text = app.request("POST", path).bearer(&token).header("Content-Type", "text/plain").body("{}");
    let answer = text.send().await;
    let message = check(&answer, 415, invalid, Value::Null, "unsupported_media_type");
    assert!(message.contains("application/json"), "{message}");
    answer.assert_header("accept", "application/json");
    // Even clients that ask for problem details, which the rest of the API has, get this format.
    let problem = app.request("GET", "/v1/models").header("Accept", "application/problem+json").send().await;
    check(&problem, 401, "authentication_error", Value::Null, "invalid_api_key");
}

#[rstest]
#[case(500, 502, "server_error", "responder_failed")]
#[case(401, 502, "server_error", "responder_failed")]
#[case(400, 400, "invalid_request_error", "request_refused")]
#[actix_web::test]
async fn an_upstreams_error_is_reported_in_our_own_words(
    #[case] theirs: u16,
    #[case] ours: u16,
    #[case] kind: &str,
    #[case] code: &str,
) {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    for more in [json!({}), json!({ "stream": true })] {
        upstream.next(status(
            theirs,
            &[("content-type", "application/json")],
            r#"{"error":{"message":"secret"}}"#,
        ));
        let answer = complete(&app, &token, more).await;
        check(&answer, ours, kind, Value::Null, code);
        assert!(!answer.text().contains("secret"));
    }
    assert_eq!(app.balance(&token).await, 4000);
}

#[actix_web::test]
async fn an_idempotency_key_works_as_on_chat() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let ask = async |more: Value| {
        let request =
            app.request("POST", "/v1/chat/completions").bearer(&token).header("Idempotency-Key", "one");
        request.json(&question(more)).send().await
    };
    let first = ask(json!({ "model": "dummy" })).await;
    let again =
        ask(json!({ "model": "dummy", "stream": false, "stream_options": { "include_usage": true } })).await;
    assert_eq!(again.assert_header("idempotency-replayed", "true").json(), first.json());
    let other = ask(json!({ "model": "dummy", "temperature": 0.5 })).await;
    check(&other, 422, "invalid_request_error", Value::Null, "idempotency_key_reused");
    assert_eq!(app.balance(&token).await, 3900);
}
