//! The description of the API as a document of OpenAPI 3.1. It is made of the tables of routes, in
//! which each route has its description: [`crate::http::operation`].

mod responses;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::http::operation::{Access, Body, Content, Example, Operation, Parameter, Place, Tag};
use crate::http::{ResponseHeader, Routes, Schema};

pub use responses::Response;

/// The address of the server, until a request's own replaces it.
pub const ADDRESS: &str = "http://127.0.0.1:8000";

/// What callers have to know of all routes.
const ABOUT: &str = "A metered chat server: messages are paid for from a prepaid balance of tokens.\n\n\
    - Every path works with and without a slash at its end, and every GET also serves HEAD. Another method \
    gets 405, with `Allow`.\n\
    - An auth token is sent as `Authorization: Bearer <token>`; `Token <token>` and the token alone work, \
    too. `POST /login/` makes one. A request without one gets 401, whatever else is wrong with it.\n\
    - Fields that are not listed are ignored. U+0000 and lone surrogates are rejected anywhere in a body.\n\
    - Errors are `{\"error\": \"…\"}`. With `Accept: application/problem+json` they have the form of RFC \
    9457. Under /v1 they have the form of the protocol; with a header `anthropic-version`, of Anthropic's.\n\
    - A 503 with `Service unavailable` means *not confirmed*: look at your history, or send the request \
    again under the same `Idempotency-Key`.\n\
    - A connection may be refused before a request is read: by 400, 408 or 431 without a body, or by 429 or \
    503 with an error. Such a response has none of the headers that all others have.\n\
    - Pages of the origins in `--cors-origins` may call the API. A preflight (`OPTIONS`) of another origin \
    gets 400.\n\
    - Pages for people, their files, and the metrics at `--metrics-bind` are not described here.";

/// A method of a path, as the document has it.
#[derive(Debug)]
pub struct Entry {
    /// The path, in its usual spelling, with `{id}` for a parameter.
    pub path: String,
    /// The method.
    pub method: &'static str,
    /// What it takes.
    pub operation: Operation,
    /// What it returns, by status.
    pub responses: Vec<Response>,
}

impl Entry {
    /// Returns the id of the operation, such as `get-chats-id`.
    pub fn id(&self) -> String {
        let whole = format!("{}{}", self.method.to_ascii_lowercase(), self.path);
        let words = whole.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    }

    /// Returns whether the key may also be in `x-api-key`.
    pub fn takes_api_key(&self) -> bool {
        self.path.starts_with("/v1/")
    }
}

/// Returns the entries of these tables of routes, in their order. Routes without a description are
/// left out: they are no part of the API.
pub fn entries(tables: &[Routes]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (path, methods) in tables.iter().flat_map(|table| table.iter()) {
        let allow = methods.iter().map(|method| method.name).collect::<Vec<_>>().join(", ");
        for method in methods.iter() {
            let Some(mut operation) = method.operation() else { continue };
            let path = usual_spelling(path);
            // OpenAPI has no place for the other methods of a path.
            operation.errors.push(Error::MethodNotAllowed(allow.clone()));
            operation.parameters.extend(headers_of(&path, &operation.parameters));
            let responses = responses::of(&path, &operation);
            entries.push(Entry { path, method: method.method(), operation, responses });
        }
    }
    entries
}

/// Returns the headers that choose the form of errors under `/v1`, and that are not `known` yet.
fn headers_of(path: &str, known: &[Parameter]) -> Vec<Parameter> {
    if !path.starts_with("/v1/") {
        return Vec::new();
    }
    let version = "With any value, errors have the form of Anthropic's protocol.";
    let attempts = "How many attempts have failed. Then X-Should-Retry also ends attempts that failed twice.";
    let all = [
        Parameter::header("anthropic-version", version, json!({ "type": "string" })),
        Parameter::header("x-stainless-retry-count", attempts, json!({ "type": "string" })),
    ];
    let is_new = |parameter: &Parameter| known.iter().all(|other| other.name != parameter.name);
    all.into_iter().filter(is_new).collect()
}

/// Returns a path of a table as clients usually write it. The paths of the old contract have a
/// slash at their end; those of other protocols, of health checks and of files do not.
fn usual_spelling(path: &str) -> String {
    let has_none = |path: &str| {
        path.starts_with("/v1/") || path.contains('.') || ["/healthz", "/health", "/readyz"].contains(&path)
    };
    // The pattern of a parameter is not part of its name.
    let path = path.replace(":.+}", "}");
    if has_none(&path) { path } else { format!("{path}/") }
}

/// Returns the document.
pub fn document(entries: &[Entry]) -> Value {
    let mut components = Components::default();
    let mut paths: Map<String, Value> = Map::new();
    for entry in entries {
        let operation = operation(entry, &mut components);
        let path = paths.entry(entry.path.clone()).or_insert_with(|| json!({}));
        path[entry.method.to_ascii_lowercase()] = operation;
    }
    let tags = Tag::ALL.map(|tag| json!({ "name": tag.name(), "description": tag.description() }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": ADDRESS }],
        "tags": tags,
        "paths": paths,
        "components": components.json(),
    })
}

/// What several operations share.
#[derive(Default)]
struct Components {
    schemas: BTreeMap<String, Value>,
    headers: BTreeMap<String, Value>,
    /// By their names, in the order of their first use.
    responses: Vec<(String, Value)>,
}

impl Components {
    fn schema(&mut self, schema: &Schema) -> Value {
        self.schemas.extend(schema.named.clone());
        schema.json.clone()
    }

    /// Adds a header. One that a response always has is another component than one that it may
    /// have.
    fn header(&mut self, name: &str, is_always: bool) -> Value {
        let own = if is_always { name.to_owned() } else { format!("{name}-Perhaps") };
        let reference = json!({ "$ref": format!("#/components/headers/{own}") });
        if let Some(header) = ResponseHeader::find(name) {
            let json =
                json!({ "description": header.meaning, "required": is_always, "schema": header.schema() });
            self.headers.insert(own, json);
        }
        reference
    }

    /// Adds the response to an error. Many operations have the same ones.
    fn response(&mut self, status: u16, response: Value) -> Value {
        let known = self.responses.iter().find(|(_, other)| *other == response).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let start = format!("error-{status}-");
            let count = self.responses.iter().filter(|(name, _)| name.starts_with(&start)).count();
            let name = format!("{start}{}", count + 1);
            self.responses.push((name.clone(), response));
            name
        });
        json!({ "$ref": format!("#/components/responses/{name}") })
    }

    fn json(self) -> Value {
        let responses: Map<String, Value> = self.responses.into_iter().collect();
        json!({
            "schemas": self.schemas,
            "headers": self.headers,
            "responses": responses,
            "securitySchemes": {
                "authToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An auth token. `POST /login/` and `POST /auth-tokens/` make one.",
                },
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-api-key",
                    "description": "The same auth token, if there is no Authorization header.",
                },
            },
        })
    }
}

fn operation(entry: &Entry, components: &mut Components) -> Value {
    let described = &entry.operation;
    let mut responses = Map::new();
    for answer in &entry.responses {
        let json = response(answer, components);
        let json = if answer.is_error { components.response(answer.status, json) } else { json };
        responses.insert(answer.status.to_string(), json);
    }
    let mut json = json!({
        "tags": [described.tag.name()],
        "summary": described.summary,
        "operationId": entry.id(),
        "security": security(entry),
        "responses": responses,
    });
    if !described.description.is_empty() {
        json["description"] = described.description.into();
    }
    if !described.parameters.is_empty() {
        json["parameters"] = described.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = &described.body {
        json["requestBody"] = request_body(body, components);
    }
    json
}

fn security(entry: &Entry) -> Value {
    let token = json!({ "authToken": [] });
    match entry.operation.access {
        Access::Open => json!([]),
        Access::Optional | Access::TokenOrBody => json!([token, {}]),
        Access::Token if entry.takes_api_key() => json!([token, { "apiKey": [] }]),
        Access::Token => json!([token]),
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let mut json = json!({
        "name": parameter.name,
        "in": parameter.place.name(),
        "required": parameter.place == Place::Path,
        "description": parameter.meaning,
        "schema": parameter.schema,
    });
    if !parameter.example.is_null() {
        json["example"] = parameter.example.clone();
    }
    json
}

fn request_body(body: &Body, components: &mut Components) -> Value {
    let schema = components.schema(&body.schema);
    let content = json!({ "schema": schema, "examples": examples(&body.examples) });
    let contents = body.media_types.iter().map(|media_type| ((*media_type).to_owned(), content.clone()));
    let contents: Map<String, Value> = contents.collect();
    json!({ "required": body.is_required, "content": contents })
}

fn response(response: &Response, components: &mut Components) -> Value {
    let mut headers = Map::new();
    for (name, is_always) in &response.headers {
        headers.insert((*name).to_owned(), components.header(name, *is_always));
    }
    let mut contents = Map::new();
    for Content { media_type, schema, examples: shown } in &response.contents {
        let mut content = json!({ "schema": components.schema(schema) });
        if !shown.is_empty() {
            content["examples"] = examples(shown);
        }
        contents.insert((*media_type).to_owned(), content);
    }
    let mut json = json!({ "description": response.meaning, "headers": headers });
    if !contents.is_empty() {
        json["content"] = contents.into();
    }
    json
}

fn examples(examples: &[Example]) -> Value {
    let example = |example: &Example| {
        (example.name.clone(), json!({ "summary": example.summary, "value": example.value }))
    };
    examples.iter().map(example).collect::<Map<String, Value>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_spelled_as_clients_usually_do() {
        for (path, usual) in [
            ("/chat", "/chat/"),
            ("/chats/{id}", "/chats/{id}/"),
            ("/v1/models", "/v1/models"),
            ("/v1/models/{id:.+}", "/v1/models/{id}"),
            ("/healthz", "/healthz"),
            ("/openapi.json", "/openapi.json"),
        ] {
            assert_eq!(usual_spelling(path), usual);
        }
    }

    #[test]
    fn equal_responses_are_one_component() {
        let mut components = Components::default();
        let one = components.response(401, json!({ "description": "a" }));
        let other = components.response(401, json!({ "description": "b" }));
        assert_ne!(one, other);
        assert_eq!(components.response(401, json!({ "description": "a" })), one);
        assert_eq!(components.responses.len(), 2);
    }
}
