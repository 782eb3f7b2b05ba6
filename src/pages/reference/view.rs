//! The parts of the page, as its template reads them.

use serde_json::Value;

use crate::http::operation::{Access, Body, Content, EVENTS, Example, MESSAGE, Parameter, Place, Tag};
use crate::http::{ALWAYS_SENT, ResponseHeader, SOMETIMES_SENT};
use crate::openapi::{ADDRESS, Entry, Response};

/// All of the description.
pub(super) struct Reference {
    pub(super) tags: Vec<TagView>,
    pub(super) schemas: Vec<SchemaView>,
}

/// A part of the API.
pub(super) struct TagView {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) operations: Vec<OperationView>,
}

/// A method of a path.
pub(super) struct OperationView {
    pub(super) id: String,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    /// Who may ask, in a sentence.
    pub(super) access: &'static str,
    /// Whether a request to try has the auth token.
    pub(super) takes_token: bool,
    pub(super) parameters: Vec<ParameterView>,
    pub(super) body: Option<BodyView>,
    pub(super) responses: Vec<ResponseView>,
    /// A line for a shell.
    pub(super) curl: String,
}

/// The type of a value.
pub(super) struct Kind {
    /// Its name, or its form in words.
    pub(super) text: String,
    /// The id of the schema that it names. Empty if it names none.
    pub(super) schema: String,
}

/// A parameter.
pub(super) struct ParameterView {
    /// The id of the field to try it.
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) meaning: &'static str,
    /// A value that works. Empty if it is better left out.
    pub(super) example: String,
}

/// The body of a request.
pub(super) struct BodyView {
    /// The media types, with commas.
    pub(super) media_types: String,
    pub(super) is_required: bool,
    pub(super) kind: Kind,
    pub(super) examples: Vec<ExampleView>,
}

impl BodyView {
    /// Returns the first example.
    pub(super) fn example(&self) -> &str {
        self.examples.first().map_or("", |example| example.text.as_str())
    }
}

/// An example of a body.
pub(super) struct ExampleView {
    pub(super) summary: String,
    pub(super) text: String,
}

/// A response.
pub(super) struct ResponseView {
    pub(super) status: u16,
    pub(super) meaning: String,
    pub(super) headers: Vec<HeaderView>,
    pub(super) contents: Vec<ContentView>,
}

/// A header of a response.
pub(super) struct HeaderView {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
}

/// The body of a response in one media type.
pub(super) struct ContentView {
    pub(super) media_type: &'static str,
    pub(super) kind: Kind,
    pub(super) examples: Vec<ExampleView>,
}

/// A named schema.
pub(super) struct SchemaView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) fields: Vec<FieldView>,
}

/// A field of an object.
pub(super) struct FieldView {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) description: String,
}

impl Reference {
    /// Makes the views of a description.
    pub(super) fn new(entries: &[Entry], document: &Value) -> Reference {
        let of_tag = |tag: Tag| {
            let own = entries.iter().filter(|entry| entry.operation.tag == tag);
            TagView {
                id: tag.id(),
                name: tag.name(),
                description: tag.description(),
                operations: own.map(OperationView::of).collect(),
            }
        };
        let schemas = document["components"]["schemas"].as_object();
        let schemas = schemas.into_iter().flatten().map(|(name, schema)| SchemaView::of(name, schema));
        Reference { tags: Tag::ALL.into_iter().map(of_tag).collect(), schemas: schemas.collect() }
    }
}

impl OperationView {
    fn of(entry: &Entry) -> OperationView {
        let operation = &entry.operation;
        let id = entry.id();
        let parameters = operation.parameters.iter().map(|parameter| ParameterView::of(parameter, &id));
        OperationView {
            method: entry.method,
            path: entry.path.clone(),
            summary: operation.summary,
            description: operation.description,
            access: match operation.access {
                Access::Open => "Needs no auth token.",
                Access::Optional => "Needs no auth token. An administrator's shows more.",
                Access::Token if entry.takes_api_key() => {
                    "Needs an auth token, in Authorization or in x-api-key."
                }
                Access::Token => "Needs an auth token.",
                Access::TokenOrBody => "Needs an auth token, in Authorization or in the body.",
            },
            takes_token: operation.access != Access::Open,
            parameters: parameters.collect(),
            body: operation.body.as_ref().map(BodyView::of),
            responses: entry.responses.iter().map(ResponseView::of).collect(),
            curl: curl(entry),
            id,
        }
    }
}

impl ParameterView {
    fn of(parameter: &Parameter, operation: &str) -> ParameterView {
        ParameterView {
            id: format!("{operation}-{}", parameter.name.to_ascii_lowercase()),
            name: parameter.name,
            place: parameter.place.name(),
            kind: Kind::of(&parameter.schema),
            is_required: parameter.place == Place::Path,
            meaning: parameter.meaning,
            example: plain(&parameter.example),
        }
    }
}

impl BodyView {
    fn of(body: &Body) -> BodyView {
        BodyView {
            media_types: body.media_types.join(", "),
            is_required: body.is_required,
            kind: Kind::of(&body.schema.json),
            examples: body.examples.iter().map(ExampleView::of).collect(),
        }
    }
}

impl ExampleView {
    fn of(example: &Example) -> ExampleView {
        let text = match &example.value {
            Value::String(text) => text.clone(),
            value => serde_json::to_string_pretty(value).unwrap_or_default(),
        };
        ExampleView { summary: example.summary.clone(), text }
    }

    /// Shows the events of a stream as they are sent.
    fn of_stream(events: &[Example]) -> ExampleView {
        let summary = events.first().map(|event| event.summary.clone()).unwrap_or_default();
        let field = |event: &Example, name: &str| event.value[name].as_str().unwrap_or_default().to_owned();
        let text = events.iter().map(|event| match field(event, "event") {
            name if name == MESSAGE => format!("data: {}\n\n", field(event, "data")),
            name => format!("event: {name}\ndata: {}\n\n", field(event, "data")),
        });
        ExampleView { summary, text: text.collect() }
    }
}

impl ResponseView {
    fn of(response: &Response) -> ResponseView {
        // Those that all responses have are described once, in the document.
        let own = response.headers.keys().filter(|name| !is_common(name));
        let header = |name: &&'static str| {
            let meaning = ResponseHeader::find(name).map_or("", |header| header.meaning);
            HeaderView { name, meaning }
        };
        ResponseView {
            status: response.status,
            meaning: response.meaning.clone(),
            headers: own.map(header).collect(),
            contents: response.contents.iter().map(ContentView::of).collect(),
        }
    }
}

/// Returns whether responses have this header whatever the route.
fn is_common(name: &str) -> bool {
    ALWAYS_SENT.contains(&name) || SOMETIMES_SENT.contains(&name)
}

impl ContentView {
    fn of(content: &Content) -> ContentView {
        ContentView {
            media_type: content.media_type,
            kind: Kind::of(&content.schema.json),
            examples: if content.media_type == EVENTS {
                let streams = content.examples.chunk_by(|one, next| one.summary == next.summary);
                streams.map(ExampleView::of_stream).collect()
            } else {
                content.examples.iter().map(ExampleView::of).collect()
            },
        }
    }
}

impl SchemaView {
    fn of(name: &str, schema: &Value) -> SchemaView {
        let parts = std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten());
        SchemaView {
            id: id_of_schema(name),
            name: name.to_owned(),
            description: text(&schema["description"]),
            fields: parts.flat_map(fields_of).collect(),
        }
    }
}

/// Returns the fields of an object. Those of a named one that it includes are one row.
fn fields_of(schema: &Value) -> Vec<FieldView> {
    if let Some(name) = reference(schema) {
        let kind = Kind::of(schema);
        let description = format!("All fields of {name}.");
        return vec![FieldView { name: "…".to_owned(), kind, is_required: true, description }];
    }
    let required = schema["required"].as_array();
    let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|other| other == name));
    let field = |(name, schema): (&String, &Value)| FieldView {
        name: name.clone(),
        kind: Kind::of(schema),
        is_required: is_required(name),
        description: text(&schema["description"]),
    };
    schema["properties"].as_object().into_iter().flatten().map(field).collect()
}

fn id_of_schema(name: &str) -> String {
    format!("schema-{name}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns a value as a parameter has it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Returns the name of the schema that one refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

impl Kind {
    fn of(schema: &Value) -> Kind {
        let named = reference(schema).or_else(|| reference(&schema["items"]));
        Kind { text: words_of(schema), schema: named.map(id_of_schema).unwrap_or_default() }
    }
}

/// Describes the form of a value in words.
fn words_of(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return name.to_owned();
    }
    let joined = |list: &Value, by: &str, write: fn(&Value) -> String| {
        let parts: Vec<String> = list.as_array()?.iter().map(write).collect();
        Some(parts.join(by))
    };
    let constant = schema.get("const").map(Value::to_string);
    let of_words = || joined(&schema["enum"], ", ", Value::to_string);
    let of_choices =
        || joined(&schema["anyOf"], " or ", words_of).or_else(|| joined(&schema["oneOf"], " or ", words_of));
    let of_all = || joined(&schema["allOf"], " and ", words_of);
    constant.or_else(of_words).or_else(of_choices).or_else(of_all).unwrap_or_else(|| words_of_type(schema))
}

fn words_of_type(schema: &Value) -> String {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".to_owned(),
    };
    let range = match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(least), Value::Number(most)) if most.as_i64() != Some(i64::MAX) => {
            format!(", {least} to {most}")
        }
        (Value::Number(least), _) => format!(", at least {least}"),
        _ => String::new(),
    };
    let word = |word: &str| match word {
        "array" if schema["items"].is_object() => format!("list of {}", words_of(&schema["items"])),
        "integer" => format!("whole number{range}"),
        other => other.to_owned(),
    };
    types.into_iter().map(word).collect::<Vec<_>>().join(" or ")
}

/// Returns a line for a shell that sends a request. The auth token is in a variable, so that it is
/// not in the shell's history.
fn curl(entry: &Entry) -> String {
    let operation = &entry.operation;
    let mut path = entry.path.clone();
    for parameter in operation.parameters.iter().filter(|parameter| parameter.place == Place::Path) {
        path = path.replace(&format!("{{{}}}", parameter.name), &plain(&parameter.example));
    }
    let example = operation.body.as_ref().and_then(|body| body.examples.first());
    let mut words = vec!["curl -sS".to_owned()];
    // A body makes a POST of it.
    let is_implied = entry.method == "GET" || entry.method == "POST" && example.is_some();
    if !is_implied {
        words.push(format!("-X {}", entry.method));
    }
    words.push(quoted(&format!("{ADDRESS}{path}")));
    if operation.access != Access::Open {
        words.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    if let Some(example) = example {
        words.push("-H 'Content-Type: application/json'".to_owned());
        words.push(format!("-d {}", quoted(&example.value.to_string())));
    }
    words.join(" ")
}

/// Quotes a text for any POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_form_of_a_value_is_described_in_words() {
        for (schema, words) in [
            (json!({ "type": "string" }), "string"),
            (json!({ "type": ["string", "null"] }), "string or null"),
            (json!({ "type": "integer", "minimum": 1, "maximum": 200 }), "whole number, 1 to 200"),
            (json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX }), "whole number, at least 1"),
            (json!({ "enum": ["a", null] }), "\"a\", null"),
            (json!({ "const": "list" }), "\"list\""),
            (json!({ "type": "array", "items": { "$ref": "#/components/schemas/Chat" } }), "list of Chat"),
            (
                json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/components/schemas/Chat" }] }),
                "string or Chat",
            ),
            (json!({ "description": "Passed to the model." }), "anything"),
        ] {
            assert_eq!(words_of(&schema), words);
        }
        assert_eq!(
            Kind::of(&json!({ "items": { "$ref": "#/components/schemas/Chat" } })).schema,
            "schema-Chat"
        );
    }

    #[test]
    fn a_line_for_a_shell_keeps_the_auth_token_in_a_variable() {
        let entries = crate::pages::openapi::entries();
        let line = |id: &str| curl(entries.iter().find(|entry| entry.id() == id).unwrap());
        assert_eq!(
            line("post-chat"),
            "curl -sS 'http://127.0.0.1:8000/chat/' -H \"Authorization: Bearer $TOKEN\" \
             -H 'Content-Type: application/json' -d '{\"message\":\"Hello\"}'"
        );
        assert_eq!(
            line("delete-auth-tokens-id"),
            "curl -sS -X DELETE 'http://127.0.0.1:8000/auth-tokens/1/' -H \"Authorization: Bearer $TOKEN\""
        );
        assert_eq!(line("get-healthz"), "curl -sS 'http://127.0.0.1:8000/healthz'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
