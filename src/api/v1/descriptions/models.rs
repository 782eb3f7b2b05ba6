//! `GET /v1/models` and `GET /v1/models/{id}`.

use serde_json::{Value, json};

use super::super::models::{list, show};
use super::{anthropic_version, wrong};
use crate::error::Error;
use crate::http::Schema;
use crate::http::operation::{A_MODEL, Content, Example, Operation, Parameter, Success, Tag};

const VERSION: &str = "If it is there, the answer has the form of Anthropic's protocol.";

/// Returns the schema of a model: as OpenAI describes it, or Anthropic.
fn model_schema() -> Schema {
    let openai = json!({
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": { "type": "string" },
            "object": { "const": "model" },
            "created": { "type": "integer", "description": "Always 0: it is not known." },
            "owned_by": { "type": "string" },
        },
    });
    let anthropic = json!({
        "type": "object",
        "required": ["type", "id", "display_name", "created_at"],
        "properties": {
            "type": { "const": "model" },
            "id": { "type": "string" },
            "display_name": {
                "type": "string",
                "description": "The model's own name; the id may be an alias.",
            },
            "created_at": { "type": "string", "description": "The beginning of 1970: it is not known." },
        },
    });
    let other = Schema::named("AnthropicModel", anthropic);
    let either = json!({ "anyOf": [Schema::reference("OpenAiModel"), other.json] });
    Schema::plain(either).using(other).using(Schema::named("OpenAiModel", openai))
}

fn models_schema() -> Schema {
    let model = model_schema();
    let openai = json!({
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": { "const": "list" },
            "data": { "type": "array", "items": Schema::reference("OpenAiModel") },
        },
    });
    let id = json!({ "type": ["string", "null"] });
    let anthropic = json!({
        "type": "object",
        "required": ["data", "has_more", "first_id", "last_id"],
        "properties": {
            "data": { "type": "array", "items": Schema::reference("AnthropicModel") },
            "has_more": { "type": "boolean" },
            "first_id": id,
            "last_id": id,
        },
    });
    Schema::plain(json!({ "anyOf": [openai, anthropic] })).using(model)
}

fn example() -> Value {
    json!({ "id": A_MODEL, "object": "model", "created": 0, "owned_by": "tollgate" })
}

fn anthropic_example() -> Value {
    let beginning = "1970-01-01T00:00:00Z";
    json!({ "type": "model", "id": A_MODEL, "display_name": A_MODEL, "created_at": beginning })
}

/// Makes the response in both forms.
fn returned(meaning: &'static str, schema: Schema, openai: Value, anthropic: Value) -> Success {
    let examples = [
        Example::new("openai", "In the form of OpenAI.", openai),
        Example::new("anthropic", "In the form of Anthropic.", anthropic),
    ];
    Success::empty(200, meaning).or(Content::json(schema, examples))
}

/// Describes `GET /v1/models`.
pub(in crate::api) fn describe_list() -> Operation {
    let parameters = [
        anthropic_version(VERSION),
        Parameter::query("limit", "With that header: models of a page, 1 to 1000; 20 if missing.", json!({})),
        Parameter::query("after_id", "With that header: the page begins after this model.", json!({})),
        Parameter::query("before_id", "With that header: the page ends before this model.", json!({})),
    ];
    let models = json!({ "object": "list", "data": [example()] });
    let page = json!({
        "data": [anthropic_example()], "has_more": false, "first_id": A_MODEL, "last_id": A_MODEL,
    });
    Operation::of(list)
        .titled(Tag::OpenAi, "List the models on offer")
        .with(parameters)
        .returns(returned("The models.", models_schema(), models, page))
        .fails(wrong([
            ("limit", "give a whole number from 1 to 1000"),
            ("query", "give each parameter once"),
        ]))
}

/// Describes `GET /v1/models/{id}`.
pub(in crate::api) fn describe_show() -> Operation {
    let schema = json!({ "type": "string", "minLength": 1 });
    let id =
        Parameter::path("id", "A model, or an alias of one. It may contain slashes.", schema, A_MODEL.into());
    Operation::of(show)
        .titled(Tag::OpenAi, "See a model")
        .with([id, anthropic_version(VERSION)])
        .returns(returned("The model.", model_schema(), example(), anthropic_example()))
        .fails([Error::ModelNotFound("gpt-9".to_owned())])
}
