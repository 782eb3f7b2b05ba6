//! `/v1/messages`, as clients of Anthropic's protocol see it.

mod aliases;
mod errors;
mod models;
mod plain;
mod streams;
mod tokens;

use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

/// Returns a short request with these further fields.
fn question(more: Value) -> Value {
    let mut body =
        json!({ "model": "m", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn ask(app: &TestApp, token: &str, more: Value) -> Answer {
    app.post("/v1/messages", token, question(more)).await
}

/// Asks under an idempotency key.
async fn ask_under(app: &TestApp, token: &str, key: &str, more: Value) -> Answer {
    let request = app.request("POST", "/v1/messages").bearer(token).header("Idempotency-Key", key);
    request.json(&question(more)).send().await
}
