//! The answer of a model: its parts as they arrive, and the whole that they make.

use serde_json::{Map, Value};

use super::bounds::AnswerBounds;
use super::weight::{escaped_bytes, weight, weight_of_field, weight_of_fields};
use crate::domain::{estimate, has_more_values};

/// Log probabilities can be 100 times as large as their text, so they are stored only for answers
/// of at most this many bytes.
const MOST_WITH_LOGPROBS: i64 = 1024;

/// Log probabilities that take more memory than this, in bytes, are not stored either.
const MOST_STORED_LOGPROBS: usize = 128 << 10;

/// The number of last elements of a list that are searched for the one that a part belongs to.
const ELEMENTS_LOOKED_AT: usize = 256;

/// The largest stored extras that are read, in bytes. Nothing that large is stored now.
const MOST_STORED_EXTRAS: usize = 16 << 20;
/// The most values in stored extras that are read. Nothing that large is stored now.
const MOST_STORED_VALUES: usize = 100_000;

/// A part of an answer: a choice of the protocol's `chat.completion.chunk`, without its index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The new fields: `content`, `tool_calls`, `role`, …
    pub delta: Map<String, Value>,
    /// Why the answer ends. Only the last part has it.
    pub finish_reason: Option<String>,
    /// The log probabilities of the tokens in this part, if the client wants them.
    pub logprobs: Option<Value>,
}

impl Piece {
    /// Makes a part that is text.
    pub fn of_text(text: &str) -> Piece {
        let delta = Map::from_iter([("content".to_owned(), Value::from(text))]);
        Piece { delta, ..Piece::default() }
    }

    /// Returns the text of the part. Empty if there is none.
    pub fn text(&self) -> &str {
        self.delta.get("content").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the approximate memory of the part, in bytes.
    pub fn weight(&self) -> usize {
        weight_of_fields(&self.delta) + self.logprobs.as_ref().map_or(0, weight)
    }

    /// Returns the number of bytes that the model wrote in this part.
    pub fn bytes(&self) -> i64 {
        delta_bytes(&self.delta)
    }

    /// Returns whether the part has content. Parts without content have only the role or the finish
    /// reason.
    pub fn brings_something(&self) -> bool {
        self.delta.iter().any(|(name, value)| name != "role" && !is_nothing(value))
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}

/// What has arrived of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The protocol's `message`, without its `role`.
    message: Map<String, Value>,
    /// Why the answer ended. `None` if it has not ended, or the model did not say.
    pub finish_reason: Option<String>,
    /// The log probabilities of all parts. `None` if there are none, or they were dropped.
    pub logprobs: Option<Value>,
    /// The number of parts with content. Each has at least one token.
    pieces: i64,
    bytes: i64,
    /// The approximate memory of everything that is kept except the text.
    rest: usize,
    logprobs_weight: usize,
}

/// The error of an answer that exceeds its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond;

impl Answer {
    /// Makes an answer that is only text.
    pub fn of_text(text: &str) -> Answer {
        let mut answer = Answer::default();
        answer.take(&Piece { finish_reason: Some("stop".to_owned()), ..Piece::of_text(text) });
        answer
    }

    /// Restores a stored answer from its text and its extras ([`Answer::extras`]).
    pub fn stored(text: Option<String>, extras: Option<&str>) -> Answer {
        let is_bounded = |extras: &&str| {
            extras.len() <= MOST_STORED_EXTRAS && !has_more_values(extras.as_bytes(), MOST_STORED_VALUES)
        };
        let extras = extras.filter(is_bounded);
        let extras: Option<Map<String, Value>> = extras.and_then(|extras| serde_json::from_str(extras).ok());
        let mut extras = extras.unwrap_or_default();
        let finish_reason = match extras.remove("finish_reason") {
            Some(Value::String(reason)) => Some(reason),
            _ => Some("stop".to_owned()),
        };
        let logprobs = extras.remove("logprobs");
        let mut message = match extras.remove("message") {
            Some(Value::Object(message)) => message,
            _ => Map::new(),
        };
        if let Some(text) = text {
            message.insert("content".to_owned(), text.into());
        }
        Answer { message, finish_reason, logprobs, ..Answer::default() }
    }

    /// Returns as JSON what has to be stored besides the text. `None` if there is nothing.
    pub fn extras(&self) -> Option<String> {
        let rest = self.message.iter().filter(|(name, _)| *name != "content");
        let message: Map<String, Value> = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut extras = Map::new();
        if !message.is_empty() {
            extras.insert("message".to_owned(), message.into());
        }
        if let Some(reason) = self.finish_reason.as_deref().filter(|reason| *reason != "stop") {
            extras.insert("finish_reason".to_owned(), reason.into());
        }
        let are_stored = self.bytes <= MOST_WITH_LOGPROBS && self.logprobs_weight <= MOST_STORED_LOGPROBS;
        if let Some(logprobs) = self.logprobs.as_ref().filter(|_| are_stored) {
            extras.insert("logprobs".to_owned(), logprobs.clone());
        }
        (!extras.is_empty()).then(|| Value::from(extras).to_string())
    }

    /// Adds a part if the answer stays within its limits. Log probabilities beyond their limit are
    /// dropped. If the rest is beyond its limit, only the text is kept.
    ///
    /// # Errors
    /// The answer exceeds its limits.
    pub fn add(&mut self, piece: &Piece, bounds: &AnswerBounds) -> Result<(), Beyond> {
        self.take(piece);
        if self.logprobs_weight > bounds.logprobs {
            self.logprobs = None;
        }
        if self.rest > bounds.rest {
            self.message.retain(|name, _| name == "content");
            return Err(Beyond);
        }
        Ok(())
    }

    fn take(&mut self, piece: &Piece) {
        if piece.brings_something() {
            self.pieces += 1;
            self.bytes = self.bytes.saturating_add(piece.bytes());
        }
        for (name, value) in piece.delta.iter().filter(|(name, _)| *name != "role") {
            let grown = merge_field(&mut self.message, name, value);
            if name != "content" {
                self.rest = self.rest.saturating_add(grown);
            }
        }
        if piece.finish_reason.is_some() {
            self.finish_reason.clone_from(&piece.finish_reason);
        }
        // Log probabilities that were dropped do not start again.
        let are_left_out = self.logprobs.is_none() && self.logprobs_weight > 0;
        if let Some(logprobs) = piece.logprobs.as_ref().filter(|_| !are_left_out) {
            let grown = merge(self.logprobs.get_or_insert(Value::Null), logprobs);
            self.logprobs_weight = self.logprobs_weight.saturating_add(grown);
        }
    }

    /// Returns the whole answer as one part.
    pub fn as_piece(&self) -> Piece {
        let (finish_reason, logprobs) = (self.finish_reason.clone(), self.logprobs.clone());
        Piece { delta: self.message.clone(), finish_reason, logprobs }
    }

    /// Returns the text. `None` if the answer has none, for example only tool calls.
    pub fn text(&self) -> Option<&str> {
        self.message.get("content").and_then(Value::as_str)
    }

    /// Returns the protocol's `message`, without its `role`.
    pub fn message(&self) -> &Map<String, Value> {
        &self.message
    }

    /// Returns whether any content has arrived.
    pub fn has_begun(&self) -> bool {
        self.pieces > 0
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

/// Returns the bytes that the model wrote: text, and the names and arguments of tool calls, without
/// the fields around them.
fn delta_bytes(delta: &Map<String, Value>) -> i64 {
    let written = delta.iter().filter(|(name, _)| !is_around(name)).map(|(_, value)| text_bytes(value));
    written.fold(0, i64::saturating_add)
}

fn text_bytes(value: &Value) -> i64 {
    match value {
        Value::String(text) => i64::try_from(text.len()).unwrap_or(i64::MAX),
        Value::Array(values) => values.iter().map(text_bytes).fold(0, i64::saturating_add),
        Value::Object(fields) => delta_bytes(fields),
        _ => 0,
    }
}

/// Returns whether a field identifies its element. Such a field is repeated whole, while other text
/// is continued from part to part.
fn is_around(name: &str) -> bool {
    matches!(name, "role" | "index" | "id" | "type")
}

/// Adds the fields of a part to those of a value. Returns how much its weight has grown.
fn merge_fields(into: &mut Map<String, Value>, delta: &Map<String, Value>) -> usize {
    delta.iter().map(|(name, value)| merge_field(into, name, value)).sum()
}

fn merge_field(into: &mut Map<String, Value>, name: &str, value: &Value) -> usize {
    match into.get_mut(name) {
        Some(old) if !is_around(name) => merge(old, value),
        _ if value.is_null() => 0,
        Some(old) => {
            let before = weight(old);
            *old = first(value);
            weight(old).saturating_sub(before)
        }
        None => {
            let value = first(value);
            let grown = weight_of_field(name, &value);
            into.insert(name.to_owned(), value);
            grown
        }
    }
}

/// Returns the first value of a field. Elements of a list are merged, because they may already be
/// several parts of one element.
fn first(value: &Value) -> Value {
    match value {
        Value::Array(_) => {
            let mut list = Value::Array(Vec::new());
            merge(&mut list, value);
            list
        }
        other => other.clone(),
    }
}

/// Adds a part to a value: appends text, merges objects field by field, and merges elements of
/// lists by their `index`, if any. Returns how much its weight has grown.
fn merge(into: &mut Value, part: &Value) -> usize {
    match (into, part) {
        (_, Value::Null) => 0,
        (Value::String(into), Value::String(part)) => {
            into.push_str(part);
            escaped_bytes(part)
        }
        (Value::Object(into), Value::Object(part)) => merge_fields(into, part),
        (Value::Array(into), Value::Array(part)) => {
            part.iter().map(|element| merge_element(into, element)).sum()
        }
        (into, part) => {
            let before = weight(into);
            *into = part.clone();
            weight(into).saturating_sub(before)
        }
    }
}

fn merge_element(into: &mut Vec<Value>, element: &Value) -> usize {
    let index = element.get("index").filter(|index| index.is_number());
    let same = index.and_then(|index| {
        let mut last = into.iter_mut().rev().take(ELEMENTS_LOOKED_AT);
        last.find(|old| old.get("index") == Some(index))
    });
    match same {
        Some(old) => merge(old, element),
        None => {
            into.push(element.clone());
            weight(element)
        }
    }
}

#[cfg(test)]
mod tests;
