//! The body of a request: what is passed on, translated, ignored and refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::fields::{flag, invalid, last_words, model, most_tokens, whole_number};
use super::input;
use super::shape::{Shape, chat_of_response};
use super::stored::{Continued, MOST_BYTES, MOST_UNASKED_BYTES, StoredRequest, fits};
use super::tools::Tools;
use crate::chat::Chain;
use crate::domain::{Endpoint, Fingerprint, Invalid};
use crate::error::{Error, Result};
use crate::responder::{Message, Question};

/// A parsed request.
pub(super) struct ResponseRequest {
    /// The question for the model.
    pub question: Question,
    /// The text that the user's chats show.
    pub message: String,
    /// Whether the client wants a stream.
    pub in_parts: bool,
    /// What the response repeats.
    pub shape: Shape,
    /// What it stores and continues.
    pub chain: Chain,
    /// Identifies the request, whichever way its answer is sent.
    pub fingerprint: Fingerprint,
}

/// Features that are not offered: they are refused unless the field is missing, `null`, false or an
/// empty list.
pub(in crate::api::v1) const NOT_OFFERED: [(&str, &str); 4] = [
    ("background", "leave it out, or give false: responses are answered at once"),
    ("conversation", "leave it out, and give \"previous_response_id\" or the whole input"),
    ("prompt", "leave it out, and give \"instructions\" and \"input\": stored prompts are not offered"),
    ("context_management", "leave it out: nothing is compacted. Give \"truncation\": \"auto\" instead"),
];

/// Fields that are passed on unchanged if they are given.
const PASSED_ON: [&str; 9] = [
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
];

/// What can be included.
pub(in crate::api::v1) const INCLUDED: [&str; 2] =
    ["reasoning.encrypted_content", "message.output_text.logprobs"];

/// What can be included of tools that are not offered, and of the input. There is never any of it.
pub(in crate::api::v1) const NEVER_THERE: [&str; 6] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
];

/// The most pairs of metadata.
const MOST_METADATA: usize = 16;
/// The most characters of a name, and of a value, in metadata.
const LONGEST_METADATA: (usize, usize) = (64, 512);

impl ResponseRequest {
    /// Parses a request. `stores`: whether this server stores responses.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field, if a field has a wrong type or value, or is not
    /// offered.
    pub(super) fn parse(mut body: Map<String, Value>, stores: bool) -> Result<ResponseRequest> {
        body.retain(|_, value| !value.is_null());
        let in_parts = flag(&body, "stream")?;
        for name in ["stream", "stream_options"] {
            body.remove(name);
        }
        let whole = Value::Object(body);
        let fingerprint = Fingerprint::of_json(Endpoint::Responses.path(), &whole);
        let Value::Object(mut body) = whole else { return Err(invalid("input", "give an object")) };
        for (name, reason) in NOT_OFFERED {
            match body.remove(name) {
                None | Some(Value::Bool(false)) => {}
                Some(Value::Array(list)) if list.is_empty() => {}
                Some(_) => return Err(invalid(name, reason)),
            }
        }
        Draft::new(body, stores)?.finish(in_parts, fingerprint)
    }
}

/// A request whose fields are taken one after the other.
struct Draft {
    body: Map<String, Value>,
    options: Map<String, Value>,
    /// What the response repeats.
    repeated: Map<String, Value>,
    shape: Shape,
    model: String,
    max_output: u32,
    items: Vec<Value>,
    previous: Option<i64>,
    is_stored: bool,
    notes: Vec<String>,
}

impl Draft {
    fn new(mut body: Map<String, Value>, stores: bool) -> Result<Draft> {
        let model = model(body.remove("model"))?;
        let max_output = most_tokens(&body, &["max_output_tokens"])?;
        let previous = previous(body.get("previous_response_id"))?;
        let items = input::parse(body.remove("input"), previous.is_some())?;
        if !stores && items.iter().any(|item| item["type"] == "item_reference") {
            let reason = "send the items themselves, not an item_reference: this server stores no responses \
                          (--store-responses off). Most clients, such as the AI SDK, do so with \"store\": \
                          false";
            return Err(invalid("input", reason));
        }
        let mut notes = Vec::new();
        let is_stored = match body.get("store") {
            None if stores && !fits(&items, MOST_UNASKED_BYTES) => {
                let note = "the response is not stored: its input has more than 256 KiB. \
                            Give \"store\": true to store up to 4 MiB";
                notes.push(note.to_owned());
                false
            }
            None => stores,
            Some(Value::Bool(true)) if !stores => {
                let reason =
                    "give false: the operator has set --store-responses to off, so nothing can be stored";
                return Err(invalid("store", reason));
            }
            Some(Value::Bool(true)) if !fits(&items, MOST_BYTES) => {
                return Err(invalid("store", "give false: an input of more than 4 MiB is not stored"));
            }
            Some(Value::Bool(wanted)) => *wanted,
            Some(_) => return Err(invalid("store", "give true or false")),
        };
        let (options, repeated, shape) = (Map::new(), Map::new(), Shape::default());
        Ok(Draft { body, options, repeated, shape, model, max_output, items, previous, is_stored, notes })
    }

    fn finish(mut self, in_parts: bool, fingerprint: Fingerprint) -> Result<ResponseRequest> {
        let instructions = self.instructions()?;
        let allows_cuts = self.truncation()?;
        self.fields()?;
        let chain =
            Chain { previous: self.previous, referenced: referenced(&self.items)?, ..Chain::default() };
        let is_alone = chain.previous.is_none() && chain.referenced.is_empty();
        let asked = Asked { items: self.items, instructions, allows_cuts, is_stored: self.is_stored };
        let question = Question {
            model: self.model,
            max_output: self.max_output,
            options: self.options,
            extra: self.body,
            may_lose_hints: true,
            ..Question::default()
        };
        let shape = self.shape;
        let (question, chain) = match is_alone {
            true => asked.alone(question, chain, &shape)?,
            false => asked.continuing(question, chain, &shape)?,
        };
        let message = last_words(&question.messages);
        Ok(ResponseRequest { question, message, in_parts, shape, chain, fingerprint })
    }

    /// Takes the fields that say how to answer, and notes what the response repeats of them.
    fn fields(&mut self) -> Result<()> {
        self.include()?;
        self.tools()?;
        self.text()?;
        self.reasoning()?;
        self.metadata()?;
        self.numbers()?;
        self.rest()?;
        if !self.notes.is_empty() {
            let notes = json!({ "notes": self.notes });
            self.repeat("tollgate", notes);
        }
        self.shape.fields = std::mem::take(&mut self.repeated);
        Ok(())
    }

    fn repeat(&mut self, name: &str, value: impl Into<Value>) {
        self.repeated.insert(name.to_owned(), value.into());
    }

    /// Takes the instructions, which become the first message.
    fn instructions(&mut self) -> Result<Vec<Message>> {
        let previous = self.body.remove("previous_response_id").unwrap_or_default();
        self.repeat("previous_response_id", previous);
        match self.body.remove("instructions") {
            None => {
                self.repeat("instructions", Value::Null);
                Ok(Vec::new())
            }
            Some(Value::String(text)) => {
                let message = Message::of_text("system", &text);
                let is_empty = text.is_empty();
                self.repeat("instructions", text);
                Ok(if is_empty { Vec::new() } else { vec![message] })
            }
            Some(_) => Err(invalid("instructions", "give a text")),
        }
    }

    /// Returns whether messages may be left out if they are too many for the model.
    fn truncation(&mut self) -> Result<bool> {
        let truncation = self.body.remove("truncation").unwrap_or_else(|| "disabled".into());
        let allows_cuts = match truncation.as_str() {
            Some("auto") => true,
            Some("disabled") => false,
            _ => return Err(invalid("truncation", "give \"auto\" or \"disabled\"")),
        };
        self.repeat("truncation", truncation);
        Ok(allows_cuts)
    }

    fn include(&mut self) -> Result<()> {
        let wanted = match self.body.remove("include") {
            None => Vec::new(),
            Some(Value::Array(wanted)) => wanted,
            Some(_) => return Err(invalid("include", "give a list of texts")),
        };
        for name in wanted {
            match name.as_str() {
                Some("reasoning.encrypted_content") => self.shape.with_encrypted = true,
                Some("message.output_text.logprobs") => self.shape.with_logprobs = true,
                Some(name) if NEVER_THERE.contains(&name) => {}
                _ => {
                    let reason = format!("{name} is not offered: give {} or {}", INCLUDED[0], INCLUDED[1]);
                    return Err(Error::Invalid(Invalid::new("include", reason)));
                }
            }
        }
        let top = match self.body.remove("top_logprobs") {
            None => 0,
            Some(top) => match whole_number(&top) {
                Some(top @ 0..=20) => top,
                _ => return Err(invalid("top_logprobs", "give a whole number from 0 to 20")),
            },
        };
        if self.shape.with_logprobs {
            self.options.insert("logprobs".to_owned(), true.into());
            if top > 0 {
                self.options.insert("top_logprobs".to_owned(), top.into());
            }
        }
        self.repeat("top_logprobs", top);
        Ok(())
    }

    fn tools(&mut self) -> Result<()> {
        let tools = Tools::parse(self.body.remove("tools"))?;
        let choice = self.body.remove("tool_choice").unwrap_or_default();
        self.repeat("tools", tools.repeated.clone());
        self.shape.joined = tools.joined.clone();
        self.shape.customs = tools.customs.clone();
        let mut repeated = if choice.is_null() { "auto".into() } else { choice.clone() };
        if repeated["type"] == "allowed_tools" && repeated["mode"].is_null() {
            repeated["mode"] = "auto".into();
        }
        self.repeat("tool_choice", repeated);
        self.notes.extend_from_slice(&tools.notes);
        tools.write(&choice, &mut self.options)?;
        let is_given = self.body.contains_key("parallel_tool_calls");
        let is_parallel = flag(&self.body, "parallel_tool_calls")? || !is_given;
        self.body.remove("parallel_tool_calls");
        if is_given && self.options.contains_key("tools") {
            self.options.insert("parallel_tool_calls".to_owned(), is_parallel.into());
        }
        self.repeat("parallel_tool_calls", is_parallel);
        let most = self.body.remove("max_tool_calls").unwrap_or_default();
        self.repeat("max_tool_calls", most);
        Ok(())
    }

    fn text(&mut self) -> Result<()> {
        let mut text = match self.body.remove("text") {
            None => Map::new(),
            Some(Value::Object(text)) => text,
            Some(_) => return Err(invalid("text", "give an object")),
        };
        let format = text.remove("format").filter(|format| !format.is_null());
        let format = format.unwrap_or_else(|| json!({ "type": "text" }));
        let format = self.format(format)?;
        let mut repeated = json!({ "format": format });
        match text.remove("verbosity") {
            None | Some(Value::Null) => {}
            Some(verbosity @ Value::String(_)) => {
                repeated["verbosity"] = verbosity.clone();
                self.options.insert("verbosity".to_owned(), verbosity);
            }
            Some(_) => return Err(invalid("text.verbosity", "give \"low\", \"medium\" or \"high\"")),
        }
        refuse_rest("text", &text)?;
        self.repeat("text", repeated);
        Ok(())
    }

    /// Translates the format of the text. Returns it as the response repeats it.
    fn format(&mut self, mut format: Value) -> Result<Value> {
        let written = match format["type"].as_str() {
            Some("text") => return Ok(json!({ "type": "text" })),
            Some("json_object") => json!({ "type": "json_object" }),
            Some("json_schema") => {
                if !(format["name"].is_string() && format["schema"].is_object()) {
                    return Err(invalid(
                        "text.format",
                        "give the \"name\" and the \"schema\" of a json_schema",
                    ));
                }
                let mut schema = Map::new();
                for name in ["name", "description", "schema", "strict"] {
                    if let Some(value) = format.get(name).filter(|value| !value.is_null()) {
                        schema.insert(name.to_owned(), value.clone());
                    }
                }
                for (name, otherwise) in [("description", Value::Null), ("strict", false.into())] {
                    if format[name].is_null() {
                        format[name] = otherwise;
                    }
                }
                json!({ "type": "json_schema", "json_schema": schema })
            }
            _ => return Err(invalid("text.format", "give the type text, json_object or json_schema")),
        };
        self.options.insert("response_format".to_owned(), written);
        Ok(format)
    }

    fn reasoning(&mut self) -> Result<()> {
        let mut reasoning = match self.body.remove("reasoning") {
            None => Map::new(),
            Some(Value::Object(reasoning)) => reasoning,
            Some(_) => return Err(invalid("reasoning", "give an object")),
        };
        let effort = reasoning.remove("effort").unwrap_or_default();
        match &effort {
            Value::Null => {}
            Value::String(_) => {
                self.options.insert("reasoning_effort".to_owned(), effort.clone());
            }
            _ => return Err(invalid("reasoning.effort", "give a text, such as \"low\"")),
        }
        let mut take = |name: &str| reasoning.remove(name).filter(|value| !value.is_null());
        let older = take("generate_summary");
        let summary = take("summary").or(older).unwrap_or_default();
        if !matches!(summary.as_str(), Some("auto" | "concise" | "detailed" | "none")) && !summary.is_null() {
            return Err(invalid("reasoning.summary", "give \"auto\", \"concise\" or \"detailed\""));
        }
        // Which thoughts a model reads again is the upstream's to decide.
        take("context");
        if reasoning.get("mode").is_some_and(|mode| mode == "standard") {
            reasoning.remove("mode");
        }
        refuse_rest("reasoning", &reasoning)?;
        self.shape.with_summary = summary.as_str().is_some_and(|summary| summary != "none");
        self.repeat("reasoning", json!({ "effort": effort, "summary": summary }));
        Ok(())
    }

    fn metadata(&mut self) -> Result<()> {
        let (name_length, value_length) = LONGEST_METADATA;
        let is_pair = |(name, value): (&String, &Value)| {
            name.chars().count() <= name_length
                && value.as_str().is_some_and(|value| value.chars().count() <= value_length)
        };
        match self.body.remove("metadata") {
            None => self.repeat("metadata", json!({})),
            Some(Value::Object(pairs)) if pairs.len() <= MOST_METADATA && pairs.iter().all(is_pair) => {
                self.repeat("metadata", pairs);
            }
            Some(_) => {
                let reason =
                    "give up to 16 pairs of texts: names of up to 64 and values of up to 512 characters";
                return Err(invalid("metadata", reason));
            }
        }
        Ok(())
    }

    /// Takes the numbers that steer the model.
    fn numbers(&mut self) -> Result<()> {
        let fields = [("temperature", 1), ("top_p", 1), ("presence_penalty", 0), ("frequency_penalty", 0)];
        for (name, default) in fields {
            match self.body.get(name).cloned() {
                None => self.repeat(name, default),
                Some(number @ Value::Number(_)) => self.repeat(name, number),
                Some(_) => return Err(invalid(name, "give a number")),
            }
        }
        let most = self.body.remove("max_output_tokens").unwrap_or_default();
        self.repeat("max_output_tokens", most);
        Ok(())
    }

    /// Takes the other fields that are passed on. What is left over is passed on only if the
    /// model's list in the panel names it.
    fn rest(&mut self) -> Result<()> {
        self.body.remove("store");
        let is_stored = self.is_stored;
        self.repeat("store", is_stored);
        self.repeat("background", false);
        match self.body.get("service_tier").map(Value::as_str) {
            None | Some(Some("auto" | "default")) => self.repeat("service_tier", "default"),
            _ => return Err(invalid("service_tier", "leave it out, or give \"auto\" or \"default\"")),
        }
        for name in ["user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"] {
            match self.body.get(name).cloned() {
                None => self.repeat(name, Value::Null),
                Some(text @ Value::String(_)) => self.repeat(name, text),
                Some(_) => return Err(invalid(name, "give a text")),
            }
        }
        for name in PASSED_ON {
            self.options.extend(self.body.remove(name).map(|value| (name.to_owned(), value)));
        }
        Ok(())
    }
}

/// What the model is asked.
struct Asked {
    items: Vec<Value>,
    instructions: Vec<Message>,
    /// Whether messages may be left out if they are too many for the model.
    allows_cuts: bool,
    is_stored: bool,
}

impl Asked {
    /// Writes the messages of a request that needs nothing that is stored.
    fn alone(self, mut question: Question, mut chain: Chain, shape: &Shape) -> Result<(Question, Chain)> {
        if self.is_stored {
            chain.stored = Some(StoredRequest::write(shape, &self.items)?);
        }
        let mut messages = self.instructions;
        messages.extend(input::messages(self.items, &shape.joined)?);
        question.messages = input::with_one_beginning(messages);
        if self.allows_cuts {
            question.allow_cuts();
        }
        Ok((question, chain))
    }

    /// Prepares a request that continues or refers to earlier responses. Its messages are put
    /// together when those are known. References are left out of what the user's chats show, but
    /// every item is checked now.
    fn continuing(
        self,
        mut question: Question,
        mut chain: Chain,
        shape: &Shape,
    ) -> Result<(Question, Chain)> {
        let own = self.items.iter().filter(|item| item["type"] != "item_reference");
        question.messages = input::messages(own.cloned().collect(), &shape.joined)?;
        let continued = Continued {
            instructions: self.instructions,
            input: self.items,
            joined: shape.joined.clone(),
            stored: self.is_stored.then(|| shape.clone()),
            allows_cuts: self.allows_cuts,
        };
        chain.assemble = Some(Arc::new(move |earlier| continued.assemble(earlier)));
        Ok((question, chain))
    }
}

/// Refuses what is left of the fields of an object.
fn refuse_rest(field: &'static str, rest: &Map<String, Value>) -> Result<()> {
    match rest.iter().find(|(_, value)| !value.is_null()) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Error::Invalid(Invalid::new(field, format!("{field}.{name} is not offered: leave it out"))))
        }
    }
}

/// Returns the chats whose items an input refers to. Each item can be referred to once, so that a
/// short input does not become an endless one.
fn referenced(items: &[Value]) -> Result<Vec<i64>> {
    let mut places = BTreeSet::new();
    for item in items {
        if let Some(place) = input::reference(item)?
            && !places.insert(place)
        {
            return Err(invalid("input", "refer to each item once: two item_references have the same id"));
        }
    }
    let mut chats: Vec<i64> = places.into_iter().map(|(chat_id, _)| chat_id).collect();
    chats.dedup();
    Ok(chats)
}

/// Returns the chat of the response that a request continues.
fn previous(id: Option<&Value>) -> Result<Option<i64>> {
    match id {
        None => Ok(None),
        Some(Value::String(id)) => {
            let chat_id = chat_of_response(id);
            chat_id.map(Some).ok_or_else(|| {
                invalid("previous_response_id", "give the id of a response of this server, such as resp_17")
            })
        }
        Some(_) => Err(invalid("previous_response_id", "give a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the field and the reason with which a request is refused. `None` if it is not.
    fn refusal(more: Value) -> Option<(&'static str, String)> {
        let mut body = json!({ "model": "m", "input": "hi" });
        let (Value::Object(body), Value::Object(more)) = (&mut body, more) else { panic!() };
        body.extend(more);
        match ResponseRequest::parse(std::mem::take(body), true) {
            Ok(_) => None,
            Err(Error::Invalid(invalid)) => Some((invalid.field, invalid.reason)),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn fields_that_would_change_the_answer_are_refused_by_name() {
        let reference = json!({ "type": "item_reference", "id": "msg_1_0" });
        for (more, field, named) in [
            (json!({ "context_management": [{ "type": "compaction" }] }), "context_management", "truncation"),
            (json!({ "reasoning": { "max_tokens": 5 } }), "reasoning", "reasoning.max_tokens"),
            (json!({ "reasoning": { "mode": "pro" } }), "reasoning", "reasoning.mode"),
            (json!({ "reasoning": { "summary": "long" } }), "reasoning.summary", "concise"),
            (json!({ "text": { "stop": "x" } }), "text", "text.stop"),
            (json!({ "input": [reference, reference] }), "input", "once"),
            (json!({ "input": [] }), "input", "items"),
        ] {
            let Some((refused, reason)) = refusal(more.clone()) else { panic!("{more}") };
            assert_eq!(refused, field, "{more}");
            assert!(reason.contains(named), "{more}: {reason}");
        }
    }

    #[test]
    fn what_clients_send_without_effect_is_taken() {
        for more in [
            json!({ "context_management": [], "text": { "format": null } }),
            json!({ "reasoning": { "effort": "low", "summary": "none", "context": "all_turns", "mode": "standard" } }),
            json!({ "reasoning": { "generate_summary": "auto", "summary": null } }),
            json!({ "input": [], "previous_response_id": "resp_1" }),
            json!({ "input": null, "previous_response_id": "resp_1" }),
        ] {
            assert_eq!(refusal(more.clone()), None, "{more}");
        }
    }
}
