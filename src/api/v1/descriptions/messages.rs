//! `POST /v1/messages` and `POST /v1/messages/count_tokens`.

use serde_json::{Map, Value, json};

use super::super::messages::{IGNORED, Messages, NOT_OFFERED};
use super::{
    Stream, answered, anthropic_version, broken, charging, counting, fields, limited, model_field,
    not_offered, request, wrong,
};
use crate::http::Schema;
use crate::http::operation::{A_MODEL, Body, Example, Operation, Success, Tag};

const EVENTS: &str = "Server-sent events as the protocol has them: `message_start`, the blocks, `message_delta` \
                      and `message_stop`, with a `ping` in silences. A stream that breaks off ends with `error`.";

/// The headers that only this protocol has.
const LIMITS: [&str; 3] = [
    "Anthropic-RateLimit-Requests-Limit",
    "Anthropic-RateLimit-Requests-Remaining",
    "Anthropic-RateLimit-Requests-Reset",
];

/// Returns the fields that both routes take.
fn own() -> Map<String, Value> {
    let number = json!({ "type": ["number", "null"], "description": "Passed to the model." });
    let texts =
        json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "object" } }] });
    fields(json!({
        "model": model_field(),
        "messages": {
            "type": "array", "minItems": 1,
            "description": "The conversation, the oldest message first.",
            "items": {
                "type": "object",
                "required": ["role", "content"],
                "properties": { "role": { "enum": ["user", "assistant", "system"] }, "content": texts },
            },
        },
        "system": {
            "description": "Instructions: a text, or blocks of text.",
            "type": ["string", "array", "null"], "items": { "type": "object" },
        },
        "stream": { "type": ["boolean", "null"], "description": "Whether the answer comes part by part." },
        "temperature": number,
        "top_p": number,
        "top_k": number,
        "stop_sequences": {
            "type": ["array", "null"], "items": { "type": "string" },
            "description": "Texts that end the answer.",
        },
        "tools": {
            "type": ["array", "null"],
            "description": "Tools that your program runs.",
            "items": {
                "type": "object",
                "required": ["name", "input_schema"],
                "properties": {
                    "type": { "enum": ["custom", null] },
                    "name": { "type": "string", "minLength": 1 },
                    "description": {},
                    "input_schema": { "type": "object" },
                },
            },
        },
        "tool_choice": { "type": ["object", "null"], "description": "Of the type auto, any, tool or none." },
        "thinking": {
            "type": ["object", "null"], "required": ["type"],
            "properties": { "type": { "enum": ["enabled", "adaptive", "disabled"] } },
            "description": "Whether the answer shows what the model thought.",
        },
        "output_config": { "type": ["object", "null"], "description": "`effort` and `format`." },
        "output_format": { "type": ["object", "null"], "description": "The older name of the format." },
        "metadata": {
            "type": ["object", "null"], "properties": { "user_id": { "type": ["string", "null"] } },
            "description": "`user_id` is passed to the model.",
        },
        "service_tier": { "enum": ["auto", "standard_only", null], "description": "Ignored." },
        "speed": { "enum": ["standard", null], "description": "Ignored." },
        "context_management": { "description": "Only edits clear_thinking_… are accepted, and ignored." },
    }))
}

fn ignored() -> Map<String, Value> {
    IGNORED.into_iter().map(|name| (name.to_owned(), json!({ "description": "Ignored." }))).collect()
}

fn request_schema() -> Schema {
    let most = fields(json!({
        "max_tokens": {
            "type": "integer", "minimum": 1,
            "description": "The most tokens of the answer. The model's limit holds if it is lower.",
        },
    }));
    let refused = not_offered(&NOT_OFFERED, &json!([null, []]));
    let schema = request(&["model", "max_tokens", "messages"], [own(), most, ignored(), refused]);
    Schema::named("MessagesRequest", schema)
}

fn countable_schema() -> Schema {
    let refused = not_offered(&NOT_OFFERED, &json!([null, []]));
    Schema::named("CountTokensRequest", request(&["model", "messages"], [own(), ignored(), refused]))
}

fn answer_schema() -> Schema {
    let block = json!({
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": { "enum": ["thinking", "text", "tool_use"] },
            "text": { "type": "string" },
            "thinking": { "type": "string" },
            "id": { "type": "string" },
            "name": { "type": "string" },
            "input": { "type": "object" },
        },
    });
    let usage = json!({
        "type": "object",
        "required": ["input_tokens", "output_tokens"],
        "properties": {
            "input_tokens": { "type": "integer", "description": "Those of the prompt that no cache had." },
            "cache_creation_input_tokens": { "type": "integer" },
            "cache_read_input_tokens": { "type": "integer" },
            "output_tokens": { "type": "integer" },
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"],
        "properties": {
            "id": { "type": "string", "pattern": "^msg_[0-9]+$" },
            "type": { "const": "message" },
            "role": { "const": "assistant" },
            "model": { "type": "string" },
            "content": { "type": "array", "items": block },
            "stop_reason": { "enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"] },
            "stop_sequence": { "type": ["string", "null"] },
            "usage": usage,
        },
    });
    Schema::named("MessageAnswer", schema)
}

fn message() -> Value {
    json!({ "model": A_MODEL, "messages": [{ "role": "user", "content": "Hello" }] })
}

/// Returns the events of an answer.
fn stream_of(answer: &Value) -> Vec<(&'static str, String)> {
    let mut begun = answer.clone();
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    begun["usage"]["output_tokens"] = 0.into();
    let block = json!({ "type": "text", "text": "" });
    let delta = json!({ "type": "text_delta", "text": answer["content"][0]["text"] });
    let end = json!({ "stop_reason": answer["stop_reason"], "stop_sequence": null });
    let events = [
        ("message_start", json!({ "message": begun })),
        ("ping", json!({})),
        ("content_block_start", json!({ "index": 0, "content_block": block })),
        ("content_block_delta", json!({ "index": 0, "delta": delta })),
        ("content_block_stop", json!({ "index": 0 })),
        ("message_delta", json!({ "delta": end, "usage": answer["usage"] })),
        ("message_stop", json!({})),
    ];
    let typed = |(name, mut data): (&'static str, Value)| {
        data["type"] = name.into();
        (name, data.to_string())
    };
    events.into_iter().map(typed).collect()
}

/// Describes `POST /v1/messages`.
pub(in crate::api) fn describe() -> Operation {
    let (mut hello, mut stream) = (message(), message());
    hello["max_tokens"] = 100.into();
    stream["max_tokens"] = 100.into();
    stream["stream"] = true.into();
    let usage = json!({
        "input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 5,
    });
    let answer = json!({
        "id": "msg_7", "type": "message", "role": "assistant", "model": A_MODEL,
        "content": [{ "type": "text", "text": "Response to Hello" }],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    });
    let (events, broken) = (stream_of(&answer), [("error", broken().anthropic_body(None).to_string())]);
    let examples = [
        Example::new("hello", "A message.", hello),
        Example::new("stream", "The answer part by part.", stream),
    ];
    let faults = [
        ("max_tokens", "give a whole number above 0"),
        ("messages", "give a list of objects with \"role\" and \"content\""),
    ];
    let operation = charging::<Messages>()
        .titled(Tag::Anthropic, "Answer a conversation")
        .about("Messages of Anthropic, for any model on offer.")
        .with([anthropic_version("May have any value, or be missing.")])
        .takes(Body::json(request_schema(), examples))
        .returns(answered(
            answer_schema(),
            answer,
            Stream { meaning: EVENTS, whole: &events, broken: &broken },
        ))
        .fails(wrong(faults));
    limited(operation).perhaps_with(&LIMITS)
}

/// Describes `POST /v1/messages/count_tokens`.
pub(in crate::api) fn describe_count() -> Operation {
    let number = json!({ "type": "integer", "minimum": 0 });
    let schema =
        json!({ "type": "object", "required": ["input_tokens"], "properties": { "input_tokens": number } });
    let schema = Schema::named("CountedTokens", schema);
    let counted = Success::json(200, "The most tokens of the prompt.", schema, json!({ "input_tokens": 90 }));
    let operation = counting::<Messages>()
        .titled(Tag::Anthropic, "Count the tokens of a prompt")
        .with([anthropic_version("May have any value, or be missing.")])
        .takes(Body::json(countable_schema(), [Example::new("hello", "A message.", message())]))
        .returns(counted.with(&["X-Token-Count"]))
        .fails(wrong([("messages", "give a list of objects with \"role\" and \"content\"")]));
    limited(operation).perhaps_with(&LIMITS)
}
