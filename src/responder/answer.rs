//! An answer as it arrives, part by part, and as a whole.

use serde_json::{Map, Value};

use super::bounds::AnswerBounds;
use super::weight::{escaped_bytes, weight, weight_of_field, weight_of_fields};
use crate::domain::{estimate, has_more_values};

/// Probabilities take up to a hundred times as much as the text that they are of: those of a longer answer are not stored.
const MOST_WITH_LOGPROBS: i64 = 1024;

/// Log probabilities that take more memory than this, in bytes, are not stored either.
const MOST_STORED_LOGPROBS: usize = 128 << 10;

/// The number of last elements of a list that are searched for the one that a part belongs to.
const ELEMENTS_LOOKED_AT: usize = 256;

/// Limits on the stored extras that are read, in bytes and in values. Nothing that large is stored now.
const MOST_STORED_EXTRAS: usize = 16 << 20;
const MOST_STORED_VALUES: usize = 100_000;

/// A part of an answer: a choice of the protocol's `chat.completion.chunk`, without its index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// What is new: `content`, `tool_calls`, `role`, …
    pub delta: Map<String, Value>,
    /// Why the answer ends; only the last part has it.
    pub finish_reason: Option<String>,
    pub logprobs: Option<Value>,
}

impl Piece {
    /// A part that is text.
    pub fn of_text(text: &str) -> Piece {
        let delta = Map::from_iter([("content".to_owned(), Value::from(text))]);
        Piece { delta, ..Piece::default() }
    }

    /// The text in it, if any.
    pub fn text(&self) -> &str {
        self.delta.get("content").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the approximate memory that it takes, in bytes.
    pub fn weight(&self) -> usize {
        weight_of_fields(&self.delta) + self.logprobs.as_ref().map_or(0, weight)
    }

    /// How many bytes of the answer it brings.
    pub fn bytes(&self) -> i64 {
        delta_bytes(&self.delta)
    }

    /// Whether it brings something of the answer: not only who speaks, or why it ends.
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
    pub finish_reason: Option<String>,
    pub logprobs: Option<Value>,
    /// Parts that brought something: each is a token at least.
    pieces: i64,
    bytes: i64,
    /// The approximate memory of everything that is kept except the text.
    rest: usize,
    logprobs_weight: usize,
}

/// The answer has exceeded its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond;

impl Answer {
    pub fn of_text(text: &str) -> Answer {
        let mut answer = Answer::default();
        answer.take(&Piece { finish_reason: Some("stop".to_owned()), ..Piece::of_text(text) });
        answer
    }

    /// An answer as it was stored.
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

    /// What has to be stored besides the text, as JSON; `None`: nothing.
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

    /// Adds a part if the answer stays within its limits. Log probabilities beyond their limit are dropped.
    /// If the rest is beyond its limit, only the text is kept.
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

    /// All of it as one part.
    pub fn as_piece(&self) -> Piece {
        let (finish_reason, logprobs) = (self.finish_reason.clone(), self.logprobs.clone());
        Piece { delta: self.message.clone(), finish_reason, logprobs }
    }

    /// The text of it. It may have none, but tool calls.
    pub fn text(&self) -> Option<&str> {
        self.message.get("content").and_then(Value::as_str)
    }

    /// The protocol's `message`, without its `role`.
    pub fn message(&self) -> &Map<String, Value> {
        &self.message
    }

    /// Whether anything of it has arrived.
    pub fn has_begun(&self) -> bool {
        self.pieces > 0
    }

    /// How many bytes of it have arrived.
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// About how many tokens have arrived: a part has one at least, and four bytes are one.
    pub fn tokens_estimate(&self) -> i64 {
        self.pieces.max(estimate(self.bytes))
    }
}

/// The bytes of what the model wrote: text, and the names and arguments of tool calls, without what is only around them.
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

/// What says which one it is comes whole, in each part that has it; all other text goes on.
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

/// A value that nothing was before: its list elements may already have several parts of one thing.
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

/// Adds a part to a value: appends text, merges objects field by field, and merges elements of lists by their
/// `index`, if any. Returns how much its weight has grown.
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
