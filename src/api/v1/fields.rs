//! Fields that several dialects have.

use serde_json::{Map, Value};

use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::responder::{MOST_CHOICES, Message};

/// The longest name of a model, in bytes.
pub(super) const MODEL_LENGTH: usize = 200;

/// The most characters of a message that the user's chats keep.
const MESSAGE_LENGTH: usize = 32_000;

/// The fields that tune how a model chooses its words, in each of OpenAI's older protocols. They
/// are passed on unchanged.
pub(super) const TUNING: [&str; 10] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
];

/// Returns the name of the model that is asked.
///
/// # Errors
/// It is missing, no text, or too long.
pub(super) fn model(model: Option<Value>) -> Result<String> {
    match model {
        Some(Value::String(model)) if (1..=MODEL_LENGTH).contains(&model.len()) => Ok(model),
        _ => Err(invalid("model", "name one of those that GET /v1/models lists")),
    }
}

/// Returns the number of answers that the client wants.
pub(super) fn choices(n: Option<&Value>) -> Result<u32> {
    match n {
        None | Some(Value::Null) => Ok(1),
        Some(n) => match whole_number(n) {
            Some(n @ 1..=MOST_CHOICES_WANTED) => Ok(u32::try_from(n).unwrap_or(1)),
            _ => Err(Error::Invalid(Invalid::new(
                "n",
                format!("give a whole number from 1 to {MOST_CHOICES}"),
            ))),
        },
    }
}

/// [`MOST_CHOICES`], as a number of JSON.
const MOST_CHOICES_WANTED: i64 = MOST_CHOICES as i64;

/// Returns a whole number, which some clients send as `100.0`.
pub(super) fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        // A number beyond the range becomes the largest, which is a limit like any other.
        Some(number as i64)
    })
}

/// The error of a field. `reason` says what to give instead.
pub(super) fn invalid(field: &'static str, reason: &str) -> Error {
    Error::Invalid(Invalid::new(field, reason))
}

/// Returns a field that is true or false. A missing one is false.
pub(super) fn flag(fields: &Map<String, Value>, name: &'static str) -> Result<bool> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(invalid(name, "give true or false")),
    }
}

/// Returns whether a stream is to end with the usage.
pub(super) fn includes_usage(fields: &Map<String, Value>) -> Result<bool> {
    match fields.get("stream_options") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Object(options)) => flag(options, "include_usage"),
        Some(_) => Err(invalid("stream_options", "give an object")),
    }
}

/// Returns the most tokens that the client wants, from the first of these fields that it gives; 0
/// if it gives none. 0 and -1 mean no limit, as they do for llama.cpp and LM Studio: then the bound
/// holds.
pub(super) fn most_tokens(body: &Map<String, Value>, names: &[&'static str]) -> Result<u32> {
    let mut most = None;
    for name in names {
        let given = match body.get(*name) {
            None | Some(Value::Null) => None,
            Some(value) => match whole_number(value) {
                Some(-1 | 0) => Some(u32::MAX),
                Some(tokens @ 1..) => Some(u32::try_from(tokens).unwrap_or(u32::MAX)),
                _ => return Err(invalid(name, "give a whole number above 0, or -1 for no limit")),
            },
        };
        most = most.or(given);
    }
    Ok(most.unwrap_or(0))
}

/// Precedes what tools returned that is not text. The model gets it in a message of the user,
/// because a message of a tool takes only text.
pub(super) const RETURNED: &str = "The tools returned the following:";

/// Returns the text of the user's last message, cut to [`MESSAGE_LENGTH`]. What tools returned is
/// no text of the user's.
pub(super) fn last_words(messages: &[Message]) -> String {
    let own_texts = |message: &Message| {
        let texts = message.texts().into_iter().filter(|text| *text != RETURNED);
        texts.collect::<Vec<_>>().join("\n")
    };
    let is_of_tools = |message: &Message| message.texts() == [RETURNED];
    let is_of_user = |message: &&Message| message.role == "user" && !is_of_tools(message);
    let last = messages.iter().rev().find(is_of_user).or(messages.last());
    shown(&last.map(own_texts).unwrap_or_default())
}

/// Returns a text as the user's chats show it, cut to [`MESSAGE_LENGTH`].
pub(super) fn shown(text: &str) -> String {
    if text.trim().is_empty() {
        return "(no text)".to_owned();
    }
    text.chars().take(MESSAGE_LENGTH).collect()
}

/// Returns whether a schema is what OpenAI accepts as a strict one: each object has all of its
/// properties, and no others. Other protocols accept optional ones, too.
pub(super) fn may_be_strict(schema: &Value) -> bool {
    let fields = match schema {
        Value::Object(fields) => fields,
        Value::Array(values) => return values.iter().all(may_be_strict),
        _ => return true,
    };
    let properties = fields.get("properties").and_then(Value::as_object);
    let is_of_objects = properties.is_some() || fields.get("type").is_some_and(|kind| kind == "object");
    let required = fields.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|other| other == name));
    let is_closed = fields.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_none_or(|properties| properties.keys().all(is_required));
    (is_closed || !is_of_objects) && fields.values().all(may_be_strict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_words_are_the_users() {
        let part = |text: &str| json!({ "type": "text", "text": text });
        let picture = || json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,QQ==" } });
        let of =
            |role: &str, content: Value| Message::parse(json!({ "role": role, "content": content })).unwrap();
        let look = || of("user", json!([part("look"), part("here"), picture()]));
        let tool = || of("tool", "42".into());
        let returned = || of("user", json!([part(RETURNED), picture()]));
        for (messages, words) in [
            (vec![look(), of("assistant", "Hm".into())], "look\nhere"),
            (vec![look(), tool()], "look\nhere"),
            (vec![look(), tool(), returned()], "look\nhere"),
            (vec![look(), tool(), of("user", json!([part(RETURNED), picture(), part("and?")]))], "and?"),
            (vec![tool()], "42"),
            (vec![tool(), returned()], "(no text)"),
            (vec![look(), of("user", json!([picture()]))], "(no text)"),
            (vec![], "(no text)"),
        ] {
            assert_eq!(last_words(&messages), words);
        }
    }
}
