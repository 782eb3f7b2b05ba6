//! `POST /v1/chat/completions`.

use serde_json::{Value, json};

use super::super::chat_completions::{ChatCompletions, NOT_OFFERED, PASSED_ON};
use super::super::fields::TUNING;
use super::{
    Stream, answered, broken, charging, choices, fields, limited, model_field, most_tokens, not_offered,
    passed, request, streaming, usage, wrong,
};
use crate::domain::Endpoint;
use crate::http::Schema;
use crate::http::operation::{A_MODEL, Body, Example, MESSAGE, Operation, Tag};

const EVENTS: &str = "Server-sent events: a `chat.completion.chunk` for each part, then `[DONE]`. A stream \
                      without `[DONE]` has broken off; its last event is an error.";

fn request_schema() -> Schema {
    let own = fields(json!({
        "model": model_field(),
        "messages": {
            "type": "array", "minItems": 1,
            "description": "The conversation, the oldest message first. Messages are passed with all \
                            of their fields.",
            "items": {
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": {
                        "type": "string",
                        "description": "Such as `system`, `user`, `assistant`, `tool`.",
                    },
                    "content": { "description": "A text, or a list of parts: texts, pictures, recordings." },
                },
            },
        },
        "n": choices(),
        "max_tokens": most_tokens(),
        "max_completion_tokens": most_tokens(),
        "tools": {
            "description": "Tools that the model may call: `function` and `custom`.",
            "items": { "properties": { "type": { "enum": ["function", "custom"] } } },
        },
        "modalities": { "description": "Answers are text.", "enum": [["text"], null] },
        "service_tier": { "description": "Those of the usual price.", "enum": ["auto", "default", null] },
        "store": { "description": "Chats are stored by this server only.", "enum": [false, null] },
    }));
    let passed = passed(TUNING.iter().chain(&PASSED_ON));
    let refused = not_offered(&NOT_OFFERED, &json!([null]));
    let schema = request(&["model", "messages"], [own, streaming(), passed, refused]);
    Schema::named("ChatCompletionRequest", schema)
}

fn answer_schema() -> Schema {
    let choice = json!({
        "type": "object",
        "required": ["index", "message", "finish_reason"],
        "properties": {
            "index": { "type": "integer" },
            "message": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": { "const": "assistant" },
                    "content": { "type": ["string", "null"], "description": "The answer." },
                    "refusal": {
                        "type": ["string", "null"],
                        "description": "Why the model does not answer.",
                    },
                    "tool_calls": { "type": "array", "items": { "type": "object" } },
                },
            },
            "logprobs": { "type": ["object", "null"] },
            "finish_reason": { "type": "string", "description": "Such as `stop`, `length`, `tool_calls`." },
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": { "type": "string", "pattern": "^chatcmpl-[0-9]+$" },
            "object": { "const": "chat.completion" },
            "created": { "type": "integer", "description": "When it was charged, in Unix time." },
            "model": { "type": "string" },
            "choices": { "type": "array", "items": choice },
            "usage": usage(),
        },
    });
    Schema::named("ChatCompletion", schema)
}

fn question(more: &[(&str, Value)]) -> Value {
    let mut body = json!({ "model": A_MODEL, "messages": [{ "role": "user", "content": "Hello" }] });
    for (name, value) in more {
        body[*name] = value.clone();
    }
    body
}

/// Describes the route.
pub(in crate::api) fn describe() -> Operation {
    let answer = json!({
        "id": "chatcmpl-5", "object": "chat.completion", "created": 1_796_198_400, "model": A_MODEL,
        "choices": [{
            "index": 0, "message": { "role": "assistant", "content": "Response to Hello" },
            "logprobs": null, "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14 },
    });
    let chunk = json!({
        "id": "chatcmpl-5", "object": "chat.completion.chunk", "created": 1_796_198_400, "model": A_MODEL,
        "choices": [{
            "index": 0, "delta": { "role": "assistant", "content": "Response to Hello" },
            "logprobs": null, "finish_reason": "stop",
        }],
    });
    let stream = [(MESSAGE, chunk.to_string()), (MESSAGE, "[DONE]".to_owned())];
    let broken = [(MESSAGE, broken().openai_body(Some(Endpoint::ChatCompletions)).to_string())];
    let examples = [
        Example::new("hello", "A message.", question(&[])),
        Example::new("stream", "The answer part by part.", question(&[("stream", true.into())])),
        Example::new("short", "At most 100 tokens.", question(&[("max_tokens", 100.into())])),
    ];
    let faults = [
        ("messages", "give a list of objects with \"role\" and \"content\""),
        ("n", "give a whole number from 1 to 16"),
        ("stream", "give true or false"),
    ];
    let operation = charging::<ChatCompletions>()
        .titled(Tag::OpenAi, "Answer a conversation")
        .about(
            "Chat Completions of OpenAI. Other fields are ignored, unless the model's list in the panel has \
             them.",
        )
        .takes(Body::json(request_schema(), examples))
        .returns(answered(
            answer_schema(),
            answer,
            Stream { meaning: EVENTS, whole: &stream, broken: &broken },
        ))
        .fails(wrong(faults));
    limited(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_parsed_is_described() {
        let schemas = request_schema().named;
        let schema = &schemas["ChatCompletionRequest"];
        let names = TUNING.iter().chain(&PASSED_ON).copied().chain(NOT_OFFERED.map(|(name, _)| name));
        for name in names.chain(super::super::super::chat_completions::READ) {
            assert!(!schema["properties"][name].is_null(), "{name}");
        }
    }
}
