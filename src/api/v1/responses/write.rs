//! Writes responses and their items.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::custom;
use super::names::ToolName;
use super::shape::{Shape, response_id};
use crate::chat::Receipt;
use crate::domain::Usage;
use crate::responder::{Choice, FinishReason, Segment, ToolCall};

/// The state of a response, or of an item.
pub(super) const IN_PROGRESS: &str = "in_progress";
/// See [`IN_PROGRESS`].
pub(super) const COMPLETED: &str = "completed";
/// See [`IN_PROGRESS`].
pub(super) const INCOMPLETE: &str = "incomplete";
/// See [`IN_PROGRESS`].
pub(super) const FAILED: &str = "failed";

/// What is known of a response when it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub chat_id: i64,
    pub model: &'a str,
    pub created_at: i64,
}

/// What changes in a response.
#[derive(Default)]
pub(super) struct Now {
    pub status: &'static str,
    pub output: Vec<Value>,
    pub usage: Value,
    pub error: Value,
    pub incomplete_details: Value,
    /// When the response was completed, in Unix time.
    pub completed_at: Option<i64>,
}

/// A response in one of its states. What it repeats of its request is written from where it is,
/// since a stream has a response at least three times.
pub(super) struct Response<'a> {
    head: Head<'a>,
    shape: &'a Shape,
    now: Now,
}

impl<'a> Response<'a> {
    /// Makes a response in a state.
    pub(super) fn new(head: Head<'a>, shape: &'a Shape, now: Now) -> Response<'a> {
        Response { head, shape, now }
    }

    /// Makes the response of an answer that has ended.
    pub(super) fn ended(receipt: &'a Receipt, shape: &'a Shape) -> Response<'a> {
        let created_at = receipt.created_at.and_utc().timestamp();
        let head = Head { chat_id: receipt.chat_id, model: &receipt.model, created_at };
        let choice = receipt.answer.choices().first();
        let (status, reason) = (status_of(receipt), choice.and_then(incomplete_reason));
        let now = Now {
            status,
            output: choice.map(|choice| items(receipt.chat_id, choice, shape, status)).unwrap_or_default(),
            usage: usage(receipt.usage),
            // As the protocol says, an incomplete response has none.
            completed_at: reason.is_none().then(|| receipt.finished_at.and_utc().timestamp()),
            incomplete_details: reason.map_or(Value::Null, |reason| json!({ "reason": reason })),
            ..Now::default()
        };
        Response { head, shape, now }
    }
}

impl Serialize for Response<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Response { head, shape, now } = self;
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("id", &response_id(head.chat_id))?;
        fields.serialize_entry("object", "response")?;
        fields.serialize_entry("created_at", &head.created_at)?;
        fields.serialize_entry("completed_at", &now.completed_at)?;
        fields.serialize_entry("status", now.status)?;
        fields.serialize_entry("error", &now.error)?;
        fields.serialize_entry("incomplete_details", &now.incomplete_details)?;
        fields.serialize_entry("model", head.model)?;
        fields.serialize_entry("output", &now.output)?;
        fields.serialize_entry("usage", &now.usage)?;
        for (name, value) in &shape.fields {
            fields.serialize_entry(name, value)?;
        }
        fields.end()
    }
}

/// Returns the state of the response of an answer that has ended.
pub(super) fn status_of(receipt: &Receipt) -> &'static str {
    let reason = receipt.answer.choices().first().and_then(incomplete_reason);
    if reason.is_some() { INCOMPLETE } else { COMPLETED }
}

/// Returns why a choice is incomplete. `None` if it is complete.
fn incomplete_reason(choice: &Choice) -> Option<&'static str> {
    match choice.finish_reason {
        Some(FinishReason::Length) => Some("max_output_tokens"),
        Some(FinishReason::ContentFilter) => Some("content_filter"),
        _ => None,
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": { "cached_tokens": usage.details.cached_tokens.unwrap_or(0), "cache_write_tokens": 0 },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": { "reasoning_tokens": usage.details.reasoning_tokens.unwrap_or(0) },
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    })
}

/// A part of a message, or the text of thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text,
    Refusal,
    Reasoning,
    /// Thoughts as the summary of an item.
    Summary,
}

impl Part {
    /// Writes the part.
    pub(super) fn write(self, text: &str, logprobs: &[Value]) -> Value {
        match self {
            Part::Text => {
                json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": logprobs })
            }
            Part::Refusal => json!({ "type": "refusal", "refusal": text }),
            Part::Reasoning => json!({ "type": "reasoning_text", "text": text }),
            Part::Summary => json!({ "type": "summary_text", "text": text }),
        }
    }

    /// Returns the part that thoughts become. Libraries show only summaries, so that a client that
    /// asks for one gets them there.
    pub(super) fn of_thoughts(shape: &Shape) -> Part {
        if shape.with_summary { Part::Summary } else { Part::Reasoning }
    }

    /// Returns whether the part belongs to an item of thoughts.
    pub(super) fn is_of_thoughts(self) -> bool {
        matches!(self, Part::Reasoning | Part::Summary)
    }
}

/// Writes an item of thoughts.
pub(super) fn reasoning(id: &str, parts: Vec<Value>, encrypted: Option<&str>, status: &str) -> Value {
    let (summary, content): (Vec<Value>, Vec<Value>) =
        parts.into_iter().partition(|part| part["type"] == "summary_text");
    let mut item =
        json!({ "id": id, "type": "reasoning", "status": status, "summary": summary, "content": content });
    if let Some(encrypted) = encrypted {
        item["encrypted_content"] = encrypted.into();
    }
    item
}

/// Writes an item of text.
pub(super) fn message(id: &str, content: Vec<Value>, status: &str) -> Value {
    json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
}

/// Writes an item of a tool call.
pub(super) fn call(id: &str, call_id: &str, tool: &ToolName, input: Input<'_>, status: &str) -> Value {
    let (kind, field, input) = match input {
        Input::Arguments(text) => ("function_call", "arguments", text),
        Input::Custom(text) => ("custom_tool_call", "input", text),
    };
    let mut item = json!({ "id": id, "type": kind, "status": status, "call_id": call_id, "name": tool.name });
    if let Some(namespace) = &tool.namespace {
        item["namespace"] = namespace.clone().into();
    }
    item[field] = input.into();
    item
}

/// What a model gives to a tool.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// The arguments of a function.
    Arguments(&'a str),
    /// Any text.
    Custom(&'a str),
}

/// Returns the id of an item, by its kind and its position.
pub(super) fn item_id(kind: &str, chat_id: i64, at: usize) -> String {
    format!("{kind}_{chat_id}_{at}")
}

/// Returns the id of a call's item.
pub(super) fn id_of_call(is_custom: bool, chat_id: i64, at: usize) -> String {
    item_id(if is_custom { "ctc" } else { "fc" }, chat_id, at)
}

/// Returns the id by which a client returns the result of a call. Some upstreams give none.
pub(super) fn call_id(call: &ToolCall, chat_id: i64) -> String {
    if call.id.is_empty() {
        return format!("call_{chat_id}_{}", call.index.unwrap_or(0));
    }
    call.id.clone()
}

/// Writes the items of a choice that has ended. Texts that follow one another are one item.
pub(super) fn items(chat_id: i64, choice: &Choice, shape: &Shape, status: &'static str) -> Vec<Value> {
    let encrypted = encrypted_of(choice).filter(|_| shape.with_encrypted);
    let mut logprobs = if shape.with_logprobs { logprobs_in(choice.logprobs.as_ref()) } else { Vec::new() };
    let mut items: Vec<Value> = Vec::new();
    let mut open: Option<Vec<Value>> = None;
    let segments = choice.segments();
    for segment in &segments {
        let part = match segment {
            Segment::Text(text) => Some(Part::Text.write(text, &std::mem::take(&mut logprobs))),
            Segment::Refusal(text) => Some(Part::Refusal.write(text, &[])),
            Segment::Reasoning(_) | Segment::Call(_) => None,
        };
        let Some(part) = part else {
            if let Some(parts) = open.take() {
                items.push(message(&item_id("msg", chat_id, items.len()), parts, COMPLETED));
            }
            items.push(single(chat_id, items.len(), segment, shape));
            continue;
        };
        open.get_or_insert_default().push(part);
    }
    if let Some(parts) = open {
        items.push(message(&item_id("msg", chat_id, items.len()), parts, COMPLETED));
    }
    if let Some(encrypted) = encrypted {
        items.push(reasoning(&item_id("rs", chat_id, items.len()), Vec::new(), Some(&encrypted), COMPLETED));
    }
    // Only the last item can be what the model did not finish.
    if let Some(last) = items.last_mut() {
        last["status"] = status.into();
    }
    items
}

/// Writes the item of a segment that is one by itself.
fn single(chat_id: i64, at: usize, segment: &Segment<'_>, shape: &Shape) -> Value {
    match segment {
        Segment::Reasoning(text) => {
            let parts = vec![Part::of_thoughts(shape).write(text, &[])];
            reasoning(&item_id("rs", chat_id, at), parts, None, COMPLETED)
        }
        Segment::Call(made) => {
            let is_custom = shape.is_custom(made);
            let id = id_of_call(is_custom, chat_id, at);
            let unwrapped = (is_custom && !made.is_custom).then(|| custom::input(&made.input));
            let text = unwrapped.as_deref().unwrap_or(&made.input);
            let input = if is_custom { Input::Custom(text) } else { Input::Arguments(text) };
            call(&id, &call_id(made, chat_id), &shape.tool_name(&made.name), input, COMPLETED)
        }
        Segment::Text(_) | Segment::Refusal(_) => Value::Null,
    }
}

/// The field in which upstreams such as OpenRouter send reasoning that they want back.
pub(super) const REASONING_DETAILS: &str = "reasoning_details";

/// Returns the reasoning that only the upstream can read, or that it has signed. A client sends it
/// back as it is.
pub(super) fn encrypted_of(choice: &Choice) -> Option<String> {
    let details = choice.field(REASONING_DETAILS)?.as_array()?;
    let is_secret = |entry: &Value| {
        ["data", "signature"].iter().any(|name| entry.get(name).is_some_and(Value::is_string))
    };
    let secret: Vec<&Value> = details.iter().filter(|entry| is_secret(entry)).collect();
    if secret.is_empty() { None } else { serde_json::to_string(&secret).ok() }
}

/// Returns log probabilities in the form of a response: each token with its bytes.
pub(super) fn logprobs_in(logprobs: Option<&Value>) -> Vec<Value> {
    let tokens = logprobs.and_then(|logprobs| logprobs.get("content")).and_then(Value::as_array);
    tokens.into_iter().flatten().filter_map(token).collect()
}

fn token(entry: &Value) -> Option<Value> {
    let top = entry.get("top_logprobs").and_then(Value::as_array);
    let mut written = alternative(entry)?;
    written["top_logprobs"] = top.into_iter().flatten().filter_map(alternative).collect();
    Some(written)
}

fn alternative(entry: &Value) -> Option<Value> {
    let token = entry.get("token")?.as_str()?;
    let bytes = entry.get("bytes").filter(|bytes| bytes.is_array()).cloned();
    let bytes = bytes.unwrap_or_else(|| token.bytes().collect::<Vec<u8>>().into());
    Some(json!({ "token": token, "logprob": entry.get("logprob")?, "bytes": bytes }))
}
