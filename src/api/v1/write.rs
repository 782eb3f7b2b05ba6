//! Writes answers in the protocol's form: `chat.completion`, and `chat.completion.chunk` for each
//! part of a stream.

use actix_web::web::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::super::event_stream::event;
use crate::chat::{Event, Receipt, Started};
use crate::domain::Usage;
use crate::responder::{Choice, Delta, FinishReason, MOST_CHOICES, Piece};

/// Writes a whole answer. Nothing of it is copied, since an answer may be large.
pub(super) fn completion(receipt: &Receipt) -> impl Serialize {
    let choice = |(index, choice)| WholeChoice { index, choice };
    Completion {
        id: id(receipt.chat_id),
        object: "chat.completion",
        created: receipt.created_at.and_utc().timestamp(),
        model: &receipt.model,
        choices: ended(receipt).map(choice).collect(),
        usage: usage(receipt.usage),
    }
}

/// Returns the choices that have ended, with their indexes. An upstream may leave one out.
fn ended(receipt: &Receipt) -> impl Iterator<Item = (usize, &Choice)> {
    let all = receipt.answer.choices().iter().enumerate();
    all.filter(|(_, choice)| choice.finish_reason.is_some())
}

#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<WholeChoice<'a>>,
    usage: Value,
}

struct WholeChoice<'a> {
    index: usize,
    choice: &'a Choice,
}

impl Serialize for WholeChoice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("index", &self.index)?;
        fields.serialize_entry("message", self.choice)?;
        fields.serialize_entry("logprobs", &self.choice.logprobs)?;
        fields.serialize_entry("finish_reason", reason_of(self.choice))?;
        fields.end()
    }
}

/// Returns why a choice ended. Every choice of a complete answer has a reason.
fn reason_of(choice: &Choice) -> &str {
    choice.finish_reason.as_ref().map_or("stop", FinishReason::as_str)
}

fn id(chat_id: i64) -> String {
    format!("chatcmpl-{chat_id}")
}

fn usage(usage: Usage) -> Value {
    let mut fields = json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    });
    let details = usage.details;
    let prompt = [("cached_tokens", details.cached_tokens), ("audio_tokens", details.prompt_audio_tokens)];
    let completion =
        [("reasoning_tokens", details.reasoning_tokens), ("audio_tokens", details.completion_audio_tokens)];
    for (name, parts) in [("prompt_tokens_details", prompt), ("completion_tokens_details", completion)] {
        let known = parts.into_iter().filter_map(|(name, tokens)| Some((name.to_owned(), tokens?.into())));
        let known: Map<String, Value> = known.collect();
        if !known.is_empty() {
            fields[name] = known.into();
        }
    }
    fields
}

/// Writes the events of one stream.
pub(super) struct Chunks {
    /// The fields that all chunks have in common.
    head: Map<String, Value>,
    include_usage: bool,
    /// For each choice, whether its role and its finish reason were sent.
    sent: [Sent; MOST_CHOICES],
}

#[derive(Clone, Copy, Default)]
struct Sent {
    role: bool,
    reason: bool,
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
        Chunks { head, include_usage, sent: [Sent::default(); MOST_CHOICES] }
    }

    /// Writes an event. The result is empty if there is nothing to send.
    pub(super) fn write(&mut self, what: Event) -> Bytes {
        match what {
            Event::Piece(piece) => self.piece(&piece),
            Event::Done(receipt) => self.end(&receipt),
            // No `[DONE]` follows, and a stream without it has not ended well: a client must not
            // take half an answer for a whole one.
            Event::Failed(error) => {
                error.log();
                event(None, &error.openai_body())
            }
        }
    }

    fn piece(&mut self, piece: &Piece) -> Bytes {
        let Some(sent) = self.sent.get_mut(piece.choice).filter(|_| !piece.is_empty()) else {
            return Bytes::new();
        };
        let with_role = !std::mem::replace(&mut sent.role, true);
        sent.reason |= piece.finish_reason.is_some();
        self.chunk(piece, with_role)
    }

    fn end(&mut self, receipt: &Receipt) -> Bytes {
        let mut text = Vec::new();
        for (index, choice) in ended(receipt) {
            if self.sent.get(index).is_none_or(|sent| sent.reason) {
                continue;
            }
            let finish_reason = Some(choice.finish_reason.clone().unwrap_or(FinishReason::Stop));
            let piece = Piece { choice: index, finish_reason, ..Piece::default() };
            text.extend_from_slice(&self.piece(&piece));
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

    fn chunk(&self, piece: &Piece, with_role: bool) -> Bytes {
        event(None, &Chunk { head: &self.head, include_usage: self.include_usage, piece, with_role })
    }
}

/// A chunk of a stream.
struct Chunk<'a> {
    head: &'a Map<String, Value>,
    include_usage: bool,
    piece: &'a Piece,
    with_role: bool,
}

impl Serialize for Chunk<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        for (name, value) in self.head {
            fields.serialize_entry(name, value)?;
        }
        fields.serialize_entry("choices", &[ChunkChoice { piece: self.piece, with_role: self.with_role }])?;
        if self.include_usage {
            fields.serialize_entry("usage", &())?;
        }
        fields.end()
    }
}

struct ChunkChoice<'a> {
    piece: &'a Piece,
    with_role: bool,
}

impl Serialize for ChunkChoice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("index", &self.piece.choice)?;
        fields
            .serialize_entry("delta", &ChunkDelta { delta: &self.piece.delta, with_role: self.with_role })?;
        fields.serialize_entry("logprobs", &self.piece.logprobs)?;
        fields
            .serialize_entry("finish_reason", &self.piece.finish_reason.as_ref().map(FinishReason::as_str))?;
        fields.end()
    }
}

struct ChunkDelta<'a> {
    delta: &'a Delta,
    with_role: bool,
}

impl Serialize for ChunkDelta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if self.with_role {
            fields.serialize_entry("role", "assistant")?;
        }
        self.delta.write(&mut fields)?;
        fields.end()
    }
}
