//! The items of an input, and the messages that they become.

use serde_json::{Map, Value, json};

use super::super::fields::{RETURNED, invalid};
use super::custom;
use super::foreign::{self, Foreign};
use super::item::{text, wrong};
use super::names::{Joined, ToolName};
use super::shape::place_of_item;
use super::write::REASONING_DETAILS;
use crate::error::{Error, Result};
use crate::responder::{Content, Message, Part};

/// Returns the items of an input: each an object with its `type`. `may_be_empty`: whether the
/// request continues a response, so that the model has something to read without them.
pub(super) fn parse(input: Option<Value>, may_be_empty: bool) -> Result<Vec<Value>> {
    let items = match input {
        Some(Value::String(text)) => {
            vec![json!({ "type": "message", "role": "user", "content": text })]
        }
        Some(Value::Array(items)) if may_be_empty || !items.is_empty() => items,
        None | Some(Value::Null) if may_be_empty => Vec::new(),
        _ => return Err(invalid("input", "give a text, or a list of items")),
    };
    items.into_iter().map(with_type).collect()
}

/// Names the type of an item that leaves it out: a message, or a reference.
fn with_type(item: Value) -> Result<Value> {
    let Value::Object(mut fields) = item else { return Err(wrong("give items as objects")) };
    let is_missing = fields.get("type").is_none_or(Value::is_null);
    if is_missing && fields.contains_key("role") {
        fields.insert("type".to_owned(), "message".into());
    } else if is_missing && fields.contains_key("id") {
        fields.insert("type".to_owned(), "item_reference".into());
    }
    Ok(fields.into())
}

/// Returns the place that an item refers to. `None` if it refers to nothing.
///
/// # Errors
/// [`Error::Invalid`] if no item of this server has such an id.
pub(super) fn reference(item: &Value) -> Result<Option<(i64, usize)>> {
    if item["type"] != "item_reference" {
        return Ok(None);
    }
    let place = item["id"].as_str().and_then(place_of_item);
    place.map(Some).ok_or_else(|| no_such_item(&item["id"]))
}

/// The error of a reference that leads nowhere.
pub(super) fn no_such_item(id: &Value) -> Error {
    wrong(&format!(
        "no item with the id {id} is stored: send the item itself, as most clients do with \"store\": false"
    ))
}

/// Translates items into messages. `joined`: the tools of namespaces, as the upstream knows them.
///
/// # Errors
/// [`Error::Invalid`], naming what is wrong or not offered.
pub(super) fn messages(items: Vec<Value>, joined: &Joined) -> Result<Vec<Message>> {
    let mut writer = Writer { joined, messages: Vec::new(), turn: None, media: Vec::new() };
    for item in items {
        let Value::Object(item) = item else { continue };
        writer.item(item)?;
    }
    Ok(writer.end())
}

/// Puts messages together.
struct Writer<'a> {
    joined: &'a Joined,
    messages: Vec<Message>,
    /// What the assistant says and calls at one time becomes one message.
    turn: Option<Turn>,
    /// What tools returned that is not text.
    media: Vec<Part>,
}

/// Stands in a tool's result that has no text.
const SEE_NEXT: &str = "(see the next message)";

/// Stands between texts that become one.
const BETWEEN_TEXTS: &str = "\n\n";

/// A message of the assistant that may go on.
#[derive(Default)]
struct Turn {
    text: Option<String>,
    refusal: String,
    calls: Vec<Value>,
    details: Vec<Value>,
}

impl Writer<'_> {
    fn item(&mut self, mut item: Map<String, Value>) -> Result<()> {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "message" => self.message(item)?,
            "function_call" => {
                let (name, arguments) = (self.tool_name(&mut item)?, text(&mut item, "arguments")?);
                let call_id = text(&mut item, "call_id")?;
                self.called(call_id, &name, &arguments);
            }
            "custom_tool_call" => {
                let (name, input) = (self.tool_name(&mut item)?, text(&mut item, "input")?);
                let call_id = text(&mut item, "call_id")?;
                self.called(call_id, &name, &custom::arguments(&input));
            }
            "function_call_output" | "custom_tool_call_output" => {
                let call_id = text(&mut item, "call_id")?;
                let content = content(match item.remove("output") {
                    output @ Some(Value::String(_) | Value::Array(_)) => output,
                    None | Some(Value::Null) => Some(String::new().into()),
                    Some(other) => Some(other.to_string().into()),
                })?;
                self.returned(call_id, content);
            }
            "reasoning" => {
                if let Some(Value::String(encrypted)) = item.remove("encrypted_content")
                    && let Some(details) = details(&encrypted)
                {
                    self.turn().details.extend(details);
                }
            }
            "" => return Err(wrong("give each item a \"type\"")),
            kind => match foreign::read(kind, item)? {
                Foreign::Call { call_id, name, arguments } => self.called(call_id, &name, &arguments),
                Foreign::Returned { call_id, text } => self.returned(call_id, Content::Text(text)),
                Foreign::Both { call_id, name, arguments, text } => {
                    self.called(call_id.clone(), &name, &arguments);
                    self.returned(call_id, Content::Text(text));
                }
                Foreign::Nothing => {}
            },
        }
        Ok(())
    }

    /// Adds a call of a function to what the assistant says.
    fn called(&mut self, call_id: String, name: &str, arguments: &str) {
        let function = json!({ "name": name, "arguments": arguments });
        self.turn().calls.push(json!({ "id": call_id, "type": "function", "function": function }));
    }

    /// Adds what a tool returned.
    fn returned(&mut self, call_id: String, content: Content) {
        // The calls come before what they returned.
        self.close();
        let content = Some(Content::Text(self.result(content)));
        let more = Map::from_iter([("tool_call_id".to_owned(), call_id.into())]);
        self.messages.push(Message { role: "tool".to_owned(), content, more });
    }

    /// Takes the name of the tool of a call, as the upstream knows it.
    fn tool_name(&self, item: &mut Map<String, Value>) -> Result<String> {
        let namespace = match item.remove("namespace") {
            None | Some(Value::Null) => None,
            Some(Value::String(namespace)) => Some(namespace).filter(|namespace| !namespace.is_empty()),
            Some(_) => return Err(wrong("give the \"namespace\" of a call as text")),
        };
        Ok(ToolName { namespace, name: text(item, "name")? }.passed(self.joined))
    }

    fn message(&mut self, mut item: Map<String, Value>) -> Result<()> {
        let role = text(&mut item, "role")?;
        let given = item.remove("content");
        match role.as_str() {
            "assistant" => self.said(given)?,
            "user" => {
                let content = Some(content(given)?);
                self.push(Message { role, content, more: Map::new() });
            }
            // Most models know no developer.
            "system" | "developer" => {
                let content = Some(content(given)?);
                self.push(Message { role: "system".to_owned(), content, more: Map::new() });
            }
            _ => return Err(wrong("give the \"role\" user, assistant, system or developer")),
        }
        Ok(())
    }

    /// Adds what the assistant said.
    fn said(&mut self, content: Option<Value>) -> Result<()> {
        let (mut said, mut refusal) = (String::new(), String::new());
        match content {
            Some(Value::String(text)) => said = text,
            Some(Value::Array(parts)) => {
                for mut part in parts {
                    let field = match part["type"].as_str() {
                        Some("output_text" | "input_text" | "text") => "text",
                        Some("refusal") => "refusal",
                        _ => return Err(wrong("give an assistant's content as output_text or refusal")),
                    };
                    let Value::String(text) = part[field].take() else {
                        return Err(wrong("give each part of a content its text"));
                    };
                    let into = if field == "text" { &mut said } else { &mut refusal };
                    into.push_str(&text);
                }
            }
            _ => return Err(wrong("give the \"content\" of a message")),
        }
        if self.turn.as_ref().is_some_and(|turn| turn.text.is_some() && turn.calls.is_empty()) {
            self.close();
        }
        let turn = self.turn();
        match &mut turn.text {
            None => turn.text = Some(said),
            Some(text) => {
                text.push_str(BETWEEN_TEXTS);
                text.push_str(&said);
            }
        }
        turn.refusal.push_str(&refusal);
        Ok(())
    }

    fn turn(&mut self) -> &mut Turn {
        self.turn.get_or_insert_default()
    }

    /// Adds a message of the user or the system.
    fn push(&mut self, mut message: Message) {
        self.close();
        if message.role == "user" && !self.media.is_empty() {
            let mut parts = std::mem::take(&mut self.media);
            match message.content {
                Some(Content::Text(text)) => parts.push(text_part(&text)),
                Some(Content::Parts(more)) => parts.extend(more),
                Some(Content::Other(_)) | None => {}
            }
            message.content = Some(Content::Parts(parts));
        }
        self.show_media();
        self.messages.push(message);
    }

    /// Returns the text of a tool's result. A message of a tool takes only text, so that anything
    /// else goes into a message of the user, after the last result.
    fn result(&mut self, content: Content) -> String {
        let parts = match content {
            Content::Text(text) => return text,
            Content::Parts(parts) => parts,
            Content::Other(value) => return value.to_string(),
        };
        let has_parts = !parts.is_empty();
        let mut texts = Vec::new();
        for part in parts {
            match part {
                Part::Text(part) => texts.extend(part["text"].as_str().map(str::to_owned)),
                medium @ Part::Medium(..) => {
                    if self.media.is_empty() {
                        self.media.push(text_part(RETURNED));
                    }
                    self.media.push(medium);
                }
            }
        }
        if texts.is_empty() && has_parts { SEE_NEXT.to_owned() } else { texts.join(BETWEEN_TEXTS) }
    }

    /// Adds what tools returned that is not text.
    fn show_media(&mut self) {
        if !self.media.is_empty() {
            let content = Some(Content::Parts(std::mem::take(&mut self.media)));
            self.messages.push(Message { role: "user".to_owned(), content, more: Map::new() });
        }
    }

    /// Ends the assistant's message.
    fn close(&mut self) {
        let Some(Turn { text, refusal, calls, details }) = self.turn.take() else { return };
        if text.is_none() && calls.is_empty() {
            return;
        }
        self.show_media();
        let mut more = Map::new();
        if !refusal.is_empty() {
            more.insert("refusal".to_owned(), refusal.into());
        }
        if !calls.is_empty() {
            more.insert("tool_calls".to_owned(), calls.into());
        }
        if !details.is_empty() {
            more.insert(REASONING_DETAILS.to_owned(), details.into());
        }
        let content = match text.filter(|text| !text.is_empty() || more.is_empty()) {
            Some(text) => Content::Text(text),
            None => Content::Other(Value::Null),
        };
        self.messages.push(Message { role: "assistant".to_owned(), content: Some(content), more });
    }

    fn end(mut self) -> Vec<Message> {
        self.close();
        self.show_media();
        self.messages
    }
}

/// Makes the messages of the system with which a conversation begins one: templates of many models
/// reject a second one.
pub(super) fn with_one_beginning(mut messages: Vec<Message>) -> Vec<Message> {
    let leading = messages.iter().take_while(|message| message.role == "system" && is_text(message)).count();
    if leading < 2 {
        return messages;
    }
    let texts = messages.iter().take(leading).flat_map(Message::texts).filter(|text| !text.is_empty());
    let text = texts.collect::<Vec<_>>().join(BETWEEN_TEXTS);
    messages.splice(..leading, [Message::of_text("system", &text)]);
    messages
}

fn is_text(message: &Message) -> bool {
    match &message.content {
        Some(Content::Text(_)) => true,
        Some(Content::Parts(parts)) => parts.iter().all(|part| matches!(part, Part::Text(_))),
        Some(Content::Other(_)) | None => false,
    }
}

fn text_part(text: &str) -> Part {
    Part::Text(json!({ "type": "text", "text": text }))
}

/// Returns the entries of a reasoning that only the upstream can read. This server sent a list of
/// them; anything else comes from another provider, and this one's upstreams cannot read it.
fn details(encrypted: &str) -> Option<Vec<Value>> {
    let entries: Vec<Value> = serde_json::from_str(encrypted).ok()?;
    (!entries.is_empty() && entries.iter().all(Value::is_object)).then_some(entries)
}

/// Translates a content. A single text is written as text, which every model takes.
fn content(content: Option<Value>) -> Result<Content> {
    let parts = match content {
        Some(Value::String(text)) => return Ok(Content::Text(text)),
        Some(Value::Array(parts)) => parts.into_iter().map(part).collect::<Result<Vec<_>>>()?,
        _ => return Err(wrong("give the \"content\" of a message")),
    };
    if let [single] = parts.as_slice()
        && single["type"] == "text"
        && let Some(text) = single["text"].as_str()
    {
        return Ok(Content::Text(text.to_owned()));
    }
    let message = Message::parse(json!({ "role": "user", "content": parts }));
    message.and_then(|message| message.content).ok_or_else(|| wrong("give the \"content\" of a message"))
}

/// Translates a part of a content.
fn part(part: Value) -> Result<Value> {
    let Value::Object(mut fields) = part else { return Err(wrong("give parts of a content as objects")) };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let refuse = |fields: &Map<String, Value>, name: &str, instead: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(wrong(&format!("{name:?} is not offered: {instead}"))),
    };
    match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            Ok(json!({ "type": "text", "text": text(&mut fields, "text")? }))
        }
        "input_image" => {
            refuse(&fields, "file_id", "give the \"image_url\"")?;
            let mut image = Map::from_iter([("url".to_owned(), text(&mut fields, "image_url")?.into())]);
            if let Some(detail @ Value::String(_)) = fields.remove("detail") {
                image.insert("detail".to_owned(), detail);
            }
            Ok(json!({ "type": "image_url", "image_url": image }))
        }
        "input_file" => {
            refuse(&fields, "file_id", "give the \"file_data\"")?;
            refuse(&fields, "file_url", "give the \"file_data\"")?;
            let mut file = Map::from_iter([("file_data".to_owned(), text(&mut fields, "file_data")?.into())]);
            if let Some(name @ Value::String(_)) = fields.remove("filename") {
                file.insert("filename".to_owned(), name);
            }
            Ok(json!({ "type": "file", "file": file }))
        }
        "input_audio" if fields.contains_key("input_audio") => {
            Ok(json!({ "type": "input_audio", "input_audio": fields["input_audio"].take() }))
        }
        other => Err(wrong(&format!("parts of the type {other:?} are not offered: leave them out"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(items: Value) -> Value {
        let Value::Array(items) = items else { panic!("{items}") };
        json!(messages(items, &Joined::new()).unwrap())
    }

    fn call(id: &str) -> Value {
        json!({ "type": "function_call", "call_id": id, "name": "f", "arguments": "{}" })
    }

    fn output(id: &str, output: Value) -> Value {
        json!({ "type": "function_call_output", "call_id": id, "output": output })
    }

    #[test]
    fn pictures_of_tools_follow_the_last_result() {
        let picture = json!({ "type": "input_image", "image_url": "data:image/png;base64,QQ==" });
        let text = json!({ "type": "input_text", "text": "seen" });
        let results =
            [output("a", json!([picture])), output("b", json!([text, picture])), output("c", "3".into())];
        let [a, b, c] = results.clone();
        let user = json!({ "type": "message", "role": "user", "content": "and?" });
        let tool = |id: &str, text: &str| json!({ "role": "tool", "content": text, "tool_call_id": id });
        let shown = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,QQ==" } });
        let returned = json!({ "type": "text", "text": RETURNED });
        let mut of_user = vec![returned, shown.clone(), shown];
        let all = written(json!([call("a"), call("b"), call("c"), a, b, c, call("d")]));
        assert_eq!(
            json!(all.as_array().unwrap()[1..5]),
            json!([tool("a", SEE_NEXT), tool("b", "seen"), tool("c", "3"), { "role": "user", "content": of_user }])
        );
        assert_eq!(all[5]["role"], "assistant");
        let [a, b, c] = results;
        of_user.push(json!({ "type": "text", "text": "and?" }));
        let all = written(json!([call("a"), call("b"), call("c"), a, b, c, user]));
        assert_eq!(json!(all.as_array().unwrap()[4..]), json!([{ "role": "user", "content": of_user }]));
    }

    #[test]
    fn the_calls_of_a_namespace_have_one_name() {
        let tool = ToolName::of("mcp__docs__", "search");
        let joined = Joined::from([("mcp__docs__search".to_owned(), tool)]);
        let mut item = call("a");
        item["name"] = "search".into();
        item["namespace"] = "mcp__docs__".into();
        let all = json!(messages(vec![item], &joined).unwrap());
        assert_eq!(all[0]["tool_calls"][0]["function"]["name"], "mcp__docs__search");
    }

    #[test]
    fn a_conversation_begins_with_one_message_of_the_system() {
        let of = |role: &str, text: &str| json!({ "type": "message", "role": role, "content": text });
        let items = json!([of("system", "b"), of("developer", "c"), of("user", "hi"), of("system", "d")]);
        let Value::Array(items) = items else { panic!() };
        let mut all = vec![Message::of_text("system", "a")];
        all.extend(messages(items, &Joined::new()).unwrap());
        let all = json!(with_one_beginning(all));
        let system = |text: &str| json!({ "role": "system", "content": text });
        assert_eq!(all, json!([system("a\n\nb\n\nc"), { "role": "user", "content": "hi" }, system("d")]));
    }

    #[test]
    fn the_secrets_of_other_providers_are_dropped() {
        let own = json!([{ "type": "reasoning.encrypted", "data": "s" }]);
        assert_eq!(details(&own.to_string()), own.as_array().cloned());
        for other in ["gAAAAABm", "\"text\"", "[]", "[1]", "{}"] {
            assert_eq!(details(other), None, "{other}");
        }
    }
}
