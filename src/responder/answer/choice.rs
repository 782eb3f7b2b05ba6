//! One choice of an answer, put together from its parts.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::super::surrogates::Joiner;
use super::super::weight::{escaped_bytes, weight};
use super::Piece;
use super::finish_reason::FinishReason;
use super::merge::{merge_fields, replace_halves, replace_halves_in};
use super::message::{Delta, Reasoning, has_output_in, write_fields};
use super::order::{Extent, Kind, Order};
use super::tool_calls::{ToolCall, ToolCalls};

/// A choice of an answer: what the model wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    text: String,
    reasoning: Reasoning,
    refusal: String,
    calls: ToolCalls,
    more: Map<String, Value>,
    order: Order,
    /// Why it ended. `None` if it has not ended.
    pub finish_reason: Option<FinishReason>,
    /// The stop sequence that ended it. `None` if none did, or the upstream does not say which.
    pub met_stop: Option<String>,
    /// The log probabilities of its tokens. `None` if there are none, or they were dropped.
    pub logprobs: Option<Value>,
    text_joiner: Joiner,
    reasoning_joiner: Joiner,
    refusal_joiner: Joiner,
}

/// A part of a choice, in the order in which the model wrote them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Segment<'a> {
    /// Thoughts.
    Reasoning(&'a str),
    /// Text.
    Text(&'a str),
    /// The text of a refusal.
    Refusal(&'a str),
    /// A tool call.
    Call(&'a ToolCall),
}

/// How much the weight of a choice has grown.
#[derive(Default)]
pub(super) struct Growth {
    /// Of everything but the text and the log probabilities.
    pub rest: usize,
    /// Of the log probabilities.
    pub logprobs: usize,
}

impl Choice {
    /// Restores a stored choice.
    pub(super) fn stored(
        delta: Delta,
        order: Option<&str>,
        finish_reason: FinishReason,
        logprobs: Option<Value>,
    ) -> Choice {
        let Delta { text, reasoning, refusal, tool_calls, more } = delta;
        let calls = ToolCalls::stored(tool_calls);
        let finish_reason = Some(finish_reason);
        let mut choice =
            Choice { text, reasoning, refusal, calls, more, finish_reason, logprobs, ..Choice::default() };
        let order = order.and_then(Order::parse);
        choice.order = order.unwrap_or_else(|| Order::usual(choice.extent()));
        choice
    }

    fn extent(&self) -> Extent {
        Extent {
            reasoning: self.reasoning.text.len(),
            text: self.text.len(),
            refusal: self.refusal.len(),
            calls: self.calls.iter().count(),
        }
    }

    /// Returns the order of its segments, as it is stored. `None` for the usual order.
    pub(super) fn stored_order(&self) -> Option<String> {
        self.order.stored(self.extent())
    }

    /// Returns the parts of the choice, in the order in which the model wrote them.
    pub fn segments(&self) -> Vec<Segment<'_>> {
        let extent = self.extent();
        let in_order = self.order.spans(extent).and_then(|spans| self.segments_of(spans));
        let usual = || self.segments_of(Order::usual(extent).spans(extent)?);
        in_order.or_else(usual).unwrap_or_default()
    }

    /// Returns the segments with these lengths. `None` if one would end within a character.
    fn segments_of(&self, spans: &[(Kind, usize)]) -> Option<Vec<Segment<'_>>> {
        let mut reasoning = self.reasoning.text.as_str();
        let (mut text, mut refusal) = (self.text.as_str(), self.refusal.as_str());
        let mut calls = self.calls.iter();
        let segment = |(kind, bytes): &(Kind, usize)| {
            Some(match kind {
                Kind::Reasoning => Segment::Reasoning(split_off(&mut reasoning, *bytes)?),
                Kind::Text => Segment::Text(split_off(&mut text, *bytes)?),
                Kind::Refusal => Segment::Refusal(split_off(&mut refusal, *bytes)?),
                Kind::Call => Segment::Call(calls.next()?),
            })
        };
        spans.iter().map(segment).collect()
    }

    /// Returns a field that this server does not interpret.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.more.get(name)
    }

    /// Returns the refusal. `None` if the model did not refuse.
    pub fn refusal(&self) -> Option<&str> {
        Some(self.refusal.as_str()).filter(|refusal| !refusal.is_empty())
    }

    /// Returns the text. `None` if there is none, for example only tool calls.
    pub fn text(&self) -> Option<&str> {
        Some(self.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Returns what the model thought. Its text is empty if the upstream shows none.
    pub fn reasoning(&self) -> &Reasoning {
        &self.reasoning
    }

    /// Returns whether the model thought, as far as the upstream shows it.
    pub fn has_reasoning(&self) -> bool {
        !self.reasoning.text.is_empty()
    }

    /// Returns whether the choice answers anything: by a text, a refusal, a tool call, or a medium.
    /// Thoughts alone do not.
    pub fn has_output(&self) -> bool {
        !self.text.is_empty()
            || !self.refusal.is_empty()
            || !self.calls.is_empty()
            || has_output_in(&self.more)
    }

    /// Returns whether everything besides the text is missing.
    pub(super) fn is_only_text(&self) -> bool {
        self.reasoning.text.is_empty()
            && self.refusal.is_empty()
            && self.calls.is_empty()
            && self.more.is_empty()
    }

    /// Adds a part. Returns what clients have to get of it, with each complete value once.
    pub(super) fn add(&mut self, piece: Piece, with_logprobs: bool, growth: &mut Growth) -> Piece {
        let Piece { choice, delta, finish_reason, met_stop, logprobs, has_halves, embeddings: _ } = piece;
        let mut news = self.add_delta(delta, has_halves, growth);
        let finish_reason = finish_reason.filter(|_| self.finish_reason.is_none());
        if finish_reason.is_some() {
            self.end(&mut news);
            self.finish_reason.clone_from(&finish_reason);
            growth.rest += met_stop.as_ref().map_or(0, |stop| escaped_bytes(stop));
            self.met_stop = met_stop;
        }
        growth.rest += self.order.note(&news);
        let mut logprobs = logprobs.filter(|_| with_logprobs);
        if let Some(part) = &mut logprobs {
            if has_halves {
                replace_halves_in(part);
            }
            growth.logprobs += append(self.logprobs.get_or_insert(Value::Null), part);
        }
        Piece { choice, delta: news, finish_reason, logprobs, ..Piece::default() }
    }

    fn add_delta(&mut self, delta: Delta, has_halves: bool, growth: &mut Growth) -> Delta {
        let Delta { text, reasoning, refusal, tool_calls, mut more } = delta;
        let joined = |joiner: &mut Joiner, part: String| match has_halves || joiner.is_waiting() {
            true => joiner.join(part),
            false => part,
        };
        let mut news = Delta { text: joined(&mut self.text_joiner, text), ..Delta::default() };
        self.text.push_str(&news.text);
        if !reasoning.text.is_empty() {
            let field = reasoning.field;
            self.reasoning.field = field;
            let text = joined(&mut self.reasoning_joiner, reasoning.text);
            growth.rest += escaped_bytes(&text);
            self.reasoning.text.push_str(&text);
            news.reasoning = Reasoning { text, field };
        }
        news.refusal = joined(&mut self.refusal_joiner, refusal);
        growth.rest += escaped_bytes(&news.refusal);
        self.refusal.push_str(&news.refusal);
        for call in tool_calls {
            growth.rest += self.calls.add(call, has_halves, &mut news.tool_calls);
        }
        if has_halves {
            replace_halves(&mut more);
        }
        let (more, grown) = merge_fields(&mut self.more, more);
        growth.rest += grown;
        news.more = more;
        news
    }

    /// Ends the texts: a half of a character that waits for its other half is replaced.
    fn end(&mut self, news: &mut Delta) {
        for (joiner, text, new) in [
            (&mut self.text_joiner, &mut self.text, &mut news.text),
            (&mut self.reasoning_joiner, &mut self.reasoning.text, &mut news.reasoning.text),
            (&mut self.refusal_joiner, &mut self.refusal, &mut news.refusal),
        ] {
            let rest = joiner.end();
            text.push_str(rest);
            new.push_str(rest);
        }
        self.calls.end(&mut news.tool_calls);
    }

    /// Drops everything but the text.
    pub(super) fn keep_only_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        let (finish_reason, logprobs) = (self.finish_reason.take(), self.logprobs.take());
        *self = Choice { text, finish_reason, logprobs, ..Choice::default() };
        self.order = Order::usual(self.extent());
    }

    /// Returns the choice as parts: one, or if its order is unusual, one for each segment.
    pub(super) fn as_pieces(&self, choice: usize) -> Vec<Piece> {
        let (finish_reason, logprobs) = (self.finish_reason.clone(), self.logprobs.clone());
        if self.stored_order().is_none() {
            let delta = Delta {
                text: self.text.clone(),
                reasoning: self.reasoning.clone(),
                refusal: self.refusal.clone(),
                tool_calls: self.calls.iter().cloned().collect(),
                more: self.more.clone(),
            };
            return vec![Piece { choice, delta, finish_reason, logprobs, ..Piece::default() }];
        }
        let piece = |segment| Piece { choice, delta: self.delta_of(segment), ..Piece::default() };
        let mut pieces: Vec<_> = self.segments().into_iter().map(piece).collect();
        let mut logprobs = logprobs;
        if let Some(first) = pieces.iter_mut().find(|piece| !piece.delta.text.is_empty()) {
            first.logprobs = logprobs.take();
        }
        let delta = Delta { more: self.more.clone(), ..Delta::default() };
        pieces.push(Piece { choice, delta, finish_reason, logprobs, ..Piece::default() });
        pieces
    }

    fn delta_of(&self, segment: Segment<'_>) -> Delta {
        let mut delta = Delta::default();
        match segment {
            Segment::Reasoning(text) => {
                delta.reasoning = Reasoning { text: text.to_owned(), field: self.reasoning.field };
            }
            Segment::Text(text) => text.clone_into(&mut delta.text),
            Segment::Refusal(text) => text.clone_into(&mut delta.refusal),
            Segment::Call(call) => delta.tool_calls.push(call.clone()),
        }
        delta
    }

    /// Writes the message without its text, as it is stored.
    pub(super) fn write_besides_text<M: SerializeMap>(&self, fields: &mut M) -> Result<(), M::Error> {
        write_fields(fields, &self.reasoning, &self.refusal, self.calls.iter(), &self.more, true)
    }

    fn write_calls_unnumbered<M: SerializeMap>(&self, fields: &mut M) -> Result<(), M::Error> {
        write_fields(fields, &self.reasoning, &self.refusal, self.calls.iter(), &self.more, false)
    }

    /// Returns the tool calls.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.calls.iter()
    }
}

/// A choice as the protocol's `message`: it has a role, and a content that is `null` beside tool
/// calls.
impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("role", "assistant")?;
        if self.text.is_empty()
            && (!self.calls.is_empty() || !self.refusal.is_empty() || !self.more.is_empty())
        {
            fields.serialize_entry("content", &())?;
        } else {
            fields.serialize_entry("content", &self.text)?;
        }
        self.write_calls_unnumbered(&mut fields)?;
        fields.end()
    }
}

/// Takes so many bytes from the beginning of a text. `None` if that is within a character.
fn split_off<'a>(text: &mut &'a str, bytes: usize) -> Option<&'a str> {
    let (first, rest) = text.split_at_checked(bytes)?;
    *text = rest;
    Some(first)
}

/// Adds a part to log probabilities: lists are joined, and other values replaced. Returns how much
/// the weight has grown.
fn append(into: &mut Value, part: &Value) -> usize {
    match (into, part) {
        (_, Value::Null) => 0,
        (Value::Object(into), Value::Object(part)) => {
            let grown = part.iter().map(|(name, part)| match into.get_mut(name) {
                Some(into) => append(into, part),
                None => {
                    into.insert(name.clone(), part.clone());
                    weight(part)
                }
            });
            grown.sum()
        }
        (Value::Array(into), Value::Array(part)) => {
            into.extend(part.iter().cloned());
            part.iter().map(weight).sum()
        }
        (into, part) => {
            let before = weight(into);
            into.clone_from(part);
            weight(into).saturating_sub(before)
        }
    }
}
