//! `POST /v1/embeddings`.

use serde_json::json;

use super::super::embeddings::{EmbeddingsOfInputs, MOST_DIMENSIONS, PASSED_ON};
use super::{charging, fields, limited, model_field, passed, request, wrong};
use crate::api::receipt;
use crate::error::Error;
use crate::http::Schema;
use crate::http::operation::{A_MODEL, Body, Example, Operation, Success, Tag};
use crate::responder::MOST_INPUTS;

fn request_schema() -> Schema {
    let token = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let own = fields(json!({
        "model": model_field(),
        "input": {
            "description": "A text, tokens, or a list of either, none of them empty.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                {
                    "type": "array", "minItems": 1, "maxItems": MOST_INPUTS,
                    "items": { "type": "string", "minLength": 1 },
                },
                { "type": "array", "minItems": 1, "items": token },
                {
                    "type": "array", "minItems": 1, "maxItems": MOST_INPUTS,
                    "items": { "type": "array", "minItems": 1, "items": token },
                },
            ],
        },
        "dimensions": {
            "type": ["integer", "null"], "minimum": 1, "maximum": MOST_DIMENSIONS,
            "description": "The length of each vector. All together may have 8,388,608 numbers.",
        },
        "encoding_format": {
            "enum": ["float", "base64", null],
            "description": "`base64` has 32-bit floats, little-endian.",
        },
    }));
    Schema::named("EmbeddingRequest", request(&["model", "input"], [own, passed(&PASSED_ON)]))
}

fn answer_schema() -> Schema {
    let vector = json!({
        "type": "object",
        "required": ["object", "index", "embedding"],
        "properties": {
            "object": { "const": "embedding" },
            "index": { "type": "integer" },
            "embedding": {
                "anyOf": [{ "type": "array", "items": { "type": "number" } }, { "type": "string" }],
            },
        },
    });
    let usage = json!({
        "type": "object",
        "required": ["prompt_tokens", "total_tokens"],
        "properties": { "prompt_tokens": { "type": "integer" }, "total_tokens": { "type": "integer" } },
    });
    let schema = json!({
        "type": "object",
        "required": ["object", "data", "model", "usage"],
        "properties": {
            "object": { "const": "list" },
            "data": { "type": "array", "items": vector },
            "model": { "type": "string" },
            "usage": usage,
        },
    });
    Schema::named("Embeddings", schema)
}

/// Describes the route.
pub(in crate::api) fn describe() -> Operation {
    let answer = json!({
        "object": "list",
        "data": [{ "object": "embedding", "index": 0, "embedding": [0.6, -0.8] }],
        "model": A_MODEL,
        "usage": { "prompt_tokens": 2, "total_tokens": 2 },
    });
    let examples = [
        Example::new("text", "A text.", json!({ "model": A_MODEL, "input": "Hello" })),
        Example::new(
            "short",
            "Two texts, in few numbers.",
            json!({ "model": A_MODEL, "input": ["Hello", "Goodbye"], "dimensions": 8 }),
        ),
    ];
    let returned = Success::json(200, "The vectors, in the order of the inputs.", answer_schema(), answer);
    let faults = [
        ("input", "give a text, a list of tokens, or a list of either, none of them empty"),
        ("dimensions", "give a whole number from 1 to 65536"),
    ];
    let operation = charging::<EmbeddingsOfInputs>()
        .titled(Tag::OpenAi, "Make vectors of texts")
        .about("Embeddings of OpenAI. Under a key, vectors of up to 256 KiB are stored for a repeat.")
        .takes(Body::json(request_schema(), examples))
        .returns(receipt::described(returned))
        .fails(wrong(faults))
        .fails([Error::AnswerNotKept]);
    limited(operation)
}
