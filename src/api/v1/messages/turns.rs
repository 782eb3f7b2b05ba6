//! Translates the messages of a conversation. Where chat completions have messages of their own
//! (tool results), one message becomes several; messages of one role in a row become one, since
//! templates of many models want the roles to alternate.

use serde_json::{Map, Value, json};

use super::super::fields::RETURNED;
use super::content::{BETWEEN_TEXTS, block, not_offered, readable, text, text_part, wrong};
use crate::error::Result;
use crate::responder::{Content, Message, Part};

/// Begins the block in which Claude Code tells Anthropic's billing of itself. It differs from chat
/// to chat, so that no cache of prompts would work behind it.
const BILLING: &str = "x-anthropic-billing-header:";

/// A turn of a conversation, as chat completions have it.
#[derive(Debug)]
enum Turn {
    System(String),
    User(Vec<Part>),
    Assistant { text: String, calls: Vec<Value> },
    Tool { call: String, result: String },
}

/// A conversation that is being translated.
#[derive(Debug, Default)]
pub(super) struct Turns(Vec<Turn>);

impl Turns {
    /// Begins with the `system` of a request: a text, or blocks of text. Returns `None` if it is
    /// neither.
    pub(super) fn of_system(system: Option<Value>) -> Option<Turns> {
        let mut turns = Turns::default();
        match system {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => turns.system(text),
            Some(Value::Array(blocks)) => {
                let texts: Option<Vec<String>> = blocks.into_iter().map(text_of).collect();
                let mut texts = texts?;
                texts.retain(|text| !text.starts_with(BILLING));
                turns.system(texts.join(BETWEEN_TEXTS));
            }
            Some(_) => return None,
        }
        Some(turns)
    }

    /// Adds a message of the request.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn add(&mut self, message: Value) -> Result<()> {
        let Value::Object(mut fields) = message else {
            return Err(wrong("give a list of objects with \"role\" and \"content\""));
        };
        let blocks = match fields.remove("content") {
            Some(Value::String(text)) => vec![json!({ "type": "text", "text": text })],
            Some(Value::Array(blocks)) => blocks,
            _ => return Err(wrong("give each message a \"content\": a text, or a list of blocks")),
        };
        match fields.get("role").and_then(Value::as_str) {
            Some("user") => self.user(blocks),
            Some("assistant") => self.assistant(blocks),
            Some("system") => {
                let texts: Option<Vec<String>> = blocks.into_iter().map(text_of).collect();
                let texts = texts.ok_or_else(|| wrong("give a \"system\" message blocks of text"))?;
                self.system(texts.join(BETWEEN_TEXTS));
                Ok(())
            }
            _ => Err(wrong("give each message the \"role\" \"user\" or \"assistant\"")),
        }
    }

    /// Returns the messages, and whether there are others than instructions.
    pub(super) fn into_messages(self) -> (Vec<Message>, bool) {
        let says_something = self.0.iter().any(|turn| !matches!(turn, Turn::System(_)));
        (self.0.into_iter().map(Turn::into_message).collect(), says_something)
    }

    fn system(&mut self, text: String) {
        if !text.is_empty() {
            self.0.push(Turn::System(text));
        }
    }

    /// Adds what the user said. The results of tools come first, because chat completions want them
    /// right after the calls.
    fn user(&mut self, blocks: Vec<Value>) -> Result<()> {
        let (mut results, mut of_results, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        let mut instructions = Vec::new();
        for value in blocks {
            let (mut fields, kind) = block(value)?;
            match kind.as_str() {
                "tool_result" => results.push(tool_result(fields, &mut of_results)?),
                "mid_conv_system" => {
                    let blocks = fields.remove("content");
                    let texts = blocks.and_then(|blocks| match blocks {
                        Value::Array(blocks) => blocks.into_iter().map(text_of).collect::<Option<Vec<_>>>(),
                        _ => None,
                    });
                    let texts = texts.ok_or_else(|| wrong("give \"mid_conv_system\" blocks of text"))?;
                    instructions.push(texts.join(BETWEEN_TEXTS));
                }
                other => match readable(fields, other)? {
                    Some(more) => parts.extend(more),
                    None => return Err(not_offered(other, "leave them out of what the user says")),
                },
            }
        }
        let at = self.place_of_results();
        self.0.splice(at..at, results);
        of_results.append(&mut parts);
        match self.0.last_mut() {
            _ if of_results.is_empty() => {}
            Some(Turn::User(said)) => said.append(&mut of_results),
            _ => self.0.push(Turn::User(of_results)),
        }
        instructions.into_iter().for_each(|text| self.system(text));
        Ok(())
    }

    /// Returns where results of tools belong: after the calls, even if the user has said something
    /// in between.
    fn place_of_results(&self) -> usize {
        match &self.0[..] {
            [.., Turn::Tool { .. }, Turn::User(_)] => self.0.len() - 1,
            [.., Turn::Assistant { calls, .. }, Turn::User(_)] if !calls.is_empty() => self.0.len() - 1,
            all => all.len(),
        }
    }

    /// Adds what the model said. Its thoughts are left out.
    fn assistant(&mut self, blocks: Vec<Value>) -> Result<()> {
        let (mut said, mut called) = (String::new(), Vec::new());
        for value in blocks {
            let (mut fields, kind) = block(value)?;
            match kind.as_str() {
                "text" => said.push_str(&text(&mut fields, "text", "text")?),
                "tool_use" => called.push(tool_call(fields)?),
                "thinking" | "redacted_thinking" => {}
                other => return Err(not_offered(other, "leave them out of what the model said")),
            }
        }
        match self.0.last_mut() {
            _ if said.is_empty() && called.is_empty() => {}
            Some(Turn::Assistant { text, calls }) => {
                text.push_str(&said);
                calls.append(&mut called);
            }
            _ => self.0.push(Turn::Assistant { text: said, calls: called }),
        }
        Ok(())
    }
}

/// Returns the text of a block. `None` if it is not one of text.
fn text_of(block: Value) -> Option<String> {
    match block {
        Value::Object(mut fields) if fields.get("type").is_none_or(|kind| kind == "text") => {
            match fields.remove("text") {
                Some(Value::String(text)) => Some(text),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Translates a call that the model made.
fn tool_call(mut fields: Map<String, Value>) -> Result<Value> {
    let (id, name) = (text(&mut fields, "id", "tool_use")?, text(&mut fields, "name", "tool_use")?);
    let input = match fields.remove("input") {
        None | Some(Value::Null) => json!({}),
        Some(input @ Value::Object(_)) => input,
        Some(_) => return Err(wrong("give a block of the type \"tool_use\" an object as its \"input\"")),
    };
    let function = json!({ "name": name, "arguments": input.to_string() });
    Ok(json!({ "id": id, "type": "function", "function": function }))
}

/// Translates the result of a call. What is not text of it, such as a picture, is added to `media`:
/// a `tool` message takes only text.
fn tool_result(mut fields: Map<String, Value>, media: &mut Vec<Part>) -> Result<Turn> {
    let call = text(&mut fields, "tool_use_id", "tool_result")?;
    let has_failed = fields.get("is_error") == Some(&Value::Bool(true));
    let mut texts = Vec::new();
    match fields.remove("content") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => texts.push(text),
        Some(Value::Array(blocks)) => {
            for value in blocks {
                let (mut fields, kind) = block(value)?;
                if kind == "tool_reference" {
                    let name = text(&mut fields, "tool_name", &kind)?;
                    texts.push(format!("The tool {name} can be used."));
                    continue;
                }
                let parts = readable(fields, &kind)?
                    .ok_or_else(|| not_offered(&kind, "give texts and images as the result of a tool"))?;
                for part in parts {
                    match part {
                        Part::Text(part) => texts.extend(part["text"].as_str().map(str::to_owned)),
                        medium @ Part::Medium(..) => {
                            if media.is_empty() {
                                media.push(text_part(RETURNED));
                            }
                            media.push(medium);
                        }
                    }
                }
            }
        }
        Some(_) => return Err(wrong("give a \"tool_result\" a text or a list of blocks as its \"content\"")),
    }
    let mut result = texts.join(BETWEEN_TEXTS);
    if has_failed {
        result.insert_str(0, "Error: ");
    }
    Ok(Turn::Tool { call, result })
}

impl Turn {
    fn into_message(self) -> Message {
        match self {
            Turn::System(text) => Message::of_text("system", &text),
            Turn::User(parts) => {
                let content = match <[Part; 1]>::try_from(parts) {
                    Ok([part]) => alone(part),
                    Err(parts) => Content::Parts(parts),
                };
                Message { role: "user".to_owned(), content: Some(content), more: Map::new() }
            }
            Turn::Assistant { text, calls } if calls.is_empty() => Message::of_text("assistant", &text),
            Turn::Assistant { text, calls } => {
                let content = if text.is_empty() { Content::Other(Value::Null) } else { Content::Text(text) };
                let more = Map::from_iter([("tool_calls".to_owned(), Value::Array(calls))]);
                Message { role: "assistant".to_owned(), content: Some(content), more }
            }
            Turn::Tool { call, result } => {
                let more = Map::from_iter([("tool_call_id".to_owned(), Value::String(call))]);
                Message { role: "tool".to_owned(), content: Some(Content::Text(result)), more }
            }
        }
    }
}

/// Returns the content of a single part. A text needs no list.
fn alone(part: Part) -> Content {
    match part {
        Part::Text(Value::Object(mut fields)) => match fields.remove("text") {
            Some(Value::String(text)) => Content::Text(text),
            _ => Content::Parts(vec![Part::Text(fields.into())]),
        },
        other => Content::Parts(vec![other]),
    }
}
