//! Compares every answer that a test sees with the document of the API: its path, method and
//! status, its headers, its content type, and the form of its body. So a test of any part of the
//! server fails where the document is wrong or incomplete.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};
use tollgate::http::NOT_THERE;

/// The document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(tollgate::pages::document);

/// The longest body that is compared with its schema, in bytes.
const MOST_BYTES: usize = 256 * 1024;

/// Headers of HTTP itself, and those that proxies add.
const OF_HTTP: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "server",
    "trailer",
    "transfer-encoding",
    "via",
];

/// An answer, as a client has it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub status: u16,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

impl Seen<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the content type, without parameters.
    fn media_type(&self) -> Option<&str> {
        self.header("content-type")?.split(';').next().map(str::trim)
    }
}

/// Compares the answer to a request with the document. What is not a part of the API passes.
///
/// # Panics
/// The document does not have such an answer.
#[track_caller]
pub fn check(method: &str, target: &str, seen: Seen<'_>) {
    // Answers of other servers, and of connections that never became a request.
    if seen.header("x-request-id").is_none() || method == "OPTIONS" {
        return;
    }
    let Some((path, methods)) = find(target.split('?').next().unwrap_or_default()) else { return };
    let read = if method == "HEAD" { "get".to_owned() } else { method.to_ascii_lowercase() };
    let what = format!("{method} {path}: {} {:?}", seen.status, seen.headers);
    if seen.status == 405 {
        assert_eq!(allowed(seen.header("allow").unwrap_or_default()), documented(methods), "{what}");
    }
    let operation = methods.get(&read);
    assert!(
        operation.is_some() || seen.status >= 400,
        "{what}: the document of the API does not have this method"
    );
    // What another method gets is described with those of the path.
    let responses = operation.into_iter().chain(methods.values().filter(|_| operation.is_none()));
    let mut responses = responses.map(|operation| resolved(&operation["responses"][seen.status.to_string()]));
    let response = responses.find(|response| response.is_object());
    let response =
        response.unwrap_or_else(|| panic!("{what}: the document of the API does not have this status"));
    check_headers(response, seen, &what);
    check_body(response, seen, method == "HEAD", &what);
}

/// Compares an answer whose request is known only as the bytes that were sent.
#[track_caller]
pub fn check_raw(request: &[u8], seen: Seen<'_>) {
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return };
    if let [method, target, _] = line.trim().split(' ').collect::<Vec<_>>()[..] {
        check(method, target, seen);
    }
}

/// Returns the methods in the value of an `Allow` header, without HEAD, which each GET serves.
fn allowed(allow: &str) -> Vec<String> {
    let mut methods: Vec<String> = allow.split(", ").map(str::to_ascii_lowercase).collect();
    methods.retain(|method| method != "head");
    methods.sort();
    methods
}

fn documented(methods: &serde_json::Map<String, Value>) -> Vec<String> {
    let mut methods: Vec<String> = methods.keys().cloned().collect();
    methods.sort();
    methods
}

/// Finds the path of the document that a request's path means, and its methods. Fixed ones come
/// before those with parameters.
fn find(path: &str) -> Option<(&'static str, &'static serde_json::Map<String, Value>)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() || NOT_THERE.contains(&path) {
        return None;
    }
    let paths = DOCUMENT["paths"].as_object().expect("the document has paths");
    let fits = |template: &&String| {
        let template = template.strip_suffix('/').unwrap_or(template);
        match template.split_once("{id}") {
            None => template == path,
            Some((before, after)) => {
                let id = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                // Names of models may contain slashes.
                let may_have_slashes = template.starts_with("/v1/models/");
                id.is_some_and(|id| !id.is_empty() && (may_have_slashes || !id.contains('/')))
            }
        }
    };
    let found = paths.keys().filter(fits).min_by_key(|template| template.contains('{'))?;
    Some((found.as_str(), paths[found].as_object()?))
}

/// Follows the reference of a part of the document, if it is one.
pub fn resolved(part: &'static Value) -> &'static Value {
    match part["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer}")),
        None => part,
    }
}

#[track_caller]
fn check_headers(response: &'static Value, seen: Seen<'_>, what: &str) {
    let headers = response["headers"].as_object().unwrap_or_else(|| panic!("{what}: no headers"));
    for (name, _) in seen.headers {
        let is_known = headers.keys().any(|known| known.eq_ignore_ascii_case(name));
        let is_of_http = OF_HTTP.iter().any(|known| known.eq_ignore_ascii_case(name));
        assert!(is_known || is_of_http, "{what}: the document of the API does not have the header {name}");
    }
    for (name, header) in headers {
        let header = resolved(header);
        match seen.header(name) {
            Some(value) => {
                let value = match header["schema"]["type"].as_str() {
                    Some("integer") => value.parse::<i64>().map_or_else(|_| value.into(), Value::from),
                    _ => value.into(),
                };
                let faults = faults(&header["schema"], &value);
                assert!(faults.is_empty(), "{what}: the header {name}: {faults:?}");
            }
            // It is for nginx, which removes it.
            None if name == "X-Accel-Buffering" && seen.header("server").is_some() => {}
            None => assert_ne!(header["required"], true, "{what}: the header {name} is missing"),
        }
    }
}

#[track_caller]
fn check_body(response: &'static Value, seen: Seen<'_>, has_head_only: bool, what: &str) {
    let contents = response["content"].as_object();
    let Some(media_type) = seen.media_type() else {
        assert!(contents.is_none(), "{what}: the document of the API has a body here");
        return;
    };
    let content = contents.and_then(|contents| contents.get(media_type));
    let content =
        content.unwrap_or_else(|| panic!("{what}: the document of the API does not have this content type"));
    if has_head_only || seen.body.len() > MOST_BYTES {
        return;
    }
    if media_type == "text/event-stream" {
        for event in events(seen.body) {
            let faults = faults(&content["schema"], &event);
            assert!(faults.is_empty(), "{what}: an event differs from the document: {faults:#?}\n{event}");
        }
        return;
    }
    if !media_type.ends_with("json") {
        return;
    }
    let body = serde_json::from_slice(seen.body).unwrap_or_else(|error| panic!("{what}: no JSON: {error}"));
    let faults = faults(&content["schema"], &body);
    assert!(faults.is_empty(), "{what}: the body differs from the document: {faults:#?}\n{body}");
}

/// Returns the events of a stream, without one that has only begun. An event without data is a
/// comment.
fn events(stream: &[u8]) -> Vec<Value> {
    let stream = String::from_utf8_lossy(stream);
    let whole = stream.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let event = |block: &str| {
        let fields = |name: &str| {
            let start = format!("{name}: ");
            block.lines().filter_map(|line| Some(line.strip_prefix(&start)?.to_owned())).collect::<Vec<_>>()
        };
        let mut event = json!({ "event": fields("event").pop().unwrap_or_else(|| "message".to_owned()) });
        if block.lines().all(|line| line.starts_with(':')) {
            return None;
        }
        let data = fields("data");
        if !data.is_empty() {
            event["data"] = data.join("\n").into();
        }
        Some(event)
    };
    whole.split("\n\n").filter(|block| !block.is_empty()).filter_map(event).collect()
}

/// Returns what is wrong with a value, by a schema of the document.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    static KNOWN: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
    let key = schema.to_string();
    let known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&key).copied();
    let validator = known.unwrap_or_else(|| {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": { "schemas": DOCUMENT["components"]["schemas"] },
        });
        let made = jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"));
        // There are a few hundred schemas at most, for the whole run.
        let made: &'static Validator = Box::leak(Box::new(made));
        KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(key, made);
        made
    });
    validator
        .iter_errors(value)
        .map(|error| format!("{} at {:?}", error, error.instance_path().to_string()))
        .collect()
}

#[test]
fn a_path_of_a_request_is_found_in_the_document() {
    for (path, expected) in [
        ("/chat", Some("/chat/")),
        ("/chat/", Some("/chat/")),
        ("/chats/17/", Some("/chats/{id}/")),
        ("/v1/models/a/b", Some("/v1/models/{id}")),
        ("/v1/responses/input_tokens", Some("/v1/responses/input_tokens")),
        ("/v1/responses/resp_1/input_items", Some("/v1/responses/{id}/input_items")),
        ("/v1/responses/compact", None),
        ("/chats/1/2", None),
        ("/chat//", None),
        ("/admin/", None),
        ("/", None),
    ] {
        assert_eq!(find(path).map(|(template, _)| template), expected, "{path}");
    }
}

#[test]
fn the_events_of_a_stream_are_read() {
    let stream =
        b": waiting\n\nevent: delta\ndata: {\"text\":\"a\"}\n\ndata: [DONE]\n\nevent: ping\n\ndata: cut";
    let expected = json!([
        { "event": "delta", "data": "{\"text\":\"a\"}" },
        { "event": "message", "data": "[DONE]" },
        { "event": "ping" },
    ]);
    assert_eq!(Value::from(events(stream)), expected);
}

#[test]
fn an_answer_that_the_document_does_not_have_is_noticed() {
    let headers = |more: &[(&str, &str)]| {
        let fixed = [
            ("x-request-id", "0"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'"),
        ];
        let all = fixed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        all.collect::<Vec<_>>()
    };
    let is_noticed = |status: u16, more: &[(&str, &str)], body: &str| {
        let headers = headers(more);
        let seen = Seen { status, headers: &headers, body: body.as_bytes() };
        std::panic::catch_unwind(|| check("GET", "/balance/", seen)).is_err()
    };
    let json = ("content-type", "application/json");
    assert!(!is_noticed(200, &[json], r#"{"tokens":5}"#));
    assert!(is_noticed(202, &[json], r#"{"tokens":5}"#), "another status");
    assert!(is_noticed(200, &[json], r#"{"tokens":"5"}"#), "another form");
    assert!(is_noticed(200, &[json], "{}"), "a field is missing");
    assert!(is_noticed(200, &[("content-type", "text/plain")], "5"), "another content type");
    assert!(is_noticed(200, &[json, ("x-new", "1")], r#"{"tokens":5}"#), "another header");
    assert!(is_noticed(401, &[json], r#"{"error":"Unauthorized"}"#), "a header is missing");
    let is_refused = |status: u16, allow: &str, body: &str| {
        let headers = headers(&[json, ("allow", allow)]);
        let seen = Seen { status, headers: &headers, body: body.as_bytes() };
        std::panic::catch_unwind(|| check("PUT", "/balance/", seen)).is_ok()
    };
    let not_allowed = r#"{"error":"Method not allowed"}"#;
    assert!(is_refused(405, "GET, HEAD", not_allowed));
    assert!(!is_refused(405, "GET, HEAD, POST", not_allowed), "another method");
    assert!(!is_refused(405, "GET, HEAD", "{}"), "another form");
    assert!(!is_refused(200, "GET, HEAD", r#"{"tokens":5}"#), "the method is not there");
    assert!(!is_refused(418, "GET, HEAD", not_allowed), "another status");
}
