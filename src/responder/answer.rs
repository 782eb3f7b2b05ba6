//! The answer of a model: its parts as they arrive, and the whole that they make.

mod choice;
mod finish_reason;
mod merge;
mod message;
mod order;
mod recording;
mod tool_calls;

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

pub use choice::{Choice, Segment};
pub use finish_reason::FinishReason;
pub use message::{Delta, NotAMessage, Reasoning, ReasoningField};
pub use recording::{Recording, Replay};
pub use tool_calls::ToolCall;

use super::bounds::AnswerBounds;
use super::embeddings::Embeddings;
use super::weight::{weight, weight_of_fields};
use crate::domain::{UsageDetails, estimate, has_more_values};
use choice::Growth;

/// Log probabilities can be 100 times as large as their text, so they are stored only for answers
/// of at most this many bytes.
const MOST_WITH_LOGPROBS: i64 = 1024;

/// Log probabilities that take more memory than this, in bytes, are not stored either.
const MOST_STORED_LOGPROBS: usize = 128 << 10;

/// The most choices of one answer.
pub const MOST_CHOICES: usize = 16;

/// The largest stored extras that are read, in bytes. Nothing that large is stored now.
const MOST_STORED_EXTRAS: usize = 16 << 20;
/// The most values in stored extras that are read. Nothing that large is stored now.
const MOST_STORED_VALUES: usize = 100_000;

/// A part of an answer: new content of one choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The choice that it belongs to, counted from 0.
    pub choice: usize,
    /// The new content.
    pub delta: Delta,
    /// Why the choice ends. Usually only the last part has it.
    pub finish_reason: Option<FinishReason>,
    /// The stop sequence that ended the choice, if the upstream says which.
    pub met_stop: Option<String>,
    /// The log probabilities of the tokens in this part, if the client wants them.
    pub logprobs: Option<Value>,
    /// Whether texts contain halves of surrogate pairs, which are yet to be joined.
    pub has_halves: bool,
    /// The vectors of all inputs, if these are wanted. They belong to no choice.
    pub embeddings: Option<Arc<Embeddings>>,
}

impl Piece {
    /// Makes a part that is text.
    pub fn of_text(text: &str) -> Piece {
        Piece { delta: Delta { text: text.to_owned(), ..Delta::default() }, ..Piece::default() }
    }

    /// Makes a part that is the vectors of all inputs.
    pub fn of_embeddings(embeddings: Embeddings) -> Piece {
        Piece { embeddings: Some(Arc::new(embeddings)), ..Piece::default() }
    }

    /// Returns the text of the part. Empty if there is none.
    pub fn text(&self) -> &str {
        &self.delta.text
    }

    /// Returns the approximate memory of the part, in bytes.
    pub fn weight(&self) -> usize {
        let Delta { text, reasoning, refusal, tool_calls, more } = &self.delta;
        let calls: usize = tool_calls.iter().map(ToolCall::weight).sum();
        let texts = text.len() + reasoning.text.len() + refusal.len();
        let stop = self.met_stop.as_ref().map_or(0, String::len);
        texts + calls + stop + weight_of_fields(more) + self.logprobs.as_ref().map_or(0, weight)
    }

    /// Returns the number of bytes that the model wrote in this part: texts, and the names and
    /// arguments of tool calls, without the fields around them.
    pub fn bytes(&self) -> i64 {
        let Delta { text, reasoning, refusal, tool_calls, more } = &self.delta;
        let calls: usize = tool_calls.iter().map(ToolCall::bytes).sum();
        let bytes = text.len() + reasoning.text.len() + refusal.len() + calls;
        i64::try_from(bytes).unwrap_or(i64::MAX).saturating_add(fields_bytes(more))
    }

    /// Returns whether the part has content. Parts without content have only the role or the finish
    /// reason.
    pub fn brings_something(&self) -> bool {
        self.delta.brings_something()
    }

    /// Returns whether there is nothing in the part.
    pub fn is_empty(&self) -> bool {
        !self.brings_something()
            && self.delta.more.is_empty()
            && self.finish_reason.is_none()
            && self.logprobs.is_none()
            && self.embeddings.is_none()
    }
}

/// What has arrived of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    choices: Vec<Choice>,
    /// The number of parts with content. Each has at least one token.
    pieces: i64,
    bytes: i64,
    /// The approximate memory of everything that is kept except the text.
    rest: usize,
    logprobs_weight: usize,
    /// Whether log probabilities were dropped. They do not start again.
    are_logprobs_dropped: bool,
    embeddings: Option<Arc<Embeddings>>,
}

/// The error of an answer that exceeds its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond;

/// A stored answer.
pub struct StoredAnswer {
    /// The answer.
    pub answer: Answer,
    /// The details of its usage.
    pub usage_details: UsageDetails,
    /// The parts in which it was streamed. `None` if they were not recorded.
    pub parts: Option<Replay>,
}

impl Answer {
    /// Makes an answer that is only text.
    pub fn of_text(text: &str) -> Answer {
        let mut answer = Answer::default();
        answer.take(Piece { finish_reason: Some(FinishReason::Stop), ..Piece::of_text(text) });
        answer
    }

    /// Makes an answer that is vectors.
    pub fn of_embeddings(embeddings: Embeddings) -> Answer {
        Answer { embeddings: Some(Arc::new(embeddings)), ..Answer::default() }
    }

    /// Restores a stored answer from its text and its extras ([`Answer::extras`]).
    pub fn stored(text: Option<String>, extras: Option<&str>) -> StoredAnswer {
        let is_bounded = |extras: &&str| {
            extras.len() <= MOST_STORED_EXTRAS && !has_more_values(extras.as_bytes(), MOST_STORED_VALUES)
        };
        let extras = extras.filter(is_bounded);
        let (replay, rest) = extras.and_then(Replay::split).unzip();
        let extras = rest.as_deref().or(extras);
        let extras: Option<Map<String, Value>> = extras.and_then(|extras| serde_json::from_str(extras).ok());
        let mut extras = extras.unwrap_or_default();
        let details = extras.remove("usage_details").unwrap_or_default();
        let more = match extras.remove("choices") {
            Some(Value::Array(choices)) => choices,
            _ => Vec::new(),
        };
        let mut choices = vec![stored_choice(extras, text)];
        choices.extend(more.into_iter().filter_map(|choice| match choice {
            Value::Object(fields) => Some(stored_choice(fields, None)),
            _ => None,
        }));
        let usage_details = serde_json::from_value(details).unwrap_or_default();
        let answer = Answer { choices, ..Answer::default() };
        let parts = replay.filter(|replay: &Replay| replay.fits(&answer));
        StoredAnswer { answer, usage_details, parts }
    }

    /// Returns as JSON what has to be stored besides the text of the first choice. `None` if there
    /// is nothing.
    pub fn extras(&self, details: UsageDetails) -> Option<String> {
        let with_logprobs = self.bytes <= MOST_WITH_LOGPROBS && self.logprobs_weight <= MOST_STORED_LOGPROBS;
        let choice = |choice, with_text| StoredChoice { choice, with_text, with_logprobs };
        let first = self.choices.first().map(|first| choice(first, false));
        let more: Vec<_> = self.choices.iter().skip(1).map(|other| choice(other, true)).collect();
        let has_details = details != UsageDetails::default();
        if first.as_ref().is_none_or(StoredChoice::is_empty) && more.is_empty() && !has_details {
            return None;
        }
        serde_json::to_string(&Extras { first, more, details: has_details.then_some(details) }).ok()
    }

    /// Adds a part if the answer stays within its limits. Log probabilities beyond their limit are
    /// dropped. If the rest is beyond its limit, only the text is kept. Returns what clients have
    /// to get: each complete value once, as they join all texts.
    ///
    /// # Errors
    /// The answer exceeds its limits.
    pub fn add(&mut self, piece: Piece, bounds: &AnswerBounds) -> Result<Piece, Beyond> {
        if piece.choice >= MOST_CHOICES {
            return Err(Beyond);
        }
        if let Some(embeddings) = &piece.embeddings {
            self.embeddings = Some(embeddings.clone());
            return Ok(piece);
        }
        let news = self.take(piece);
        if self.logprobs_weight > bounds.logprobs && !self.are_logprobs_dropped {
            self.are_logprobs_dropped = true;
            self.choices.iter_mut().for_each(|choice| choice.logprobs = None);
        }
        if self.rest > bounds.rest {
            self.choices.iter_mut().for_each(Choice::keep_only_text);
            return Err(Beyond);
        }
        Ok(news)
    }

    fn take(&mut self, piece: Piece) -> Piece {
        if piece.brings_something() {
            self.pieces += 1;
            self.bytes = self.bytes.saturating_add(piece.bytes());
        }
        if self.choices.len() <= piece.choice {
            self.choices.resize_with(piece.choice + 1, Choice::default);
        }
        let mut growth = Growth::default();
        let news = self.choices[piece.choice].add(piece, !self.are_logprobs_dropped, &mut growth);
        self.rest = self.rest.saturating_add(growth.rest);
        self.logprobs_weight = self.logprobs_weight.saturating_add(growth.logprobs);
        news
    }

    /// Returns the choices as few parts, in the order in which the model wrote them, or the vectors
    /// as one.
    pub fn as_pieces(&self) -> Vec<Piece> {
        if let Some(embeddings) = &self.embeddings {
            return vec![Piece { embeddings: Some(embeddings.clone()), ..Piece::default() }];
        }
        self.choices.iter().enumerate().flat_map(|(index, choice)| choice.as_pieces(index)).collect()
    }

    /// Returns the text of the first choice. `None` if it has none, for example only tool calls.
    pub fn text(&self) -> Option<&str> {
        self.choices.first()?.text()
    }

    /// Returns the text of the first choice or, if it has none, its refusal.
    pub fn text_or_refusal(&self) -> Option<&str> {
        let first = self.choices.first()?;
        first.text().or(first.refusal())
    }

    /// Returns the vectors. `None` if the answer is text.
    pub fn embeddings(&self) -> Option<&Arc<Embeddings>> {
        self.embeddings.as_ref()
    }

    /// Returns whether this many choices have ended. Vectors arrive all at once.
    pub fn has_ended(&self, wanted: u32) -> bool {
        if self.embeddings.is_some() {
            return true;
        }
        let ended = self.choices.iter().filter(|choice| choice.finish_reason.is_some()).count();
        u32::try_from(ended).is_ok_and(|ended| ended >= wanted)
    }

    /// Returns the choices.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// Ends all choices for the same reason, as far as the client sees it.
    pub fn end_all(&mut self, reason: &FinishReason) {
        self.choices.iter_mut().for_each(|choice| choice.finish_reason = Some(reason.clone()));
    }

    /// Returns whether any content has arrived.
    pub fn has_begun(&self) -> bool {
        self.pieces > 0 || self.embeddings.is_some()
    }

    /// Returns whether there are vectors, or any choice answers something.
    pub fn has_output(&self) -> bool {
        self.embeddings.is_some() || self.choices.iter().any(Choice::has_output)
    }

    /// Returns the number of bytes that the model has written.
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// Estimates the number of tokens that have arrived: at least one for each part, and one for
    /// every four bytes.
    pub fn tokens_estimate(&self) -> i64 {
        self.pieces.max(estimate(self.bytes))
    }
}

/// Restores a choice from its stored fields.
fn stored_choice(mut fields: Map<String, Value>, text: Option<String>) -> Choice {
    let finish_reason = match fields.remove("finish_reason") {
        Some(Value::String(reason)) => FinishReason::of(&reason),
        _ => FinishReason::Stop,
    };
    let logprobs = fields.remove("logprobs");
    let met_stop = match fields.remove("stop") {
        Some(Value::String(stop)) => Some(stop),
        _ => None,
    };
    let order = fields.remove("order");
    let message = match fields.remove("message") {
        Some(Value::Object(message)) => message,
        _ => Map::new(),
    };
    let mut delta = Delta::parse(message).unwrap_or_default();
    if let Some(text) = text {
        delta.text = text;
    }
    let mut choice = Choice::stored(delta, order.as_ref().and_then(Value::as_str), finish_reason, logprobs);
    choice.met_stop = met_stop;
    choice
}

/// The stored form of an answer, without the text of its first choice.
struct Extras<'a> {
    first: Option<StoredChoice<'a>>,
    more: Vec<StoredChoice<'a>>,
    details: Option<UsageDetails>,
}

impl Serialize for Extras<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(first) = &self.first {
            first.write(&mut fields)?;
        }
        if !self.more.is_empty() {
            fields.serialize_entry("choices", &self.more)?;
        }
        if let Some(details) = &self.details {
            fields.serialize_entry("usage_details", details)?;
        }
        fields.end()
    }
}

/// The stored form of a choice. The default, `stop`, is left out.
struct StoredChoice<'a> {
    choice: &'a Choice,
    with_text: bool,
    with_logprobs: bool,
}

impl StoredChoice<'_> {
    fn logprobs(&self) -> Option<&Value> {
        self.choice.logprobs.as_ref().filter(|_| self.with_logprobs)
    }

    fn finish_reason(&self) -> Option<&FinishReason> {
        self.choice.finish_reason.as_ref().filter(|reason| **reason != FinishReason::Stop)
    }

    fn is_empty(&self) -> bool {
        self.choice.is_only_text()
            && self.finish_reason().is_none()
            && self.choice.met_stop.is_none()
            && self.logprobs().is_none()
    }

    fn write<M: SerializeMap>(&self, fields: &mut M) -> Result<(), M::Error> {
        if self.with_text || !self.choice.is_only_text() {
            fields.serialize_entry("message", &StoredMessage(self))?;
        }
        if let Some(order) = self.choice.stored_order() {
            fields.serialize_entry("order", &order)?;
        }
        if let Some(reason) = self.finish_reason() {
            fields.serialize_entry("finish_reason", reason.as_str())?;
        }
        if let Some(stop) = &self.choice.met_stop {
            fields.serialize_entry("stop", stop)?;
        }
        if let Some(logprobs) = self.logprobs() {
            fields.serialize_entry("logprobs", logprobs)?;
        }
        Ok(())
    }
}

impl Serialize for StoredChoice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        self.write(&mut fields)?;
        fields.end()
    }
}

struct StoredMessage<'a>(&'a StoredChoice<'a>);

impl Serialize for StoredMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(text) = self.0.choice.text().filter(|_| self.0.with_text) {
            fields.serialize_entry("content", text)?;
        }
        self.0.choice.write_besides_text(&mut fields)?;
        fields.end()
    }
}

/// Returns the bytes of text in fields, except in those that identify something.
fn fields_bytes(fields: &Map<String, Value>) -> i64 {
    let written =
        fields.iter().filter(|(name, _)| !matches!(name.as_str(), "role" | "index" | "id" | "type"));
    written.map(|(_, value)| text_bytes(value)).fold(0, i64::saturating_add)
}

fn text_bytes(value: &Value) -> i64 {
    match value {
        Value::String(text) => i64::try_from(text.len()).unwrap_or(i64::MAX),
        Value::Array(values) => values.iter().map(text_bytes).fold(0, i64::saturating_add),
        Value::Object(fields) => fields_bytes(fields),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
