//! `/v1`, as clients of the OpenAI protocol see it.

mod choices;
mod completions;
mod dialects;
mod embeddings;
mod errors;
mod hints;
mod isolation;
mod limits;
mod media;
mod messages;
mod odd_answers;
mod prices;
mod responses;
mod streams;
mod text_completions;

use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

/// Returns a short request with these further fields.
fn question(more: Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn complete(app: &TestApp, token: &str, more: Value) -> Answer {
    app.post("/v1/chat/completions", token, question(more)).await
}
