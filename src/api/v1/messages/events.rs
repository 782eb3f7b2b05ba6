//! Writes the events of a stream. Blocks never overlap: a block begins when the one before it has
//! ended, in whatever order the parts arrive.

use std::collections::VecDeque;

use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::json;

use super::Messages;
use super::write::{Block, Stops, call_id, id, usage};
use crate::api::event_stream::add_event;
use crate::chat::{Event, Receipt, Started};
use crate::domain::{RequestId, Usage};
use crate::responder::{Delta, Piece, ToolCall};

/// Writes the events of one stream.
pub(super) struct Events {
    chat_id: i64,
    model: String,
    shows_thinking: bool,
    stops: Stops,
    prompt_tokens: i64,
    request_id: RequestId,
    has_started: bool,
    blocks: Blocks,
}

impl Events {
    /// Prepares the events of a stream.
    pub(super) fn new(started: &Started, request: Messages) -> Events {
        Events {
            chat_id: started.chat_id,
            model: started.model.clone(),
            shows_thinking: request.shows_thinking,
            stops: request.stops,
            prompt_tokens: request.prompt_tokens,
            request_id: request.request_id,
            has_started: false,
            blocks: Blocks::default(),
        }
    }

    /// Writes an event. The result is empty if there is nothing to send.
    pub(super) fn write(&mut self, what: Event) -> Bytes {
        let mut out = Vec::new();
        match what {
            Event::Piece(piece) => self.piece(*piece, &mut out),
            Event::Done(receipt) => self.end(&receipt, &mut out),
            // No `message_stop` follows: a client must not take half an answer for a whole one.
            Event::Failed(error) => {
                put(&mut out, "error", &error.anthropic_body(Some(self.request_id)));
            }
        }
        out.into()
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let counted = usage(Usage { prompt_tokens: self.prompt_tokens, ..Usage::default() });
        let message = json!({
            "id": id(self.chat_id), "type": "message", "role": "assistant", "model": self.model,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": counted,
        });
        put(out, "message_start", &json!({ "type": "message_start", "message": message }));
        put(out, "ping", &json!({ "type": "ping" }));
    }

    fn piece(&mut self, piece: Piece, out: &mut Vec<u8>) {
        if piece.choice != 0 || !piece.brings_something() {
            return;
        }
        self.start(out);
        let Delta { text, reasoning, refusal, tool_calls, .. } = piece.delta;
        if self.shows_thinking {
            self.blocks.add(Kind::Thinking, reasoning.text, out);
        }
        self.blocks.add(Kind::Text, text, out);
        self.blocks.add(Kind::Refusal, refusal, out);
        for (position, call) in tool_calls.into_iter().enumerate() {
            self.call(position, call, out);
        }
    }

    fn call(&mut self, position: usize, mut call: ToolCall, out: &mut Vec<u8>) {
        // Calls are numbered by their position. Very old stored ones have no number.
        let position = call.index.and_then(|index| usize::try_from(index).ok()).unwrap_or(position);
        let input = std::mem::take(&mut call.input);
        // Only the first part of a call has its name.
        if !call.name.is_empty() || !call.id.is_empty() {
            let id = call_id(self.chat_id, position, &call);
            self.blocks.announce(position, id, call.name, out);
        }
        self.blocks.add(Kind::Call(position), input, out);
    }

    fn end(&mut self, receipt: &Receipt, out: &mut Vec<u8>) {
        self.start(out);
        self.blocks.end(out);
        let (reason, stop) = self.stops.ended(receipt.answer.choices().first());
        let delta = json!({ "stop_reason": reason, "stop_sequence": stop });
        let counted = usage(receipt.usage);
        put(out, "message_delta", &json!({ "type": "message_delta", "delta": delta, "usage": counted }));
        put(out, "message_stop", &json!({ "type": "message_stop" }));
    }
}

fn put(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    add_event(out, Some(name), data);
}

/// What a block contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Thinking,
    Text,
    Refusal,
    /// A call of a tool, by its position among the calls.
    Call(usize),
}

/// The blocks of a stream.
#[derive(Default)]
struct Blocks {
    /// The number of blocks that have begun.
    begun: usize,
    /// The block to which parts are sent now.
    open: Option<Content>,
    /// Blocks that begin when the open one is complete. Only a call may be incomplete when
    /// something else arrives.
    waiting: VecDeque<Content>,
    /// The positions of calls that have ended.
    ended: Vec<usize>,
}

/// The content of a block that has not ended.
struct Content {
    kind: Kind,
    /// The id and the name of a call.
    call: Option<(String, String)>,
    /// What has arrived of a block that waits, and of a call.
    text: String,
}

impl Content {
    fn new(kind: Kind) -> Content {
        Content { kind, call: None, text: String::new() }
    }

    /// Returns whether the block may end. Of an object, everything has arrived when it parses. A
    /// call without any input may still get some.
    fn may_end(&self) -> bool {
        match self.kind {
            Kind::Call(_) => {
                self.text.trim_end().ends_with('}')
                    && serde_json::from_str::<serde::de::IgnoredAny>(&self.text).is_ok()
            }
            _ => true,
        }
    }
}

impl Blocks {
    /// Begins a call, at once or when the open block is complete.
    fn announce(&mut self, position: usize, id: String, name: String, out: &mut Vec<u8>) {
        let kind = Kind::Call(position);
        if self.find(kind).is_none() && !self.ended.contains(&position) {
            self.begin(Content { call: Some((id, name)), ..Content::new(kind) }, out);
        }
    }

    /// Adds content of a kind.
    fn add(&mut self, kind: Kind, text: String, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.open.as_ref().is_some_and(|open| open.kind == kind) {
            self.delta(kind, &text, out);
            if let (Kind::Call(_), Some(open)) = (kind, &mut self.open) {
                open.text.push_str(&text);
                self.go_on(out);
            }
            return;
        }
        match (self.find(kind), kind) {
            (Some(waiting), _) => waiting.text.push_str(&text),
            // What follows a complete object is not part of it, and the client has it already.
            (None, Kind::Call(_)) => {}
            (None, _) => self.begin(Content { text, ..Content::new(kind) }, out),
        }
    }

    /// Finds a block that has not ended. A text continues only the last one, so that the order of
    /// texts and thoughts is kept.
    fn find(&mut self, kind: Kind) -> Option<&mut Content> {
        match kind {
            Kind::Call(_) => {
                self.open.iter_mut().chain(&mut self.waiting).find(|content| content.kind == kind)
            }
            _ => self.waiting.back_mut().filter(|content| content.kind == kind),
        }
    }

    fn begin(&mut self, content: Content, out: &mut Vec<u8>) {
        self.waiting.push_back(content);
        self.go_on(out);
    }

    /// Ends the open block if another one waits, and begins that, as long as blocks may end.
    fn go_on(&mut self, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() && self.open.as_ref().is_none_or(Content::may_end) {
            self.next(out);
        }
    }

    /// Ends all blocks.
    fn end(&mut self, out: &mut Vec<u8>) {
        while self.open.is_some() || !self.waiting.is_empty() {
            self.next(out);
        }
    }

    /// Ends the open block and begins the one that has waited the longest, if there are any.
    fn next(&mut self, out: &mut Vec<u8>) {
        if let Some(open) = self.open.take() {
            let index = self.begun.saturating_sub(1);
            match open.kind {
                Kind::Thinking => put_delta(out, index, &BlockDelta::SignatureDelta { signature: "" }),
                Kind::Call(position) => self.ended.push(position),
                Kind::Text | Kind::Refusal => {}
            }
            put(out, "content_block_stop", &json!({ "type": "content_block_stop", "index": index }));
        }
        let Some(content) = self.waiting.pop_front() else { return };
        let index = self.begun;
        self.begun += 1;
        let block = match (content.kind, &content.call) {
            (Kind::Thinking, _) => Block::Thinking { thinking: "", signature: "" },
            (Kind::Call(_), Some((id, name))) => Block::ToolUse { id: id.clone(), name, input: json!({}) },
            _ => Block::Text { text: "" },
        };
        let start = BlockStart { r#type: "content_block_start", index, content_block: block };
        put(out, "content_block_start", &start);
        if !content.text.is_empty() {
            self.delta(content.kind, &content.text, out);
        }
        self.open = Some(content);
    }

    /// Sends a part of the block that began last.
    fn delta(&self, kind: Kind, text: &str, out: &mut Vec<u8>) {
        let delta = match kind {
            Kind::Thinking => BlockDelta::ThinkingDelta { thinking: text },
            Kind::Text | Kind::Refusal => BlockDelta::TextDelta { text },
            Kind::Call(_) => BlockDelta::InputJsonDelta { partial_json: text },
        };
        put_delta(out, self.begun.saturating_sub(1), &delta);
    }
}

#[derive(Serialize)]
struct BlockStart<'a> {
    r#type: &'static str,
    index: usize,
    content_block: Block<'a>,
}

#[derive(Serialize)]
struct BlockPart<'a> {
    r#type: &'static str,
    index: usize,
    delta: &'a BlockDelta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "these are the names of the protocol")]
enum BlockDelta<'a> {
    TextDelta { text: &'a str },
    ThinkingDelta { thinking: &'a str },
    SignatureDelta { signature: &'a str },
    InputJsonDelta { partial_json: &'a str },
}

fn put_delta(out: &mut Vec<u8>, index: usize, delta: &BlockDelta<'_>) {
    put(out, "content_block_delta", &BlockPart { r#type: "content_block_delta", index, delta });
}

#[cfg(test)]
mod tests;
