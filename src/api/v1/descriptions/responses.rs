//! `POST /v1/responses` and the routes below it.

use serde_json::{Map, Value, json};

use super::super::responses::resource::{delete, input_items, show};
use super::super::responses::{INCLUDED, NEVER_THERE, NOT_OFFERED, Responses};
use super::{
    Stream, answered, broken, charging, counting, fields, limited, model_field, most_tokens, not_offered,
    request, wrong,
};
use crate::domain::Endpoint;
use crate::error::Error;
use crate::http::Schema;
use crate::http::operation::{A_MODEL, Body, Example, MESSAGE, Operation, Parameter, Success, Tag};

const EVENTS: &str = "Server-sent events as OpenAI's libraries read them, each with its `sequence_number`, \
                      then `[DONE]`. A stream that breaks off ends with `error`, `response.failed` and `[DONE]`.";

/// Returns the fields that both routes take.
fn own() -> Map<String, Value> {
    let text = json!({ "type": ["string", "null"], "description": "Passed to the model." });
    let number = json!({ "type": ["number", "null"], "description": "Passed to the model." });
    let included: Vec<&str> = INCLUDED.into_iter().chain(NEVER_THERE).collect();
    fields(json!({
        "model": model_field(),
        "input": {
            "description": "What you say: a text, or a list of items. It may be missing if the request \
                            continues a response.",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "object" } },
                { "type": "null" },
            ],
        },
        "instructions": { "type": ["string", "null"], "description": "The first message to the model." },
        "stream": { "type": ["boolean", "null"], "description": "Whether the answer comes part by part." },
        "stream_options": { "description": "Ignored." },
        "max_output_tokens": most_tokens(),
        "tools": {
            "type": ["array", "null"],
            "description": "Tools that the model may call: `function`, `custom`, `namespace`. Others are \
                            left out.",
            "items": {
                "type": "object", "required": ["type"], "properties": { "type": { "type": "string" } },
            },
        },
        "tool_choice": {
            "description": "How the model is to choose among the tools.",
            "anyOf": [{ "enum": ["auto", "none", "required", null] }, { "type": "object" }],
        },
        "parallel_tool_calls": { "type": ["boolean", "null"] },
        "max_tool_calls": { "description": "Ignored." },
        "text": { "type": ["object", "null"], "description": "`format` and `verbosity`." },
        "reasoning": { "type": ["object", "null"], "description": "`effort` and `summary`." },
        "include": {
            "type": ["array", "null"], "items": { "enum": included }, "description": "What else is returned.",
        },
        "top_logprobs": { "type": ["integer", "null"], "minimum": 0, "maximum": 20 },
        "truncation": {
            "enum": ["auto", "disabled", null],
            "description": "Whether old turns may be left out of a conversation that is too long.",
        },
        "metadata": {
            "type": ["object", "null"], "maxProperties": 16,
            "propertyNames": { "maxLength": 64 },
            "additionalProperties": { "type": "string", "maxLength": 512 },
            "description": "Repeated in the response.",
        },
        "temperature": number,
        "top_p": number,
        "presence_penalty": number,
        "frequency_penalty": number,
        "user": text,
        "safety_identifier": text,
        "prompt_cache_key": text,
        "prompt_cache_retention": text,
        "service_tier": { "enum": ["auto", "default", null], "description": "Those of the usual price." },
    }))
}

fn request_schema() -> Schema {
    let more = fields(json!({
        "store": {
            "type": ["boolean", "null"],
            "description": "Whether the response is stored. If it is missing, it is, unless it is large.",
        },
        "previous_response_id": {
            "type": ["string", "null"], "pattern": "^resp_(0|[1-9][0-9]{0,17})$",
            "description": "The response of yours that this one continues.",
        },
    }));
    let refused = not_offered(&NOT_OFFERED, &json!([false, null, []]));
    Schema::named("ResponseRequest", request(&["model"], [own(), more, refused]))
}

fn countable_schema() -> Schema {
    let more = fields(json!({
        "previous_response_id": {
            "type": "null",
            "description": "Not offered here: give the whole conversation.",
        },
    }));
    let refused = not_offered(&NOT_OFFERED, &json!([false, null, []]));
    Schema::named("InputTokensRequest", request(&["model", "input"], [own(), more, refused]))
}

/// Returns the schema of a response. It also repeats fields of its request.
fn response_schema() -> Schema {
    let item = json!({
        "type": "object",
        "required": ["id", "type", "status"],
        "properties": {
            "id": { "type": "string" },
            "type": { "enum": ["message", "reasoning", "function_call", "custom_tool_call"] },
            "status": { "enum": ["completed", "incomplete", "in_progress"] },
        },
    });
    let usage = json!({
        "type": ["object", "null"],
        "required": ["input_tokens", "output_tokens", "total_tokens"],
        "properties": {
            "input_tokens": { "type": "integer" },
            "output_tokens": { "type": "integer" },
            "total_tokens": { "type": "integer" },
        },
    });
    let schema = json!({
        "type": "object",
        "description": "It also repeats what the request said about the answer.",
        "required": [
            "id", "object", "created_at", "completed_at", "status", "error", "model", "output", "usage",
        ],
        "properties": {
            "id": { "type": "string", "pattern": "^resp_[0-9]+$" },
            "object": { "const": "response" },
            "created_at": { "type": "integer", "description": "When it was charged, in Unix time." },
            "completed_at": { "type": ["integer", "null"] },
            "status": { "enum": ["completed", "incomplete", "failed", "in_progress"] },
            "error": { "type": ["object", "null"] },
            "incomplete_details": { "type": ["object", "null"] },
            "model": { "type": "string" },
            "output": { "type": "array", "items": item },
            "usage": usage,
        },
    });
    Schema::named("Response", schema)
}

fn response() -> Value {
    json!({
        "id": "resp_8", "object": "response", "created_at": 1_796_198_400, "completed_at": 1_796_198_401,
        "status": "completed", "error": null, "incomplete_details": null, "model": A_MODEL,
        "output": [{
            "id": "msg_8_0", "type": "message", "status": "completed", "role": "assistant",
            "content": [{
                "type": "output_text", "text": "Response to Hello", "annotations": [], "logprobs": [],
            }],
        }],
        "usage": {
            "input_tokens": 9, "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
            "output_tokens": 5, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 14,
        },
    })
}

/// Numbers events, from `first` on, and writes them.
fn numbered(first: u64, events: Vec<(&'static str, Value)>) -> Vec<(&'static str, String)> {
    let numbered = |(number, (name, mut data)): (u64, (&'static str, Value))| {
        data["type"] = name.into();
        data["sequence_number"] = number.into();
        (name, data.to_string())
    };
    let mut written: Vec<_> = (first..).zip(events).map(numbered).collect();
    written.push((MESSAGE, "[DONE]".to_owned()));
    written
}

/// Returns the events of an answer.
fn stream_of(response: Value) -> Vec<(&'static str, String)> {
    let item = response["output"][0].clone();
    let (id, part) = (item["id"].clone(), item["content"][0].clone());
    let begun = json!({ "response": in_state("in_progress", Value::Null) });
    let (mut empty_item, mut empty_part) = (item.clone(), part.clone());
    empty_item["status"] = "in_progress".into();
    empty_item["content"] = json!([]);
    empty_part["text"] = "".into();
    let at = |more: Value| {
        let mut data = fields(json!({ "item_id": id, "output_index": 0, "content_index": 0 }));
        data.extend(fields(more));
        Value::from(data)
    };
    let text = &part["text"];
    numbered(
        0,
        vec![
            ("response.created", begun.clone()),
            ("response.in_progress", begun),
            ("response.output_item.added", json!({ "output_index": 0, "item": empty_item })),
            ("response.content_part.added", at(json!({ "part": empty_part }))),
            ("response.output_text.delta", at(json!({ "delta": text, "logprobs": [] }))),
            ("response.output_text.done", at(json!({ "text": text, "logprobs": [] }))),
            ("response.content_part.done", at(json!({ "part": part }))),
            ("response.output_item.done", json!({ "output_index": 0, "item": item })),
            ("response.completed", json!({ "response": response })),
        ],
    )
}

/// Returns a response without an answer.
fn in_state(status: &str, error: Value) -> Value {
    let mut state = response();
    state["status"] = status.into();
    state["error"] = error;
    state["output"] = json!([]);
    state["completed_at"] = Value::Null;
    state["usage"] = Value::Null;
    state
}

/// Returns the last events of a stream that broke off.
fn broken_end() -> Vec<(&'static str, String)> {
    let error = broken().openai_body(Some(Endpoint::Responses))["error"].take();
    let why = json!({ "code": error["code"], "message": error["message"] });
    let failed = json!({ "response": in_state("failed", why) });
    numbered(5, vec![("error", json!({ "error": error })), ("response.failed", failed)])
}

/// Makes the parameter `{id}` of the routes below.
fn id() -> Parameter {
    let schema = json!({ "type": "string", "pattern": "^resp_(0|[1-9][0-9]{0,17})$" });
    Parameter::path("id", "The id of one of your stored responses.", schema, "resp_8".into())
}

/// Describes `POST /v1/responses`.
pub(in crate::api) fn describe() -> Operation {
    let hello = json!({ "model": A_MODEL, "input": "Hello" });
    let stream = json!({ "model": A_MODEL, "input": "Hello", "stream": true });
    let (whole, broken) = (stream_of(response()), broken_end());
    let examples = [
        Example::new("hello", "A message.", hello),
        Example::new("stream", "The answer part by part.", stream),
    ];
    let faults = [("input", "give a text, or a list of items"), ("stream", "give true or false")];
    let operation = charging::<Responses>()
        .titled(Tag::OpenAi, "Answer an input")
        .about("Responses of OpenAI and Open Responses. A stored response can be continued and looked up.")
        .takes(Body::json(request_schema(), examples))
        .returns(answered(
            response_schema(),
            response(),
            Stream { meaning: EVENTS, whole: &whole, broken: &broken },
        ))
        .fails(wrong(faults))
        .fails([Error::PreviousResponseNotFound(17)]);
    limited(operation)
}

/// Describes `POST /v1/responses/input_tokens`.
pub(in crate::api) fn describe_count() -> Operation {
    let number = json!({ "type": "integer", "minimum": 0 });
    let schema = Schema::named(
        "InputTokens",
        json!({
            "type": "object",
            "required": ["object", "input_tokens"],
            "properties": { "object": { "const": "response.input_tokens" }, "input_tokens": number },
        }),
    );
    let example = json!({ "object": "response.input_tokens", "input_tokens": 90 });
    let counted = Success::json(200, "The most tokens of the input.", schema, example);
    let hello = Example::new("hello", "A message.", json!({ "model": A_MODEL, "input": "Hello" }));
    let operation = counting::<Responses>()
        .titled(Tag::OpenAi, "Count the tokens of an input")
        .takes(Body::json(countable_schema(), [hello]))
        .returns(counted.with(&["X-Token-Count"]))
        .fails(wrong([("input", "give a text, or a list of items")]));
    limited(operation)
}

/// Describes `GET /v1/responses/{id}`.
pub(in crate::api) fn describe_show() -> Operation {
    Operation::of(show)
        .titled(Tag::OpenAi, "See a stored response")
        .about("As it was returned when it was made. It is never streamed.")
        .with([Parameter::query(
            "stream",
            "Only `true` is refused.",
            json!({ "not": { "enum": ["true", true] } }),
        )])
        .with([id()])
        .returns(Success::json(200, "The response.", response_schema(), response()))
        .fails(wrong([("stream", "leave it out: stored responses are returned whole")]))
        .fails([Error::NotFound])
}

/// Describes `DELETE /v1/responses/{id}`.
pub(in crate::api) fn describe_delete() -> Operation {
    let schema = Schema::named(
        "DeletedResponse",
        json!({
            "type": "object",
            "required": ["id", "object", "deleted"],
            "properties": {
                "id": { "type": "string" }, "object": { "const": "response" }, "deleted": { "const": true },
            },
        }),
    );
    let deleted = json!({ "id": "resp_8", "object": "response", "deleted": true });
    Operation::of(delete)
        .titled(Tag::OpenAi, "Delete a stored response")
        .about("The chat stays in your history.")
        .with([id()])
        .returns(Success::json(200, "It is deleted.", schema, deleted))
        .fails([Error::NotFound])
}

/// Describes `GET /v1/responses/{id}/input_items`.
pub(in crate::api) fn describe_input_items() -> Operation {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 });
    let parameters = [
        id(),
        Parameter::query("limit", "Items of a page.", limit),
        Parameter::query(
            "after",
            "The id of an item: the page begins after it.",
            json!({ "type": "string" }),
        ),
        Parameter::query("order", "The last item first, or the first.", json!({ "enum": ["asc", "desc"] })),
    ];
    let item = json!({
        "type": "object",
        "required": ["id", "type"],
        "properties": { "id": { "type": "string" }, "type": { "type": "string" } },
    });
    let place = json!({ "type": ["string", "null"] });
    let schema = Schema::named(
        "InputItems",
        json!({
            "type": "object",
            "required": ["object", "data", "first_id", "last_id", "has_more"],
            "properties": {
                "object": { "const": "list" },
                "data": { "type": "array", "items": item },
                "first_id": place,
                "last_id": place,
                "has_more": { "type": "boolean" },
            },
        }),
    );
    let item = json!({
        "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Hello" }],
        "id": "in_8_0", "status": "completed",
    });
    let items = json!({
        "object": "list", "data": [item], "first_id": "in_8_0", "last_id": "in_8_0", "has_more": false,
    });
    let faults = [
        ("limit", "give a whole number from 1 to 100"),
        ("order", "give \"asc\" or \"desc\""),
        ("after", "give the id of an item of the list"),
    ];
    Operation::of(input_items)
        .titled(Tag::OpenAi, "See the input of a stored response")
        .with(parameters)
        .returns(Success::json(200, "A page of the items.", schema, items))
        .fails(wrong(faults))
        .fails([Error::NotFound])
}
