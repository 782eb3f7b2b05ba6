//! The tool calls of an answer, put together from their parts.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::super::surrogates::Joiner;
use super::super::weight::{escaped_bytes, weight_of_field};
use super::merge::{continued_name, merge_fields, replace_halves};

/// The approximate memory of a tool call without its texts, in bytes.
const A_CALL: usize = 400;

/// The kind of a call whose part does not name it.
const FUNCTION: &str = "function";
/// The kind of a call whose input is any text.
const CUSTOM: &str = "custom";

/// A tool call, or the part of one that arrived at once. Empty texts mean that the part does not
/// have them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// The position among the calls of the choice, as the upstream numbers them.
    pub index: Option<u64>,
    /// The id by which the client returns the result.
    pub id: String,
    /// The kind of tool: `function`, `custom`, …
    pub kind: String,
    /// The name of the tool.
    pub name: String,
    /// What the model wrote: the arguments of a function, or the input of a custom tool.
    pub input: String,
    /// Other fields of the call.
    pub more: Map<String, Value>,
    /// Other fields of the tool within the call.
    pub more_of_tool: Map<String, Value>,
    /// Whether the tool takes any text, and not the arguments of a function.
    pub is_custom: bool,
}

impl ToolCall {
    /// Returns the part of a call that is this object of the OpenAI protocol.
    pub fn parse(value: Value) -> Option<ToolCall> {
        let Value::Object(mut fields) = value else { return None };
        let mut call = ToolCall {
            index: fields.remove("index").and_then(|index| number(&index)),
            id: text(fields.remove("id")),
            kind: text(fields.remove("type")),
            ..ToolCall::default()
        };
        if call.kind.is_empty() && fields.contains_key(CUSTOM) {
            CUSTOM.clone_into(&mut call.kind);
        }
        call.is_custom = call.kind == CUSTOM;
        if let Some(Value::Object(mut tool)) = fields.remove(call.tool_field()) {
            call.name = text(tool.remove("name"));
            call.input = match tool.remove(call.input_field()) {
                // Some upstreams send the arguments as an object instead of a text.
                Some(input @ (Value::Object(_) | Value::Array(_))) => input.to_string(),
                input => text(input),
            };
            call.more_of_tool = tool;
        }
        call.more = fields;
        Some(call)
    }

    /// Returns whether the part contains anything besides its index and its kind.
    pub fn brings_something(&self) -> bool {
        let ToolCall { id, name, input, more, more_of_tool, .. } = self;
        !(id.is_empty() && name.is_empty() && input.is_empty() && more.is_empty() && more_of_tool.is_empty())
    }

    /// Returns the number of bytes that the model wrote.
    pub(super) fn bytes(&self) -> usize {
        self.name.len() + self.input.len()
    }

    /// Returns the approximate memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        let fields = self.more.iter().chain(&self.more_of_tool);
        let fields: usize = fields.map(|(name, value)| weight_of_field(name, value)).sum();
        A_CALL + escaped_bytes(&self.id) + escaped_bytes(&self.name) + escaped_bytes(&self.input) + fields
    }

    /// Returns the field of a call that holds the tool. All kinds but one use the same.
    fn tool_field(&self) -> &'static str {
        if self.is_custom { CUSTOM } else { FUNCTION }
    }

    /// Returns the field of a tool that holds what the model wrote.
    fn input_field(&self) -> &'static str {
        if self.is_custom { "input" } else { "arguments" }
    }

    fn has_whole_input(&self) -> bool {
        let may_be_whole = self.input.ends_with(['}', ']', '"']);
        self.input.is_empty()
            || (may_be_whole && serde_json::from_str::<serde::de::IgnoredAny>(&self.input).is_ok())
    }
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl ToolCall {
    /// Writes the call in the form of the OpenAI protocol.
    pub(super) fn write<S: Serializer>(&self, serializer: S, is_numbered: bool) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(index) = self.index.filter(|_| is_numbered) {
            fields.serialize_entry("index", &index)?;
        }
        if !self.id.is_empty() {
            fields.serialize_entry("id", &self.id)?;
        }
        if !self.kind.is_empty() {
            fields.serialize_entry("type", &self.kind)?;
        }
        let mut tool = self.more_of_tool.clone();
        if !self.name.is_empty() {
            tool.insert("name".to_owned(), json!(self.name));
        }
        tool.insert(self.input_field().to_owned(), json!(self.input));
        fields.serialize_entry(self.tool_field(), &tool)?;
        for (name, value) in &self.more {
            fields.serialize_entry(name, value)?;
        }
        fields.end()
    }
}

impl Serialize for ToolCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer, true)
    }
}

/// The calls of one choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ToolCalls {
    calls: Vec<Growing>,
}

/// A call that is being put together.
#[derive(Clone, Debug, Default, PartialEq)]
struct Growing {
    call: ToolCall,
    /// The number by which the upstream continues the call.
    upstream_index: Option<u64>,
    /// Whether the client knows the call's id and name.
    is_announced: bool,
    joiner: Joiner,
}

impl ToolCalls {
    /// Restores calls that are complete.
    pub(super) fn stored(calls: Vec<ToolCall>) -> ToolCalls {
        let growing = |call| Growing { call, is_announced: true, ..Growing::default() };
        ToolCalls { calls: calls.into_iter().map(growing).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ToolCall> {
        self.calls.iter().map(|growing| &growing.call)
    }

    /// Adds a part. Adds to `news` what clients have to get: the id and the name of a call once,
    /// as soon as the name is complete, and then its input part by part. Returns how much the
    /// weight has grown.
    pub(super) fn add(&mut self, mut part: ToolCall, has_halves: bool, news: &mut Vec<ToolCall>) -> usize {
        if !part.brings_something() {
            return 0;
        }
        if has_halves {
            replace_halves(&mut part.more);
            replace_halves(&mut part.more_of_tool);
        }
        let mut grown = 0;
        let at = self.place_of(&part).unwrap_or_else(|| {
            // A call ends when the next one begins.
            self.announce(news);
            grown += A_CALL;
            let index = u64::try_from(self.calls.len()).ok();
            let call = ToolCall { index, ..ToolCall::default() };
            self.calls.push(Growing { call, upstream_index: part.index, ..Growing::default() });
            self.calls.len() - 1
        });
        grown + self.calls[at].add(part, has_halves, news)
    }

    /// Ends the calls: announces those that the client does not know yet.
    pub(super) fn end(&mut self, news: &mut Vec<ToolCall>) {
        self.announce(news);
        for growing in &mut self.calls {
            let rest = growing.joiner.end();
            if !rest.is_empty() {
                growing.call.input.push_str(rest);
                let (index, is_custom) = (growing.call.index, growing.call.is_custom);
                news.push(ToolCall { index, is_custom, input: rest.to_owned(), ..ToolCall::default() });
            }
        }
    }

    fn announce(&mut self, news: &mut Vec<ToolCall>) {
        // Only the last calls can be unknown, but few enough calls exist.
        for growing in self.calls.iter_mut().filter(|growing| !growing.is_announced) {
            growing.announce(news);
        }
    }

    /// Returns the position of the call that a part continues. `None` if it begins a new one.
    ///
    /// Some upstreams give all calls the same index, or none: then a new id with a name begins a
    /// call, if the last call may be complete. Others give each part of one call another id.
    fn place_of(&self, part: &ToolCall) -> Option<usize> {
        let at = match part.index {
            Some(_) => self.calls.iter().rposition(|growing| growing.upstream_index == part.index)?,
            None => self.calls.len().checked_sub(1)?,
        };
        let call = &self.calls[at].call;
        let has_other_id = !part.id.is_empty() && part.id != call.id;
        let has_both = !part.input.is_empty() && !call.input.is_empty();
        let begins = match part.index {
            Some(_) => (has_other_id && !call.id.is_empty()) || (part.id.is_empty() && has_both),
            // Without an index and an id, a name begins a call, unless it is repeated or continued.
            None => has_other_id || (part.id.is_empty() && !call.input.is_empty()),
        };
        if begins && !part.name.is_empty() && call.has_whole_input() { None } else { Some(at) }
    }
}

impl Growing {
    fn add(&mut self, part: ToolCall, has_halves: bool, news: &mut Vec<ToolCall>) -> usize {
        let call = &mut self.call;
        let mut grown = 0;
        if call.id.is_empty() {
            grown += escaped_bytes(&part.id);
            call.id = part.id;
        }
        if call.kind.is_empty() {
            call.kind = part.kind;
            call.is_custom = part.is_custom;
        }
        // Nothing continues the name once the client knows it.
        if !self.is_announced
            && let Some(more) = continued_name(&call.name, &part.name)
        {
            grown += escaped_bytes(&more);
            call.name.push_str(&more);
        }
        let (more, grown_more) = merge_fields(&mut call.more, part.more);
        let (more_of_tool, grown_tool) = merge_fields(&mut call.more_of_tool, part.more_of_tool);
        grown += grown_more + grown_tool;
        let input = match has_halves || self.joiner.is_waiting() {
            true => self.joiner.join(part.input),
            false => part.input,
        };
        grown += escaped_bytes(&input);
        if self.is_announced {
            call.input.push_str(&input);
            let (index, is_custom) = (call.index, call.is_custom);
            let new = ToolCall { index, input, more, more_of_tool, is_custom, ..ToolCall::default() };
            if new.brings_something() {
                news.push(new);
            }
        } else {
            call.input.push_str(&input);
            if !call.input.is_empty() {
                self.announce(news);
            }
        }
        grown
    }

    /// Sends the client everything of the call so far.
    fn announce(&mut self, news: &mut Vec<ToolCall>) {
        self.is_announced = true;
        if self.call.kind.is_empty() {
            FUNCTION.clone_into(&mut self.call.kind);
        }
        news.push(self.call.clone());
    }
}

#[cfg(test)]
mod tests;
