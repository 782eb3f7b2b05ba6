//! Writes the events of a stream. Items open and close as the model writes, and each event has a
//! number.

use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::custom::InputReader;
use super::names::ToolName;
use super::shape::Shape;
use super::write::{
    COMPLETED, FAILED, Head, IN_PROGRESS, Input, Now, Part, Response, call, call_id, encrypted_of,
    id_of_call, item_id, logprobs_in, message, reasoning, status_of,
};
use crate::api::event_stream::add_event;
use crate::chat::{Event, Receipt, Started};
use crate::domain::Endpoint;
use crate::error::Error;
use crate::responder::{Piece, ToolCall};

/// Writes the events of one stream.
pub(super) struct Events {
    chat_id: i64,
    model: String,
    created_at: i64,
    shape: Shape,
    /// What is to be sent.
    text: Vec<u8>,
    /// The number of the next event.
    sequence: u64,
    /// The position of the next item.
    next: usize,
    /// The item of text or thoughts that is open. At most one is.
    open: Option<Open>,
    /// The calls, which may arrive by turns, so that they stay open until the end.
    calls: Vec<OpenCall>,
}

/// An open item of text or thoughts.
struct Open {
    at: usize,
    id: String,
    is_reasoning: bool,
    /// Its complete parts.
    parts: Vec<Value>,
    /// The part that grows.
    part: Part,
    grown: String,
    logprobs: Vec<Value>,
}

/// An open call.
struct OpenCall {
    at: usize,
    id: String,
    call_id: String,
    tool: ToolName,
    input: String,
    is_custom: bool,
    /// Reads the input of a custom tool from the arguments of its function. `None` if it arrives as
    /// it is.
    reader: Option<InputReader>,
}

impl OpenCall {
    fn item(&self, status: &str) -> Value {
        let input = if self.is_custom { Input::Custom(&self.input) } else { Input::Arguments(&self.input) };
        call(&self.id, &self.call_id, &self.tool, input, status)
    }

    /// Adds to the input. Returns the event that says so, if anything is added.
    fn grow<'a>(&'a mut self, delta: &'a str) -> Option<Grown<'a>> {
        if delta.is_empty() {
            return None;
        }
        self.input.push_str(delta);
        let name = match self.is_custom {
            true => "response.custom_tool_call_input.delta",
            false => "response.function_call_arguments.delta",
        };
        Some(Grown { item_id: &self.id, output_index: self.at, ..Grown::new(name, delta) })
    }

    /// Returns the name of the event that has the whole input, and of its field.
    fn done(&self) -> (&'static str, &'static str) {
        match self.is_custom {
            true => ("response.custom_tool_call_input.done", "input"),
            false => ("response.function_call_arguments.done", "arguments"),
        }
    }
}

impl Open {
    fn item(&self, parts: Vec<Value>, status: &str) -> Value {
        if self.is_reasoning {
            return reasoning(&self.id, parts, None, status);
        }
        message(&self.id, parts, status)
    }

    /// Adds text to the part that grows. Returns the event that says so.
    fn grow<'a>(&'a mut self, delta: &'a str, logprobs: Vec<Value>) -> Grown<'a> {
        self.grown.push_str(delta);
        let known = self.logprobs.len();
        self.logprobs.extend(logprobs);
        let name = match self.part {
            Part::Text => "response.output_text.delta",
            Part::Refusal => "response.refusal.delta",
            Part::Reasoning => "response.reasoning_text.delta",
            Part::Summary => "response.reasoning_summary_text.delta",
        };
        let (index, is_summary) = (Some(self.parts.len()), self.part == Part::Summary);
        Grown {
            item_id: &self.id,
            output_index: self.at,
            summary_index: index.filter(|_| is_summary),
            content_index: index.filter(|_| !is_summary),
            logprobs: (self.part == Part::Text).then(|| &self.logprobs[known..]),
            ..Grown::new(name, delta)
        }
    }

    /// Returns the name of the event that has the whole part.
    fn done(&self) -> &'static str {
        match self.part {
            Part::Text => "response.output_text.done",
            Part::Refusal => "response.refusal.done",
            Part::Reasoning => "response.reasoning_text.done",
            Part::Summary => "response.reasoning_summary_text.done",
        }
    }

    /// Returns the name of an event that opens or closes the part.
    fn name_of_part(&self, what: &str) -> String {
        let part = if self.part == Part::Summary { "reasoning_summary_part" } else { "content_part" };
        format!("response.{part}.{what}")
    }

    /// Returns the fields that all events of the part have.
    fn place(&self) -> Value {
        let index = if self.part == Part::Summary { "summary_index" } else { "content_index" };
        json!({ "item_id": self.id, "output_index": self.at, index: self.parts.len() })
    }
}

/// An event that adds text. A stream has one for each chunk, so it borrows all that it contains.
#[derive(Serialize)]
struct Grown<'a> {
    r#type: &'static str,
    sequence_number: u64,
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [Value]>,
}

impl<'a> Grown<'a> {
    fn new(r#type: &'static str, delta: &'a str) -> Grown<'a> {
        Grown {
            r#type,
            sequence_number: 0,
            item_id: "",
            output_index: 0,
            summary_index: None,
            content_index: None,
            delta,
            logprobs: None,
        }
    }

    /// Adds the event to what is to be sent, as the event of number `sequence`.
    fn send(mut self, out: &mut Vec<u8>, sequence: &mut u64) {
        self.sequence_number = take_number(sequence);
        add_event(out, Some(self.r#type), &self);
    }
}

/// An event that has the response in its state.
#[derive(Serialize)]
struct Stated<'a> {
    r#type: &'static str,
    sequence_number: u64,
    response: Response<'a>,
}

/// Takes the number of the next event.
fn take_number(sequence: &mut u64) -> u64 {
    *sequence += 1;
    *sequence - 1
}

impl Events {
    /// Prepares the events of a stream.
    pub(super) fn new(started: &Started, shape: Shape) -> Events {
        Events {
            chat_id: started.chat_id,
            model: started.model.clone(),
            created_at: started.created_at.and_utc().timestamp(),
            shape,
            text: Vec::new(),
            sequence: 0,
            next: 0,
            open: None,
            calls: Vec::new(),
        }
    }

    /// Writes an event. The first one is preceded by those that begin the response.
    pub(super) fn write(&mut self, what: Event) -> Bytes {
        if self.sequence == 0 {
            for name in ["response.created", "response.in_progress"] {
                self.state(name, Now { status: IN_PROGRESS, ..Now::default() });
            }
        }
        match what {
            // Only one choice was asked for.
            Event::Piece(piece) if piece.choice > 0 => {}
            Event::Piece(piece) => self.piece(*piece),
            Event::Done(receipt) => self.end(&receipt),
            Event::Failed(error) => self.fail(&error),
        }
        std::mem::take(&mut self.text).into()
    }

    /// Adds an event to what is to be sent.
    fn send(&mut self, name: &str, fields: Value) {
        let mut data = json!({ "type": name, "sequence_number": take_number(&mut self.sequence) });
        if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
            data.extend(fields);
        }
        add_event(&mut self.text, Some(name), &data);
    }

    fn state(&mut self, name: &'static str, now: Now) {
        let head = Head { chat_id: self.chat_id, model: &self.model, created_at: self.created_at };
        let sequence_number = take_number(&mut self.sequence);
        let response = Response::new(head, &self.shape, now);
        add_event(&mut self.text, Some(name), &Stated { r#type: name, sequence_number, response });
    }

    fn piece(&mut self, piece: Piece) {
        let Piece { delta, logprobs, .. } = piece;
        self.grow(Part::of_thoughts(&self.shape), &delta.reasoning.text, Vec::new());
        let logprobs = if self.shape.with_logprobs { logprobs_in(logprobs.as_ref()) } else { Vec::new() };
        self.grow(Part::Text, &delta.text, logprobs);
        self.grow(Part::Refusal, &delta.refusal, Vec::new());
        for call in delta.tool_calls {
            self.call(call);
        }
    }

    /// Adds text to a part. Opens the part, and its item, if they are not open.
    fn grow(&mut self, part: Part, text: &str, logprobs: Vec<Value>) {
        if text.is_empty() {
            return;
        }
        let is_reasoning = part.is_of_thoughts();
        if self.open.as_ref().is_some_and(|open| open.is_reasoning != is_reasoning) {
            self.close(COMPLETED);
        }
        let open = match self.open.take() {
            Some(mut open) if open.part != part => {
                self.close_part(&mut open);
                self.open_part(&mut open, part);
                open
            }
            Some(open) => open,
            None => self.open_item(part),
        };
        self.open.insert(open).grow(text, logprobs).send(&mut self.text, &mut self.sequence);
    }

    fn open_item(&mut self, part: Part) -> Open {
        let is_reasoning = part.is_of_thoughts();
        let at = self.next_place();
        let id = item_id(if is_reasoning { "rs" } else { "msg" }, self.chat_id, at);
        let (parts, grown, logprobs) = (Vec::new(), String::new(), Vec::new());
        let mut open = Open { at, id, is_reasoning, parts, part, grown, logprobs };
        let item = open.item(Vec::new(), IN_PROGRESS);
        self.send("response.output_item.added", json!({ "output_index": at, "item": item }));
        self.open_part(&mut open, part);
        open
    }

    fn next_place(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn open_part(&mut self, open: &mut Open, part: Part) {
        open.part = part;
        let mut fields = open.place();
        fields["part"] = part.write("", &[]);
        self.send(&open.name_of_part("added"), fields);
    }

    fn close_part(&mut self, open: &mut Open) {
        let (text, logprobs) = (std::mem::take(&mut open.grown), std::mem::take(&mut open.logprobs));
        let written = open.part.write(&text, &logprobs);
        let mut fields = open.place();
        match open.part {
            Part::Refusal => fields["refusal"] = text.into(),
            Part::Reasoning | Part::Summary => fields["text"] = text.into(),
            Part::Text => {
                fields["text"] = text.into();
                fields["logprobs"] = logprobs.into();
            }
        }
        self.send(open.done(), fields);
        let mut fields = open.place();
        fields["part"] = written.clone();
        self.send(&open.name_of_part("done"), fields);
        open.parts.push(written);
    }

    /// Closes the open item of text or thoughts, if there is one.
    fn close(&mut self, status: &str) {
        let Some(mut open) = self.open.take() else { return };
        self.close_part(&mut open);
        let parts = std::mem::take(&mut open.parts);
        let item = open.item(parts, status);
        self.send("response.output_item.done", json!({ "output_index": open.at, "item": item }));
    }

    /// Adds a part of a call.
    fn call(&mut self, part: ToolCall) {
        let place = part.index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        if place >= self.calls.len() {
            self.close(COMPLETED);
            let at = self.next_place();
            let (chat_id, is_custom) = (self.chat_id, self.shape.is_custom(&part));
            let (id, call_id) = (id_of_call(is_custom, chat_id, at), call_id(&part, chat_id));
            let (tool, input) = (self.shape.tool_name(&part.name), String::new());
            let reader = (is_custom && !part.is_custom).then(InputReader::default);
            let open = OpenCall { at, id, call_id, tool, input, is_custom, reader };
            let item = open.item(IN_PROGRESS);
            self.calls.push(open);
            self.send("response.output_item.added", json!({ "output_index": at, "item": item }));
        }
        let place = place.min(self.calls.len() - 1);
        let open = &mut self.calls[place];
        let delta = match &mut open.reader {
            Some(reader) => reader.read(&part.input),
            None => part.input,
        };
        if let Some(event) = open.grow(&delta) {
            event.send(&mut self.text, &mut self.sequence);
        }
    }

    fn close_call(&mut self, mut open: OpenCall, status: &str) {
        let rest = open.reader.as_mut().map(InputReader::end).unwrap_or_default();
        if let Some(event) = open.grow(&rest) {
            event.send(&mut self.text, &mut self.sequence);
        }
        let (name, field) = open.done();
        let mut fields = json!({ "item_id": open.id, "output_index": open.at });
        if !open.is_custom {
            fields["name"] = open.tool.name.clone().into();
        }
        fields[field] = open.input.clone().into();
        self.send(name, fields);
        let done = json!({ "output_index": open.at, "item": open.item(status) });
        self.send("response.output_item.done", done);
    }

    /// Closes all that is open, in order. `status` is that of the last item.
    fn close_all(&mut self, status: &str, is_last: bool) {
        let last = self.next.saturating_sub(1);
        let status_at = |at: usize| if is_last && at == last { status } else { COMPLETED };
        let open_at = self.open.as_ref().map_or(usize::MAX, |open| open.at);
        let calls = std::mem::take(&mut self.calls);
        let (before, after): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.at < open_at);
        for call in before {
            let status = status_at(call.at);
            self.close_call(call, status);
        }
        self.close(status_at(open_at));
        for call in after {
            let status = status_at(call.at);
            self.close_call(call, status);
        }
    }

    fn end(&mut self, receipt: &Receipt) {
        let status = status_of(receipt);
        let choice = receipt.answer.choices().first();
        let encrypted = choice.and_then(encrypted_of).filter(|_| self.shape.with_encrypted);
        self.close_all(status, encrypted.is_none());
        if let Some(encrypted) = encrypted {
            let at = self.next_place();
            let id = item_id("rs", self.chat_id, at);
            for (name, status) in
                [("response.output_item.added", IN_PROGRESS), ("response.output_item.done", status)]
            {
                let item = reasoning(&id, Vec::new(), Some(&encrypted), status);
                self.send(name, json!({ "output_index": at, "item": item }));
            }
        }
        let name = if status == COMPLETED { "response.completed" } else { "response.incomplete" };
        let sequence_number = take_number(&mut self.sequence);
        let response = Response::ended(receipt, &self.shape);
        add_event(&mut self.text, Some(name), &Stated { r#type: name, sequence_number, response });
        self.text.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Ends a stream that broke. What was open stays so. Some clients overlook `response.failed`,
    /// and would take half an answer for a whole one, or ask again without end. `error` stops all
    /// of them.
    fn fail(&mut self, error: &Error) {
        let error = error.openai_body(Some(Endpoint::Responses))["error"].take();
        let why = json!({ "code": error["code"], "message": error["message"] });
        self.send("error", json!({ "error": error }));
        self.state("response.failed", Now { status: FAILED, error: why, ..Now::default() });
        self.text.extend_from_slice(b"data: [DONE]\n\n");
    }
}
