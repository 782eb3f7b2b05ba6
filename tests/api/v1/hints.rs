//! Options that only tune an answer, and models that reject them.

use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::spawn;
use crate::support::On;
use crate::support::upstream::{answer, status};

const REJECTED: &str = r#"{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","type":"invalid_request_error","param":"reasoning_effort","code":null}}"#;

/// Returns a request with an effort, as the clients of each dialect send it by default.
fn requests() -> [(&'static str, Value); 2] {
    [
        ("/v1/responses", json!({ "model": "m", "input": "hi", "reasoning": { "effort": "high" } })),
        (
            "/v1/messages",
            json!({ "model": "m", "max_tokens": 10, "messages": [{ "role": "user", "content": "hi" }],
                "output_config": { "effort": "high" } }),
        ),
    ]
}

#[rstest]
#[actix_web::test]
async fn a_model_that_rejects_an_effort_is_asked_without(#[values(On::Sqlite, On::Postgres)] on: On) {
    for (path, body) in requests() {
        let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
        upstream.next(status(400, &[], REJECTED));
        for _ in 0..2 {
            upstream.next(answer("Hello", 5, 1));
            app.post(path, &token, body.clone())
                .await
                .assert_status(200)
                .assert_header("x-tokens-charged", "100");
        }
        let efforts: Vec<_> =
            upstream.requests().iter().map(|request| request.body.get("reasoning_effort").cloned()).collect();
        assert_eq!(efforts, [Some(json!("high")), None, None], "{path}: it is asked once");
    }
}

/// What a client of chat completions asks for, it asks for on purpose.
#[actix_web::test]
async fn a_chat_completion_keeps_its_effort() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    upstream.next(status(400, &[], REJECTED));
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let body = json!({ "model": "m", "messages": messages, "reasoning_effort": "high" });
    let error = app.post("/v1/chat/completions", &token, body).await.assert_status(400).json();
    assert_eq!(error["error"]["param"], "reasoning_effort");
    assert_eq!(upstream.requests().len(), 1);
}
