//! Writes a whole answer, and what a stream has in common with it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::chat::Receipt;
use crate::domain::Usage;
use crate::responder::{Choice, FinishReason, ToolCall};

/// The only field of an input that is not a JSON object: what the model wrote instead.
const INVALID_JSON: &str = "INVALID_JSON";

/// Writes a whole answer. Its texts are not copied, since an answer may be large.
pub(super) fn message(receipt: &Receipt, shows_thinking: bool, stops: &Stops) -> impl Serialize {
    let choice = receipt.answer.choices().first();
    let (stop_reason, stop_sequence) = stops.ended(choice);
    WholeMessage {
        id: id(receipt.chat_id),
        r#type: "message",
        role: "assistant",
        model: &receipt.model,
        content: choice.map(|choice| blocks(receipt.chat_id, choice, shows_thinking)).unwrap_or_default(),
        stop_reason,
        stop_sequence,
        usage: usage(receipt.usage),
    }
}

#[derive(Serialize)]
struct WholeMessage<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    usage: Value,
}

/// A block of an answer.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    /// What the model thought. Only Anthropic signs thoughts.
    Thinking {
        /// The thoughts.
        thinking: &'a str,
        /// Always empty.
        signature: &'static str,
    },
    /// A text, or a refusal.
    Text {
        /// The text.
        text: &'a str,
    },
    /// A call of a tool.
    ToolUse {
        /// The id by which the client returns the result.
        id: String,
        /// The tool.
        name: &'a str,
        /// The arguments.
        input: Value,
    },
}

/// Returns the blocks of an answer.
fn blocks(chat_id: i64, choice: &Choice, shows_thinking: bool) -> Vec<Block<'_>> {
    let thinking = Some(choice.reasoning().text.as_str());
    let thinking = thinking.filter(|thinking| shows_thinking && !thinking.is_empty());
    let thinking = thinking.map(|thinking| Block::Thinking { thinking, signature: "" });
    let texts = [choice.text(), choice.refusal()].into_iter().flatten().map(|text| Block::Text { text });
    let calls = choice.tool_calls().enumerate().map(|(position, call)| Block::ToolUse {
        id: call_id(chat_id, position, call),
        name: &call.name,
        input: input(&call.input),
    });
    thinking.into_iter().chain(texts).chain(calls).collect()
}

/// Returns the id of an answer.
pub(super) fn id(chat_id: i64) -> String {
    format!("msg_{chat_id}")
}

/// Returns the id of a call: the upstream's, or one of its own.
pub(super) fn call_id(chat_id: i64, position: usize, call: &ToolCall) -> String {
    match call.id.as_str() {
        "" => format!("toolu_{chat_id}_{position}"),
        id => id.to_owned(),
    }
}

/// Returns the arguments of a call, which must be an object. A model may write something else, or
/// reach its limit within them: then the client gets that text as the only field of the object,
/// which no tool expects.
pub(super) fn input(text: &str) -> Value {
    if text.trim().is_empty() {
        return Map::new().into();
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields.into(),
        Ok(Value::Null) => Map::new().into(),
        _ => json!({ INVALID_JSON: text }),
    }
}

/// The stop sequences of a request.
pub(super) struct Stops(pub Vec<String>);

impl Stops {
    /// Returns why an answer ended, and the stop sequence that ended it. What an upstream reports
    /// counts only if the client asked for it: some have stops of their own.
    pub(super) fn ended<'a>(&self, choice: Option<&'a Choice>) -> (&'static str, Option<&'a str>) {
        let Some(choice) = choice else { return ("end_turn", None) };
        let met = choice.met_stop.as_deref().filter(|met| self.0.iter().any(|stop| stop == met));
        match (stop_reason(choice), met) {
            ("end_turn", Some(stop)) => ("stop_sequence", Some(stop)),
            (reason, _) => (reason, None),
        }
    }
}

/// Returns why an answer ended, in the words of the protocol, apart from stop sequences.
fn stop_reason(choice: &Choice) -> &'static str {
    match choice.finish_reason {
        Some(FinishReason::Length) => "max_tokens",
        Some(FinishReason::ContentFilter) => "refusal",
        _ if choice.refusal().is_some() => "refusal",
        // Some upstreams say `stop` when the model calls tools.
        _ if choice.tool_calls().next().is_some() => "tool_use",
        _ => "end_turn",
    }
}

/// Writes the usage. Tokens that the upstream had in its cache are not among the `input_tokens`, as
/// the protocol prescribes.
pub(super) fn usage(usage: Usage) -> Value {
    let cached = usage.details.cached_tokens.unwrap_or(0).clamp(0, usage.prompt_tokens.max(0));
    let mut fields = json!({
        "input_tokens": usage.prompt_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion_tokens,
    });
    if let Some(thinking) = usage.details.reasoning_tokens {
        fields["output_tokens_details"] = json!({ "thinking_tokens": thinking });
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UsageDetails;
    use crate::responder::Answer;

    fn choice(extras: &Value, text: &str) -> Choice {
        let text = Some(text.to_owned()).filter(|text| !text.is_empty());
        Answer::stored(text, Some(&extras.to_string())).answer.choices()[0].clone()
    }

    #[test]
    fn an_input_is_an_object_whatever_the_model_wrote() {
        for (text, wanted) in [
            ("", json!({})),
            (" null", json!({})),
            (" {\"a\": [1]} ", json!({ "a": [1] })),
            ("{\"a\": [1", json!({ "INVALID_JSON": "{\"a\": [1" })),
            ("[1]", json!({ "INVALID_JSON": "[1]" })),
            ("{} {}", json!({ "INVALID_JSON": "{} {}" })),
        ] {
            assert_eq!(input(text), wanted, "{text}");
        }
    }

    #[test]
    fn thoughts_come_first_and_calls_last() {
        let call = json!({ "index": 0, "type": "function", "function": { "name": "f", "arguments": "{}" } });
        let message = json!({ "reasoning": "hm", "refusal": "no", "tool_calls": [call] });
        let choice = choice(&json!({ "message": message, "finish_reason": "tool_calls" }), "yes");
        let all = json!(blocks(7, &choice, true));
        let wanted = json!([
            { "type": "thinking", "thinking": "hm", "signature": "" },
            { "type": "text", "text": "yes" },
            { "type": "text", "text": "no" },
            { "type": "tool_use", "id": "toolu_7_0", "name": "f", "input": {} },
        ]);
        assert_eq!(all, wanted);
        assert_eq!(json!(blocks(7, &choice, false)).as_array().unwrap()[..], wanted.as_array().unwrap()[1..]);
    }

    #[test]
    fn the_reason_is_one_of_the_protocols() {
        let calls = json!({ "tool_calls": [{ "id": "a", "function": { "name": "f" } }] });
        for (reason, message, wanted) in [
            ("stop", json!({}), "end_turn"),
            ("stop", calls.clone(), "tool_use"),
            ("tool_calls", calls.clone(), "tool_use"),
            ("length", calls, "max_tokens"),
            ("content_filter", json!({}), "refusal"),
            ("stop", json!({ "refusal": "no" }), "refusal"),
            ("sulking", json!({}), "end_turn"),
        ] {
            let choice = choice(&json!({ "message": message, "finish_reason": reason }), "a");
            assert_eq!(stop_reason(&choice), wanted, "{reason} {message}");
        }
    }

    #[test]
    fn input_tokens_and_those_of_the_cache_are_the_prompt() {
        for (cached, wanted) in
            [(None, [20, 0]), (Some(15), [5, 15]), (Some(90), [0, 20]), (Some(-1), [20, 0])]
        {
            let details = UsageDetails { cached_tokens: cached, ..UsageDetails::default() };
            let usage = usage(Usage { prompt_tokens: 20, completion_tokens: 3, details, estimated: false });
            assert_eq!([&usage["input_tokens"], &usage["cache_read_input_tokens"]], wanted);
            assert_eq!(
                (usage["output_tokens"].as_i64(), usage.get("output_tokens_details")),
                (Some(3), None)
            );
        }
    }
}
