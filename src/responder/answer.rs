//! An answer as it arrives, part by part, and as a whole.

use serde_json::{Map, Value};

use super::usage::estimate;

/// Probabilities take up to a hundred times as much as the text that they are of: those of a longer answer are not stored.
const MOST_WITH_LOGPROBS: i64 = 1024;

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
}

impl Answer {
    pub fn of_text(text: &str) -> Answer {
        let mut answer = Answer::default();
        answer.add(&Piece { finish_reason: Some("stop".to_owned()), ..Piece::of_text(text) });
        answer
    }

    /// An answer as it was stored.
    pub fn stored(text: Option<String>, extras: Option<&str>) -> Answer {
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
        Answer { message, finish_reason, logprobs, pieces: 0, bytes: 0 }
    }

    /// What has to be stored besides the text, as JSON; `None`: nothing.
    pub fn extras(&self) -> Option<String> {
        let mut message = self.message.clone();
        message.remove("content");
        let mut extras = Map::new();
        if !message.is_empty() {
            extras.insert("message".to_owned(), message.into());
        }
        if let Some(reason) = self.finish_reason.as_deref().filter(|reason| *reason != "stop") {
            extras.insert("finish_reason".to_owned(), reason.into());
        }
        if let Some(logprobs) = self.logprobs.as_ref().filter(|_| self.bytes <= MOST_WITH_LOGPROBS) {
            extras.insert("logprobs".to_owned(), logprobs.clone());
        }
        (!extras.is_empty()).then(|| Value::from(extras).to_string())
    }

    /// Takes a part in.
    pub fn add(&mut self, piece: &Piece) {
        if piece.brings_something() {
            self.pieces += 1;
            self.bytes = self.bytes.saturating_add(piece.bytes());
        }
        merge_fields(&mut self.message, &piece.delta);
        self.message.remove("role");
        if piece.finish_reason.is_some() {
            self.finish_reason.clone_from(&piece.finish_reason);
        }
        if let Some(logprobs) = &piece.logprobs {
            merge(self.logprobs.get_or_insert(Value::Null), logprobs);
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

fn merge_fields(into: &mut Map<String, Value>, delta: &Map<String, Value>) {
    for (name, value) in delta {
        match into.get_mut(name) {
            Some(old) if !is_around(name) => merge(old, value),
            _ if value.is_null() => {}
            _ => {
                into.insert(name.clone(), first(value));
            }
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

/// Adds a part to a value: text goes on, objects field by field, elements of lists by their `index` where they have one.
fn merge(into: &mut Value, part: &Value) {
    match (into, part) {
        (_, Value::Null) => {}
        (Value::String(into), Value::String(part)) => into.push_str(part),
        (Value::Object(into), Value::Object(part)) => merge_fields(into, part),
        (Value::Array(into), Value::Array(part)) => {
            for element in part {
                let index = element.get("index").filter(|index| index.is_number());
                let same =
                    index.and_then(|index| into.iter_mut().find(|old| old.get("index") == Some(index)));
                match same {
                    Some(old) => merge(old, element),
                    None => into.push(element.clone()),
                }
            }
        }
        (into, part) => *into = part.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn piece(delta: Value) -> Piece {
        let Value::Object(delta) = delta else { panic!("no object") };
        Piece { delta, ..Piece::default() }
    }

    #[test]
    fn text_and_tool_calls_are_put_together_from_their_parts() {
        let mut answer = Answer::default();
        for delta in [
            json!({ "role": "assistant", "content": null }),
            json!({ "content": "Hel" }),
            json!({ "content": "lo" }),
            json!({ "tool_calls": [{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } }] }),
            json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"x\"" } }] }),
            json!({ "tool_calls": [{ "index": 1, "id": "b", "type": "function", "function": { "name": "g", "arguments": "{}" } },
                                   { "index": 0, "function": { "arguments": ":1}" } }] }),
        ] {
            answer.add(&piece(delta));
        }
        answer.add(&Piece { finish_reason: Some("tool_calls".into()), ..Piece::default() });
        assert_eq!(answer.text(), Some("Hello"));
        assert_eq!(
            answer.message().get("tool_calls"),
            Some(&json!([
                { "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "{\"x\":1}" } },
                { "index": 1, "id": "b", "type": "function", "function": { "name": "g", "arguments": "{}" } },
            ]))
        );
        assert_eq!(answer.pieces, 5, "the first part brings only the role");
    }

    #[test]
    fn an_answer_is_stored_and_read_back() {
        let mut answer = Answer::of_text("hi");
        assert_eq!(answer.extras(), None, "text that simply ends needs nothing besides");
        answer.finish_reason = Some("length".into());
        answer.add(&piece(json!({ "reasoning_content": "hm" })));
        let stored = Answer::stored(Some("hi".into()), answer.extras().as_deref());
        assert_eq!((stored.message(), stored.finish_reason.as_deref()), (answer.message(), Some("length")));
    }

    #[test]
    fn of_a_tool_call_only_what_the_model_wrote_counts() {
        let mut answer = Answer::default();
        let around = json!({ "index": 0, "id": "call_0123456789abcdef", "type": "function" });
        for arguments in ["{\"a\"", ":1}"] {
            let mut call = around.clone();
            call["function"] = json!({ "arguments": arguments });
            answer.add(&piece(json!({ "role": "assistant", "content": null, "tool_calls": [call] })));
        }
        assert_eq!((answer.bytes(), answer.tokens_estimate()), (7, 2));
    }

    #[test]
    fn what_arrived_is_a_token_for_each_part_or_four_bytes() {
        let mut answer = Answer::default();
        for _ in 0..3 {
            answer.add(&Piece::of_text("a"));
        }
        assert_eq!(answer.tokens_estimate(), 3);
        answer.add(&Piece::of_text(&"b".repeat(97)));
        assert_eq!(answer.tokens_estimate(), 25);
        answer.add(&Piece::of_text(""));
        assert_eq!(answer.tokens_estimate(), 25);
    }
}
