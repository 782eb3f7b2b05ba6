//! Parses an event of a stream, or a whole answer that came as one JSON object.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use crate::domain::Usage;
use crate::domain::has_more_values;
use crate::responder::bounds::{MOST_OF_A_REASON, VALUES_OF_AN_EVENT};
use crate::responder::{Failure, Piece};

/// The content of an event.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// The end of the stream.
    Done,
    /// A part of the answer, or the usage, or both, or nothing of interest.
    Part(Option<Piece>, Option<Usage>),
}

/// A chunk, or a whole completion. Fields that are not needed are not kept.
#[derive(Deserialize)]
struct Chunk<U> {
    choices: Option<Vec<Choice>>,
    usage: Option<U>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u64>,
    delta: Option<Map<String, Value>>,
    message: Option<Value>,
    finish_reason: Option<String>,
    logprobs: Option<Value>,
}

/// Parses the data of an event.
pub(super) fn read(data: &[u8]) -> Result<Said, Failure> {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Ok(Said::Done);
    }
    let chunk = parse(data)?;
    let Some(choices) = chunk.choices else {
        // Some upstreams send the usage without any choices.
        let usage = usage_of(chunk.usage.as_ref().ok_or(Failure::Unreadable)?);
        return Ok(Said::Part(None, usage));
    };
    let piece = match first_of(choices) {
        Some(choice) => Some(choice.into_piece()?),
        None => None,
    };
    Ok(Said::Part(piece, chunk.usage.as_ref().and_then(usage_of)))
}

/// Parses a `chat.completion`, the answer of an upstream that does not stream.
pub(super) fn read_whole(body: &[u8]) -> Result<(Piece, Option<Usage>), Failure> {
    let chunk = parse(body.trim_ascii()).map_err(|failure| match failure {
        Failure::Unreadable => Failure::NotAnAnswer,
        other => other,
    })?;
    let mut choice = chunk.choices.and_then(first_of).ok_or(Failure::NotAnAnswer)?;
    let Some(Value::Object(mut message)) = choice.message.take() else { return Err(Failure::NotAnAnswer) };
    if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
        number(calls);
    }
    choice.delta = Some(message);
    let mut piece = choice.into_piece()?;
    piece.finish_reason.get_or_insert_with(|| "stop".to_owned());
    Ok((piece, chunk.usage.as_ref().and_then(usage_of)))
}

/// Numbers tool calls by position. In a stream each call has an index, in a whole message only its
/// position.
fn number(calls: &mut [Value]) {
    for (index, call) in calls.iter_mut().enumerate() {
        if let Value::Object(call) = call {
            call.entry("index").or_insert_with(|| index.into());
        }
    }
}

fn parse(data: &[u8]) -> Result<Chunk<Value>, Failure> {
    // serde would accept a list as an object. Too many values would take far more memory than their
    // bytes.
    if data.first() != Some(&b'{') || has_more_values(data, VALUES_OF_AN_EVENT) {
        return Err(Failure::Unreadable);
    }
    let chunk = parse_as::<Value>(data).or_else(|| {
        // A number that is out of range in the usage must not lose the answer.
        let chunk = parse_as::<IgnoredAny>(data)?;
        Some(Chunk { choices: chunk.choices, usage: chunk.usage.map(|_| Value::Null), error: chunk.error })
    });
    let chunk = chunk.ok_or(Failure::Unreadable)?;
    if chunk.error.is_some() { Err(Failure::ErrorInAnswer) } else { Ok(chunk) }
}

fn parse_as<U: DeserializeOwned>(data: &[u8]) -> Option<Chunk<U>> {
    serde_json::from_slice(data).ok()
}

/// Returns the choice with index 0. No others were asked for.
fn first_of(choices: Vec<Choice>) -> Option<Choice> {
    choices.into_iter().find(|choice| choice.index.unwrap_or(0) == 0)
}

impl Choice {
    fn into_piece(self) -> Result<Piece, Failure> {
        // For parts without news, some upstreams send an empty finish reason or no delta.
        let finish_reason = self.finish_reason.filter(|reason| !reason.is_empty());
        let delta = match self.delta {
            Some(delta) => delta,
            None if finish_reason.is_some() => Map::new(),
            None => return Err(Failure::Unreadable),
        };
        if !matches!(delta.get("content"), None | Some(Value::Null | Value::String(_))) {
            return Err(Failure::Unreadable);
        }
        if finish_reason.as_ref().is_some_and(|reason| reason.len() > MOST_OF_A_REASON) {
            return Err(Failure::Unreadable);
        }
        let finish_reason = finish_reason.map(storable);
        let mut logprobs = self.logprobs;
        logprobs.iter_mut().for_each(make_storable);
        let delta = delta.into_iter().map(|(name, mut value)| {
            make_storable(&mut value);
            (storable(name), value)
        });
        Ok(Piece { delta: delta.collect(), finish_reason, logprobs })
    }
}

/// Replaces what cannot be stored. PostgreSQL stores no U+0000, and a chat whose answer cannot be
/// stored could never be settled. The parser limits the depth.
fn make_storable(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = storable(std::mem::take(text)),
        Value::Array(values) => values.iter_mut().for_each(make_storable),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                *fields =
                    std::mem::take(fields).into_iter().map(|(name, value)| (storable(name), value)).collect();
            }
            fields.values_mut().for_each(make_storable);
        }
        _ => {}
    }
}

fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Returns the usage if its numbers are plausible.
fn usage_of(usage: &Value) -> Option<Usage> {
    let number = |name: &str| {
        let number = usage.get(name)?;
        // A float that is out of range becomes the largest number, which is then rejected as
        // implausible.
        number.as_i64().or_else(|| Some(number.as_f64()?.round() as i64))
    };
    Usage::reported(number("prompt_tokens")?, number("completion_tokens")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(chunk: Value) -> Result<Said, Failure> {
        read(chunk.to_string().as_bytes())
    }

    fn usage_in(usage: &str) -> Option<Usage> {
        let chunk = format!(r#"{{"choices":[],"usage":{usage}}}"#);
        match read(chunk.as_bytes()).unwrap() {
            Said::Part(None, usage) => usage,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_chunk_is_the_choice_with_index_0() {
        let chunk = json!({ "id": "x", "choices": [
            { "index": 1, "delta": { "content": "no" } },
            { "index": 0, "delta": { "content": "yes" }, "finish_reason": null, "logprobs": { "content": [] } },
        ], "usage": null, "error": null });
        let piece = Piece { logprobs: Some(json!({ "content": [] })), ..Piece::of_text("yes") };
        assert_eq!(said(chunk), Ok(Said::Part(Some(piece), None)));
        let others = json!({ "choices": [{ "index": 1, "delta": {} }] });
        assert_eq!(said(others), Ok(Said::Part(None, None)));
        assert_eq!(read(b" [DONE] "), Ok(Said::Done));
    }

    #[test]
    fn what_is_not_of_the_protocol_cannot_be_read() {
        for data in [
            "",
            "x",
            "[]",
            "[[], null, null]",
            "5",
            "{",
            "{}",
            "{\"choices\":5}",
            "{\"choices\":[5]}",
            "{\"choices\":[{}]}",
            "{\"choices\":[{\"delta\":5}]}",
            "{\"choices\":[{\"index\":\"a\",\"delta\":{}}]}",
            "{\"choices\":[{\"delta\":{\"content\":5}}]}",
            "{\"choices\":[{\"delta\":{},\"finish_reason\":5}]}",
            "[DONE]x",
            "{\"choices\":null}",
            "{\"choices\":[]} {}",
        ] {
            assert_eq!(read(data.as_bytes()), Err(Failure::Unreadable), "{data}");
        }
        assert_eq!(read(b"{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}"), Err(Failure::Unreadable));
        let values = format!("{{\"choices\":[],\"x\":[{}0]}}", "0,".repeat(VALUES_OF_AN_EVENT));
        assert_eq!(read(values.as_bytes()), Err(Failure::Unreadable));
        let reason =
            json!({ "choices": [{ "delta": {}, "finish_reason": "x".repeat(MOST_OF_A_REASON + 1) }] });
        assert_eq!(said(reason), Err(Failure::Unreadable));
        assert_eq!(read("[".repeat(100_000).as_bytes()), Err(Failure::Unreadable));
        assert_eq!(read(format!("{{\"x\":{}", "[".repeat(100_000)).as_bytes()), Err(Failure::Unreadable));
    }

    #[test]
    fn an_error_is_one_whatever_else_is_said() {
        assert_eq!(said(json!({ "error": { "code": 500 } })), Err(Failure::ErrorInAnswer));
        assert_eq!(said(json!({ "choices": [], "error": "x" })), Err(Failure::ErrorInAnswer));
    }

    #[test]
    fn absurd_numbers_of_usage_count_as_none_and_never_cost_the_answer() {
        let usage = |prompt, completion| Usage::reported(prompt, completion);
        assert_eq!(usage_in(r#"{"prompt_tokens":3,"completion_tokens":0}"#), usage(3, 0));
        assert_eq!(usage_in(r#"{"prompt_tokens":3.0,"completion_tokens":2e1}"#), usage(3, 20));
        for absurd in [
            "5",
            "[]",
            "null",
            "{}",
            r#"{"prompt_tokens":1}"#,
            r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
            r#"{"prompt_tokens":"1","completion_tokens":1}"#,
            r#"{"prompt_tokens":1e300,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":99999999999999999999999}"#,
            r#"{"prompt_tokens":1,"completion_tokens":1e999}"#,
            r#"{"prompt_tokens":1,"completion_tokens":-1e999}"#,
        ] {
            assert_eq!(usage_in(absurd), None, "{absurd}");
        }
        let with_text = br#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1e999}}"#;
        assert_eq!(read(with_text), Ok(Said::Part(Some(Piece::of_text("a")), None)));
        let alone = br#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        assert_eq!(read(alone), Ok(Said::Part(None, usage(1, 2))));
    }

    #[test]
    fn a_whole_answer_becomes_one_piece() {
        let body = json!({ "object": "chat.completion", "choices": [{ "index": 0, "finish_reason": "tool_calls",
            "message": { "role": "assistant", "content": null, "tool_calls": [{ "id": "a" }] } }],
            "usage": { "prompt_tokens": 1, "completion_tokens": 2 } });
        let (piece, usage) = read_whole(body.to_string().as_bytes()).unwrap();
        assert_eq!(piece.delta["tool_calls"], json!([{ "id": "a", "index": 0 }]));
        assert_eq!(piece.finish_reason.as_deref(), Some("tool_calls"));
        assert_eq!(usage, Usage::reported(1, 2));
        for other in ["{}", "x", r#"{"choices":[]}"#, r#"{"choices":[{"delta":{}}]}"#] {
            assert_eq!(read_whole(other.as_bytes()), Err(Failure::NotAnAnswer), "{other}");
        }
        assert_eq!(read_whole(br#"{"error":"x"}"#), Err(Failure::ErrorInAnswer));
    }
}
