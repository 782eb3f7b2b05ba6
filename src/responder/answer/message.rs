//! The form of a message in the OpenAI protocol, in which answers arrive, are stored and are sent.

use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};

use super::tool_calls::ToolCall;

/// What the model thought before it answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// The text.
    pub text: String,
    /// The field in which the upstream sends it.
    pub field: ReasoningField,
}

/// The field of a message that holds its reasoning. The protocol has none; upstreams use either
/// name, and some use both for the same text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningField {
    /// `reasoning_content`, as DeepSeek calls it.
    #[default]
    ReasoningContent,
    /// `reasoning`, as OpenRouter calls it.
    Reasoning,
    /// Both.
    Both,
}

impl ReasoningField {
    fn names(self) -> &'static [&'static str] {
        match self {
            ReasoningField::ReasoningContent => &["reasoning_content"],
            ReasoningField::Reasoning => &["reasoning"],
            ReasoningField::Both => &["reasoning_content", "reasoning"],
        }
    }
}

/// Fields that are an answer by themselves. Upstreams add many others to each part, such as
/// `token_id` or `annotations`.
const OUTPUT: [&str; 5] = ["audio", "function_call", "images", "content_parts", "video"];

/// Returns whether one of these fields is an answer.
pub(super) fn has_output_in(fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(name, value)| OUTPUT.contains(&name.as_str()) && !is_nothing(value))
}

/// The new content of one choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// Text.
    pub text: String,
    /// What the model thinks.
    pub reasoning: Reasoning,
    /// The text of a refusal.
    pub refusal: String,
    /// Tool calls, or parts of them.
    pub tool_calls: Vec<ToolCall>,
    /// Fields that this server does not interpret. They are passed on.
    pub more: Map<String, Value>,
}

/// The error of a content that is neither text nor a list of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMessage;

/// The field for parts of a content that are neither text nor reasoning.
const OTHER_PARTS: &str = "content_parts";

impl Delta {
    /// Parses a message, or a part of one.
    ///
    /// # Errors
    /// The content is neither text nor a list of parts.
    pub fn parse(mut fields: Map<String, Value>) -> Result<Delta, NotAMessage> {
        fields.remove("role");
        let mut delta = Delta::default();
        match fields.remove("content") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => delta.text = text,
            Some(Value::Array(parts)) => parts.into_iter().for_each(|part| delta.take_part(part)),
            Some(part @ Value::Object(_)) => delta.take_part(part),
            Some(_) => return Err(NotAMessage),
        }
        delta.take_reasoning(&mut fields);
        if let Some(Value::String(refusal)) = fields.get_mut("refusal") {
            delta.refusal.push_str(&std::mem::take(refusal));
            fields.remove("refusal");
        }
        match fields.remove("tool_calls") {
            Some(Value::Array(calls)) => {
                delta.tool_calls = calls.into_iter().filter_map(ToolCall::parse).collect()
            }
            Some(call @ Value::Object(_)) => delta.tool_calls.extend(ToolCall::parse(call)),
            _ => {}
        }
        fields.retain(|_, value| !value.is_null());
        delta.more.append(&mut fields);
        Ok(delta)
    }

    fn take_reasoning(&mut self, fields: &mut Map<String, Value>) {
        let mut text = |name: &str| match fields.get_mut(name) {
            Some(Value::String(text)) => Some(std::mem::take(text)),
            _ => None,
        };
        let (content, plain) = (text("reasoning_content"), text("reasoning"));
        for (name, text) in [("reasoning_content", &content), ("reasoning", &plain)] {
            if text.is_some() {
                fields.remove(name);
            }
        }
        let (field, text) = match (content, plain) {
            (Some(content), Some(plain)) if content == plain => (ReasoningField::Both, content),
            (Some(content), Some(plain)) if content.is_empty() => (ReasoningField::Reasoning, plain),
            (Some(content), Some(plain)) => (ReasoningField::ReasoningContent, content + &plain),
            (Some(content), None) => (ReasoningField::ReasoningContent, content),
            (None, Some(plain)) => (ReasoningField::Reasoning, plain),
            (None, None) => return,
        };
        self.reasoning.field = field;
        self.reasoning.text.push_str(&text);
    }

    /// Takes a part of a content: text, thoughts, a refusal, or something else.
    fn take_part(&mut self, part: Value) {
        let fields = match part {
            Value::String(text) => return self.text.push_str(&text),
            Value::Object(fields) => fields,
            Value::Null => return,
            other => return self.keep_part(other),
        };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or("text");
        match kind {
            "text" | "output_text" | "input_text" => match fields.get("text").and_then(inner_text) {
                Some(text) => self.text.push_str(&text),
                None => self.keep_part(fields.into()),
            },
            "thinking" | "reasoning" => {
                let names = ["thinking", "reasoning", "text", "content"];
                match names.iter().find_map(|name| inner_text(fields.get(*name)?)) {
                    Some(text) => self.reasoning.text.push_str(&text),
                    None => self.keep_part(fields.into()),
                }
            }
            "refusal" => match fields.get("refusal").and_then(inner_text) {
                Some(text) => self.refusal.push_str(&text),
                None => self.keep_part(fields.into()),
            },
            _ => self.keep_part(fields.into()),
        }
    }

    fn keep_part(&mut self, part: Value) {
        if part.as_object().is_some_and(Map::is_empty) {
            return;
        }
        if let Value::Array(parts) = self.more.entry(OTHER_PARTS).or_insert_with(|| json!([])) {
            parts.push(part);
        }
    }

    /// Returns whether the model wrote anything in it. Other fields go with what it wrote.
    pub fn brings_something(&self) -> bool {
        !(self.text.is_empty() && self.reasoning.text.is_empty() && self.refusal.is_empty())
            || self.tool_calls.iter().any(ToolCall::brings_something)
            || has_output_in(&self.more)
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Returns the text of a value: itself, its parts, or what it wraps.
fn inner_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => parts.iter().map(inner_text).collect(),
        Value::Object(fields) => inner_text(fields.get("text").or_else(|| fields.get("value"))?),
        _ => None,
    }
}

/// Writes the fields of a message other than its role and its content.
pub(super) fn write_fields<'a, M: SerializeMap>(
    fields: &mut M,
    reasoning: &Reasoning,
    refusal: &str,
    calls: impl Iterator<Item = &'a ToolCall>,
    more: &Map<String, Value>,
    are_calls_numbered: bool,
) -> Result<(), M::Error> {
    if !reasoning.text.is_empty() {
        for name in reasoning.field.names() {
            fields.serialize_entry(name, &reasoning.text)?;
        }
    }
    if !refusal.is_empty() {
        fields.serialize_entry("refusal", refusal)?;
    }
    let calls: Vec<Numbered<'_>> =
        calls.map(|call| Numbered { call, is_numbered: are_calls_numbered }).collect();
    if !calls.is_empty() {
        fields.serialize_entry("tool_calls", &calls)?;
    }
    for (name, value) in more {
        fields.serialize_entry(name, value)?;
    }
    Ok(())
}

/// A tool call, with its index or without: the index matters only in a stream.
struct Numbered<'a> {
    call: &'a ToolCall,
    is_numbered: bool,
}

impl serde::Serialize for Numbered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.call.write(serializer, self.is_numbered)
    }
}

/// A delta in the form of the protocol, without its role.
impl serde::Serialize for Delta {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        self.write(&mut fields)?;
        fields.end()
    }
}

impl Delta {
    /// Writes the fields that have a value into an object.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn write<M: SerializeMap>(&self, fields: &mut M) -> Result<(), M::Error> {
        if !self.text.is_empty() {
            fields.serialize_entry("content", &self.text)?;
        }
        write_fields(fields, &self.reasoning, &self.refusal, self.tool_calls.iter(), &self.more, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: Value) -> Result<Delta, NotAMessage> {
        let Value::Object(fields) = message else { panic!("no object") };
        Delta::parse(fields)
    }

    #[test]
    fn text_is_text_however_it_is_wrapped() {
        for content in [
            json!("Hello"),
            json!([{ "type": "text", "text": "Hel" }, { "type": "text", "text": "lo" }]),
            json!(["Hel", "lo"]),
            json!({ "type": "text", "text": { "value": "Hello" } }),
            json!([{ "text": "Hello" }, null, {}]),
        ] {
            assert_eq!(parse(json!({ "content": content })).unwrap().text, "Hello", "{content}");
        }
        for nothing in [json!(null), json!(""), json!([])] {
            let delta = parse(json!({ "role": "assistant", "content": nothing })).unwrap();
            assert!(!delta.brings_something(), "{nothing}");
        }
        assert_eq!(parse(json!({ "content": 5 })), Err(NotAMessage));
    }

    #[test]
    fn thoughts_in_the_content_are_reasoning() {
        let thinking = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] },
            { "type": "thinking", "thinking": "m" }, { "type": "text", "text": "Hi" },
            { "type": "reference", "reference_ids": [1] }]);
        let delta = parse(json!({ "content": thinking })).unwrap();
        assert_eq!((delta.text.as_str(), delta.reasoning.text.as_str()), ("Hi", "hmm"));
        assert_eq!(delta.more["content_parts"], json!([{ "type": "reference", "reference_ids": [1] }]));
    }

    #[test]
    fn reasoning_keeps_the_name_that_the_upstream_uses() {
        for message in [
            json!({ "reasoning_content": "hm" }),
            json!({ "reasoning": "hm" }),
            json!({ "reasoning": "hm", "reasoning_content": "hm" }),
        ] {
            let delta = parse(message.clone()).unwrap();
            assert_eq!(delta.reasoning.text, "hm");
            assert_eq!(json!(delta), message);
        }
        let object = json!({ "reasoning": { "effort": "low" } });
        assert_eq!(json!(parse(object.clone()).unwrap()), object);
    }

    #[test]
    fn unknown_fields_are_kept() {
        let message = json!({ "refusal": "no", "annotations": [1], "audio": { "id": "a" } });
        assert_eq!(json!(parse(message.clone()).unwrap()), message);
    }
}
