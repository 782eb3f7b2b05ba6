//! `POST /v1/completions`.

use serde_json::{Value, json};

use super::super::completions::{Completions, PASSED_ON};
use super::super::fields::TUNING;
use super::{
    Stream, answered, broken, charging, choices, fields, limited, model_field, most_tokens, passed, request,
    streaming, usage, wrong,
};
use crate::domain::Endpoint;
use crate::http::Schema;
use crate::http::operation::{A_MODEL, Body, Example, MESSAGE, Operation, Tag};
use crate::responder::MOST_CHOICES;

const EVENTS: &str = "Server-sent events: a `text_completion` for each part, then `[DONE]`. A stream without \
                      `[DONE]` has broken off; its last event is an error.";

fn request_schema() -> Schema {
    let token = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let own = fields(json!({
        "model": model_field(),
        "prompt": {
            "description": "What is continued: a text, tokens, or a list of either, each with its own \
                            answers.",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "minItems": 1, "maxItems": MOST_CHOICES, "items": { "type": "string" } },
                { "type": "array", "minItems": 1, "items": token },
                {
                    "type": "array", "minItems": 1, "maxItems": MOST_CHOICES,
                    "items": { "type": "array", "items": token },
                },
            ],
        },
        "suffix": { "type": ["string", "null"], "description": "What follows the answer." },
        "n": choices(),
        "max_tokens": most_tokens(),
        "max_completion_tokens": most_tokens(),
        "logprobs": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 20,
            "description": "How many alternatives to each token are returned, with their log probabilities.",
        },
        "echo": { "description": "The answer never has the prompt.", "enum": [false, null] },
        "best_of": { "type": ["integer", "null"], "maximum": MOST_CHOICES, "description": "At most `n`." },
    }));
    let schema = request(&["model", "prompt"], [own, streaming(), passed(TUNING.iter().chain(&PASSED_ON))]);
    Schema::named("CompletionRequest", schema)
}

fn answer_schema() -> Schema {
    let choice = json!({
        "type": "object",
        "required": ["text", "index", "logprobs", "finish_reason"],
        "properties": {
            "text": { "type": "string", "description": "What the model wrote." },
            "index": { "type": "integer" },
            "logprobs": { "type": ["object", "null"] },
            "finish_reason": { "type": ["string", "null"], "description": "Such as `stop` or `length`." },
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": { "type": "string", "pattern": "^cmpl-[0-9]+$" },
            "object": { "const": "text_completion" },
            "created": { "type": "integer", "description": "When it was charged, in Unix time." },
            "model": { "type": "string" },
            "choices": { "type": "array", "items": choice },
            "usage": usage(),
        },
    });
    Schema::named("Completion", schema)
}

/// Returns an answer, or a part of one. They differ only in the usage.
fn answer() -> Value {
    json!({
        "id": "cmpl-6", "object": "text_completion", "created": 1_796_198_400, "model": A_MODEL,
        "choices": [{ "text": "Response to Once", "index": 0, "logprobs": null, "finish_reason": "stop" }],
    })
}

/// Describes the route.
pub(in crate::api) fn describe() -> Operation {
    let mut whole = answer();
    whole["usage"] = json!({ "prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5 });
    let stream = [(MESSAGE, answer().to_string()), (MESSAGE, "[DONE]".to_owned())];
    let broken = [(MESSAGE, broken().openai_body(Some(Endpoint::Completions)).to_string())];
    let example = json!({ "model": A_MODEL, "prompt": "Once" });
    let faults = [
        ("prompt", "give a text, a list of tokens, or a list of either, with at least one"),
        ("best_of", "leave it out, or give the same as `n`"),
    ];
    let operation = charging::<Completions>()
        .titled(Tag::OpenAi, "Continue a text")
        .about("Completions of OpenAI. All prompts together may have 16 answers.")
        .takes(Body::json(request_schema(), [Example::new("once", "A text.", example)]))
        .returns(answered(
            answer_schema(),
            whole,
            Stream { meaning: EVENTS, whole: &stream, broken: &broken },
        ))
        .fails(wrong(faults));
    limited(operation)
}
