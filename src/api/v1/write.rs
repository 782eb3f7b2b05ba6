//! Writes answers in the protocol's form: `chat.completion`, and `chat.completion.chunk` for each
//! part of a stream.

use actix_web::web::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::super::event_stream::event;
use crate::chat::{Event, Receipt, Started};
use crate::domain::Usage;
use crate::responder::Piece;

/// Writes a whole answer. Only its text is copied, since an answer may be large.
pub(super) fn completion(receipt: &Receipt) -> impl Serialize {
    let answer = &receipt.answer;
    Completion {
        id: id(receipt.chat_id),
        object: "chat.completion",
        created: receipt.created_at.and_utc().timestamp(),
        model: &receipt.model,
        choices: [Choice {
            index: 0,
            message: Message(answer.message()),
            logprobs: answer.logprobs.as_ref(),
            finish_reason: answer.finish_reason.as_deref().unwrap_or("stop"),
        }],
        usage: usage(receipt.usage),
    }
}

#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Value,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    message: Message<'a>,
    logprobs: Option<&'a Value>,
    finish_reason: &'a str,
}

/// A message of the protocol. It has a role, and a content that may be `null`.
struct Message<'a>(&'a Map<String, Value>);

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        for (name, value) in self.0 {
            match value {
                // The index of a tool call matters only in a stream.
                Value::Array(calls) if name == "tool_calls" => {
                    fields.serialize_entry(name, &calls.iter().map(WithoutIndex).collect::<Vec<_>>())?;
                }
                _ => fields.serialize_entry(name, value)?,
            }
        }
        fields.serialize_entry("role", "assistant")?;
        if !self.0.contains_key("content") {
            fields.serialize_entry("content", &())?;
        }
        fields.end()
    }
}

struct WithoutIndex<'a>(&'a Value);

impl Serialize for WithoutIndex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().filter(|(name, _)| *name != "index"))
            }
            other => other.serialize(serializer),
        }
    }
}

fn id(chat_id: i64) -> String {
    format!("chatcmpl-{chat_id}")
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    })
}

/// Writes the events of one stream.
pub(super) struct Chunks {
    /// The fields that all chunks have in common.
    head: Map<String, Value>,
    include_usage: bool,
    said_who: bool,
    said_why: bool,
    /// The number of tool calls so far that came without an index.
    calls: usize,
}

impl Chunks {
    /// Prepares the chunks of a stream.
    pub(super) fn new(started: &Started, include_usage: bool) -> Chunks {
        let created = started.created_at.and_utc().timestamp();
        let mut head = Map::new();
        head.insert("id".to_owned(), id(started.chat_id).into());
        head.insert("object".to_owned(), "chat.completion.chunk".into());
        head.insert("created".to_owned(), created.into());
        head.insert("model".to_owned(), started.model.clone().into());
        Chunks { head, include_usage, said_who: false, said_why: false, calls: 0 }
    }

    /// Writes an event. The result is empty if there is nothing to send.
    pub(super) fn write(&mut self, what: Event) -> Bytes {
        match what {
            Event::Piece(piece) => self.piece(piece),
            Event::Done(receipt) => self.end(&receipt),
            // No `[DONE]` follows, and a stream without it has not ended well: a client must not
            // take half an answer for a whole one.
            Event::Failed(error) => {
                error.log();
                event(None, &error.openai_body())
            }
        }
    }

    fn piece(&mut self, piece: Piece) -> Bytes {
        let mut delta = piece.delta;
        delta.remove("role");
        delta.retain(|_, value| !value.is_null());
        if delta.is_empty() && piece.finish_reason.is_none() && piece.logprobs.is_none() {
            return Bytes::new();
        }
        self.number_tool_calls(&mut delta);
        if !self.said_who {
            self.said_who = true;
            delta.insert("role".to_owned(), "assistant".into());
        }
        self.said_why |= piece.finish_reason.is_some();
        self.chunk(delta, piece.finish_reason.as_deref(), piece.logprobs)
    }

    fn end(&mut self, receipt: &Receipt) -> Bytes {
        let mut text = Vec::new();
        if !self.said_why {
            let reason = receipt.answer.finish_reason.as_deref().unwrap_or("stop");
            text.extend_from_slice(&self.chunk(Map::new(), Some(reason), None));
        }
        if self.include_usage {
            let mut chunk = self.head.clone();
            chunk.insert("choices".to_owned(), json!([]));
            chunk.insert("usage".to_owned(), usage(receipt.usage));
            text.extend_from_slice(&event(None, &chunk));
        }
        text.extend_from_slice(b"data: [DONE]\n\n");
        text.into()
    }

    fn chunk(
        &self,
        delta: Map<String, Value>,
        finish_reason: Option<&str>,
        logprobs: Option<Value>,
    ) -> Bytes {
        let mut chunk = self.head.clone();
        let choice =
            json!({ "index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason });
        chunk.insert("choices".to_owned(), json!([choice]));
        if self.include_usage {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        event(None, &chunk)
    }

    /// Gives an index to each tool call that has none. In a stream every tool call needs one; a
    /// call that came whole may lack it, and is then a new one.
    fn number_tool_calls(&mut self, delta: &mut Map<String, Value>) {
        let Some(Value::Array(calls)) = delta.get_mut("tool_calls") else { return };
        for call in calls.iter_mut().filter_map(Value::as_object_mut) {
            call.entry("index").or_insert_with(|| self.calls.into());
            self.calls += 1;
        }
    }
}
