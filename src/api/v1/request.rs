//! The body of `POST /v1/chat/completions`: which fields this server reads, and which it passes on.

use serde_json::{Map, Value};

use crate::domain::{Fingerprint, Invalid};
use crate::error::{Error, Result};
use crate::responder::Question;

/// The fields that are passed on unchanged. All others are left out: a field that only the upstream
/// knows could make it write more than was held for, or give the client access to something that is
/// not its own.
const PASSED_ON: [&str; 20] = [
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
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "reasoning_effort",
    "verbosity",
];

/// The longest name of a model, in bytes.
const MODEL_LENGTH: usize = 200;

/// The most characters of a message that the user's chats keep.
const MESSAGE_LENGTH: usize = 32_000;

/// A parsed request.
pub(super) struct CompletionRequest {
    /// The question for the model.
    pub question: Question,
    /// The text of the user's last message, which the user's chats show.
    pub message: String,
    /// Whether the client wants a stream.
    pub in_parts: bool,
    /// Whether a stream ends with the usage.
    pub include_usage: bool,
}

impl CompletionRequest {
    /// Parses a request.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field, if a field has a wrong type or value.
    pub(super) fn parse(mut body: Map<String, Value>) -> Result<CompletionRequest> {
        let model = match body.remove("model") {
            Some(Value::String(model)) if (1..=MODEL_LENGTH).contains(&model.len()) => model,
            _ => return Err(invalid("model", "name one of those that GET /v1/models lists")),
        };
        let messages = match body.remove("messages") {
            Some(Value::Array(messages)) if !messages.is_empty() && messages.iter().all(is_message) => {
                messages
            }
            _ => return Err(invalid("messages", "give a list of objects with \"role\" and \"content\"")),
        };
        if body.get("n").is_some_and(|n| !n.is_null() && n.as_u64() != Some(1)) {
            return Err(invalid("n", "ask for one answer at a time"));
        }
        let in_parts = flag(&body, "stream")?;
        let include_usage = match body.get("stream_options") {
            None | Some(Value::Null) => false,
            Some(Value::Object(options)) => flag(options, "include_usage")?,
            Some(_) => return Err(invalid("stream_options", "give an object")),
        };
        let max_output = max_output(&body)?;
        let mut options = Map::new();
        for name in PASSED_ON {
            if let Some(value) = body.remove(name).filter(|value| !value.is_null()) {
                options.insert(name.to_owned(), value);
            }
        }
        let message = last_words(&messages);
        let question = Question { model, messages, max_output, options };
        Ok(CompletionRequest { question, message, in_parts, include_usage })
    }

    /// Returns the fingerprint by which a retry is recognised. It covers everything but how the
    /// answer is sent.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let Question { model, messages, max_output, options } = &self.question;
        let parsed = serde_json::json!({
            "model": model, "messages": messages, "max_tokens": max_output, "options": options
        });
        Fingerprint::of_json("/v1/chat/completions", &parsed)
    }
}

fn invalid(field: &'static str, reason: &str) -> Error {
    Error::Invalid(Invalid::new(field, reason))
}

fn is_message(message: &Value) -> bool {
    message.get("role").is_some_and(Value::is_string)
}

fn flag(fields: &Map<String, Value>, name: &'static str) -> Result<bool> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(invalid(name, "give true or false")),
    }
}

/// Returns the most tokens that the client wants, given under either name; 0 if it does not say.
fn max_output(body: &Map<String, Value>) -> Result<u32> {
    let given = |name: &'static str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(tokens @ 1..) => Ok(Some(u32::try_from(tokens).unwrap_or(u32::MAX))),
            _ => Err(invalid(name, "give a whole number above 0")),
        },
    };
    Ok(given("max_completion_tokens")?.or(given("max_tokens")?).unwrap_or(0))
}

/// Returns the text of the user's last message, cut to [`MESSAGE_LENGTH`].
fn last_words(messages: &[Value]) -> String {
    let of_user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
    let last = messages.iter().rev().find(of_user).or(messages.last());
    let content = last.and_then(|message| message.get("content"));
    let text = match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    if text.trim().is_empty() {
        return "(no text)".to_owned();
    }
    text.chars().take(MESSAGE_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: Value) -> Result<CompletionRequest> {
        let Value::Object(body) = body else { panic!("no object") };
        CompletionRequest::parse(body)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
        body[name] = value;
        body
    }

    #[test]
    fn what_is_known_is_passed_on_and_all_else_left_out() {
        let mut body = with("temperature", json!(0.5));
        body["n_predict"] = json!(-1);
        body["best_of"] = json!(8);
        body["stop"] = Value::Null;
        let request = parse(body).unwrap();
        assert_eq!(Value::from(request.question.options), json!({ "temperature": 0.5 }));
        assert_eq!((request.message.as_str(), request.in_parts), ("hi", false));
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (name, value) in [
            ("model", json!("")),
            ("messages", json!([])),
            ("messages", json!(["hi"])),
            ("n", json!(2)),
            ("stream", json!("yes")),
            ("stream_options", json!(1)),
            ("include_usage", json!(1)),
            ("max_tokens", json!(0)),
            ("max_tokens", json!(-1)),
            ("max_completion_tokens", json!(1.5)),
        ] {
            let body = match name {
                "include_usage" => with("stream_options", json!({ "include_usage": value })),
                _ => with(name, value),
            };
            match parse(body) {
                Err(Error::Invalid(field)) => assert_eq!(field.field, name),
                _ => panic!("{name} was taken"),
            }
        }
    }

    #[test]
    fn the_same_request_is_the_same_however_its_answer_is_sent() {
        let plain = parse(with("max_tokens", json!(7))).unwrap().fingerprint();
        let mut streamed = with("max_tokens", json!(7));
        streamed["stream"] = json!(true);
        streamed["stream_options"] = json!({ "include_usage": true });
        assert_eq!(parse(streamed).unwrap().fingerprint(), plain);
        assert_ne!(parse(with("max_tokens", json!(8))).unwrap().fingerprint(), plain);
    }

    #[test]
    fn the_history_shows_what_the_user_said_last() {
        let messages = json!([
            { "role": "system", "content": "be kind" },
            { "role": "user", "content": [{ "type": "text", "text": "look" }, { "type": "image_url" }] },
            { "role": "assistant", "content": "at what?" },
        ]);
        assert_eq!(parse(with("messages", messages)).unwrap().message, "look");
        let silent = json!([{ "role": "user", "content": [{ "type": "image_url" }] }]);
        assert_eq!(parse(with("messages", silent)).unwrap().message, "(no text)");
    }
}
