//! `/v1/responses`, as its clients see it.

mod bounds;
mod chains;
mod items;
mod refusals;
mod resources;
mod streams;
mod tokens;

use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

const PATH: &str = "/v1/responses";

/// Returns a short request with these further fields.
fn request(more: Value) -> Value {
    let mut body = json!({ "model": "m", "input": "hi" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn respond(app: &TestApp, token: &str, more: Value) -> Answer {
    app.post(PATH, token, request(more)).await
}

/// Sends a request under an idempotency key.
async fn keyed(app: &TestApp, token: &str, key: &str, more: Value) -> Answer {
    let keyed = app.request("POST", PATH).bearer(token).header("Idempotency-Key", key);
    keyed.json(&request(more)).send().await
}
