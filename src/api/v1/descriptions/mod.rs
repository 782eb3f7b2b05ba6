//! What the routes under `/v1` take and return. The fields come from the tables by which requests
//! are parsed. A field that is passed to the model has no type here: what it may be is up to the
//! upstream.

pub(in crate::api) mod chat_completions;
pub(in crate::api) mod completions;
pub(in crate::api) mod embeddings;
pub(in crate::api) mod messages;
pub(in crate::api) mod models;
pub(in crate::api) mod responses;

use serde_json::{Map, Value, json};

use super::count::{Countable, count_tokens};
use super::dialect::{Dialect, create};
use super::fields::{MODEL_LENGTH, invalid, model};
use crate::api::answer::errors_of_answers;
use crate::api::{idempotency, large_body, receipt};
use crate::domain::FailureReason;
use crate::error::Error;
use crate::http::Schema;
use crate::http::operation::{Content, Operation, Parameter, Success};
use crate::responder::MOST_CHOICES;

/// The headers that say what is left of the limits.
const LIMITS: [&str; 3] =
    ["X-RateLimit-Limit-Requests", "X-RateLimit-Remaining-Requests", "X-RateLimit-Reset-Requests"];

/// Describes a route that charges. Call [`limited`] at the end.
fn charging<D: Dialect>() -> Operation {
    let repeat =
        "For 24 hours the same request under the same key returns the stored answer, and is not charged.";
    Operation::of(create::<D>)
        .with([idempotency::parameter(repeat)])
        .fails(large_body::errors())
        .fails(model(None).err())
        .fails(idempotency::errors())
        .fails(errors_of_answers())
}

/// Describes a route that counts tokens. Call [`limited`] at the end.
fn counting<D: Countable>() -> Operation {
    Operation::of(count_tokens::<D>)
        .about(
            "The number is a bound, and what is held for a prompt with a price by usage. Counting is free.",
        )
        .fails(large_body::errors())
        .fails(model(None).err())
        .fails([Error::ModelNotFound("gpt-9".to_owned())])
}

/// Adds the headers of the limits to all responses.
fn limited(operation: Operation) -> Operation {
    operation.perhaps_with(&LIMITS)
}

/// What a stream is like.
struct Stream<'a> {
    /// Which events there are.
    meaning: &'a str,
    /// The events of a short answer.
    whole: &'a [(&'a str, String)],
    /// The last events of a stream that broke off.
    broken: &'a [(&'a str, String)],
}

/// Makes the response of a route that charges: the whole answer, or its parts.
fn answered(schema: Schema, example: Value, stream: Stream<'_>) -> Success {
    let whole = Success::json(200, "The answer, whole or part by part.", schema, example);
    let parts = Content::events(stream.meaning, stream.whole, stream.broken);
    receipt::described(whole.or(parts).perhaps_with(&["X-Accel-Buffering"]))
}

/// Returns the error of a stream that broke off.
fn broken() -> Error {
    Error::ResponderFailed(FailureReason::ServerError)
}

/// Makes the header by which clients of Anthropic's protocol are known.
fn anthropic_version(meaning: &'static str) -> Parameter {
    Parameter::header("anthropic-version", meaning, json!({ "type": "string" }))
}

/// Describes the field `model`.
fn model_field() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": MODEL_LENGTH,
        "description": "One of the models that GET /v1/models lists.",
    })
}

/// Describes fields that are passed to the model unchanged.
fn passed<'a>(names: impl IntoIterator<Item = &'a &'static str>) -> Map<String, Value> {
    let field = |name: &&'static str| ((*name).to_owned(), json!({ "description": "Passed to the model." }));
    names.into_iter().map(field).collect()
}

/// Describes fields that are not offered. `nothing` has the values that are ignored, because they
/// ask for nothing.
fn not_offered(fields: &[(&str, &str)], nothing: &Value) -> Map<String, Value> {
    let reason = |reason: &str| format!("Not offered: {reason}.");
    let field = |(name, why): &(&str, &str)| {
        ((*name).to_owned(), json!({ "description": reason(why), "enum": nothing }))
    };
    fields.iter().map(field).collect()
}

/// Puts the fields of a request together. Of several with the same name, the first one counts.
fn request(required: &[&str], groups: impl IntoIterator<Item = Map<String, Value>>) -> Value {
    let mut properties = Map::new();
    for (name, schema) in groups.into_iter().flatten() {
        properties.entry(name).or_insert(schema);
    }
    json!({ "type": "object", "required": required, "properties": properties })
}

/// Returns the fields of an object that is written out.
fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Describes a limit on the tokens of an answer.
fn most_tokens() -> Value {
    json!({
        "type": ["integer", "null"], "minimum": -1,
        "description": "The most tokens of the answer. 0 and -1 mean no limit of your own.",
    })
}

/// Describes `n`, the number of answers.
fn choices() -> Value {
    json!({
        "type": ["integer", "null"], "minimum": 1, "maximum": MOST_CHOICES,
        "description": "The number of answers. Each is charged.",
    })
}

/// Describes the fields that ask for a stream.
fn streaming() -> Map<String, Value> {
    fields(json!({
        "stream": { "type": ["boolean", "null"], "description": "Whether the answer comes part by part." },
        "stream_options": {
            "type": ["object", "null"],
            "properties": {
                "include_usage": {
                    "type": ["boolean", "null"],
                    "description": "Whether a stream ends with the tokens that were used.",
                },
            },
        },
    }))
}

/// Describes the tokens that an answer of OpenAI's older protocols used.
fn usage() -> Value {
    json!({
        "type": "object",
        "required": ["prompt_tokens", "total_tokens"],
        "properties": {
            "prompt_tokens": { "type": "integer", "description": "Tokens of the prompt." },
            "completion_tokens": { "type": "integer", "description": "Tokens of the answer." },
            "total_tokens": { "type": "integer", "description": "Both together." },
            "prompt_tokens_details": { "type": "object", "description": "Such as `cached_tokens`." },
            "completion_tokens_details": { "type": "object", "description": "Such as `reasoning_tokens`." },
        },
    })
}

/// Makes the errors of fields.
fn wrong<const N: usize>(faults: [(&'static str, &str); N]) -> [Error; N] {
    faults.map(|(field, reason)| invalid(field, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_fields_with_one_name_the_first_counts() {
        let groups = [fields(json!({ "b": { "type": "string" } })), passed(["a", "b"].iter())];
        let schema = request(&["a"], groups);
        assert_eq!(schema["properties"]["a"]["description"], "Passed to the model.");
        assert_eq!(schema["properties"]["b"], json!({ "type": "string" }));
        let refused = not_offered(&[("c", "leave it out")], &json!([null]));
        assert_eq!(refused["c"], json!({ "description": "Not offered: leave it out.", "enum": [null] }));
    }
}
