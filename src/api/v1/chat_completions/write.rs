//! Writes answers: `chat.completion`, and `chat.completion.chunk` for each
//! part of a stream.

use actix_web::web::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::super::answers::{ChunkHead, Names, Whole, ended, reason_of};
use crate::api::event_stream::event;
use crate::chat::{Event, Receipt, Started};
use crate::domain::Endpoint;
use crate::responder::{Choice, Delta, FinishReason, MOST_CHOICES, Piece};

/// What answers are called.
const NAMES: Names = Names { prefix: "chatcmpl", whole: "chat.completion", chunk: "chat.completion.chunk" };

/// Writes a whole answer. Nothing of it is copied, since an answer may be large.
pub(super) fn completion(receipt: &Receipt) -> impl Serialize {
    Whole::of(receipt, NAMES, |index, choice| WholeChoice { index, choice })
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

/// Writes the events of one stream.
pub(super) struct Chunks {
    head: ChunkHead,
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
        let head = ChunkHead::new(started, NAMES, include_usage);
        Chunks { head, sent: [Sent::default(); MOST_CHOICES] }
    }

    /// Writes an event. The result is empty if there is nothing to send.
    pub(super) fn write(&mut self, what: Event) -> Bytes {
        match what {
            Event::Piece(piece) => self.piece(&piece),
            Event::Done(receipt) => self.end(&receipt),
            // No `[DONE]` follows, and a stream without it has not ended well: a client must not
            // take half an answer for a whole one.
            Event::Failed(error) => event(None, &error.openai_body(Some(Endpoint::ChatCompletions))),
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
        self.head.end(&mut text, receipt.usage);
        text.into()
    }

    fn chunk(&self, piece: &Piece, with_role: bool) -> Bytes {
        event(None, &Chunk { head: &self.head, piece, with_role })
    }
}

/// A chunk of a stream.
struct Chunk<'a> {
    head: &'a ChunkHead,
    piece: &'a Piece,
    with_role: bool,
}

impl Serialize for Chunk<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        for (name, value) in &self.head.fields {
            fields.serialize_entry(name, value)?;
        }
        fields.serialize_entry("choices", &[ChunkChoice { piece: self.piece, with_role: self.with_role }])?;
        if self.head.include_usage {
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
