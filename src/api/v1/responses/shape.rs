//! What a response repeats of its request, and the ids of responses and items.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names::{Joined, ToolName};
use crate::responder::ToolCall;

/// What a response repeats of its request, and what it includes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// The fields that are the same in each state of the response.
    pub fields: Map<String, Value>,
    /// Whether reasoning is included in the form in which only the upstream can read it.
    #[serde(default)]
    pub with_encrypted: bool,
    /// Whether log probabilities are included.
    #[serde(default)]
    pub with_logprobs: bool,
    /// Whether thoughts are shown as a summary.
    #[serde(default)]
    pub with_summary: bool,
    /// The tools that belong to a namespace, by the names under which the upstream knows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub joined: Joined,
    /// The names under which the upstream knows the custom tools, which it gets as functions.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub customs: BTreeSet<String>,
}

impl Shape {
    /// Returns the name under which the client knows a tool that the model calls.
    pub(super) fn tool_name(&self, called: &str) -> ToolName {
        self.joined.get(called).cloned().unwrap_or_else(|| ToolName::plain(called))
    }

    /// Returns whether a call is one of a custom tool. Before, custom tools were passed as such.
    pub(super) fn is_custom(&self, call: &ToolCall) -> bool {
        call.is_custom || self.customs.contains(&call.name)
    }
}

/// Returns the id of a chat's response.
pub(super) fn response_id(chat_id: i64) -> String {
    format!("resp_{chat_id}")
}

/// Returns the chat of a response's id.
pub(super) fn chat_of_response(id: &str) -> Option<i64> {
    number(id.strip_prefix("resp_")?)
}

/// Returns the chat and the position of an item's id.
pub(super) fn place_of_item(id: &str) -> Option<(i64, usize)> {
    let mut parts = id.split('_');
    let (_, chat_id, at) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some((number(chat_id)?, usize::try_from(number(at)?).ok()?))
}

/// Parses a number that is written as this server writes it.
fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number >= 0 && number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_this_server_are_understood() {
        assert_eq!(chat_of_response(&response_id(17)), Some(17));
        for id in ["resp_", "resp_+1", "resp_01", "resp_-1", "resp_1_2", "17", "resp_99999999999999999999"] {
            assert_eq!(chat_of_response(id), None, "{id}");
        }
        assert_eq!(place_of_item("msg_17_2"), Some((17, 2)));
        for id in ["msg_17", "msg_17_2_1", "msg_x_1", "msg_68_01", ""] {
            assert_eq!(place_of_item(id), None, "{id}");
        }
    }
}
