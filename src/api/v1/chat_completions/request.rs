//! The body of a request: which fields this server reads, and which it passes on.

use serde_json::{Map, Value};

use super::super::fields::{TUNING, choices, flag, includes_usage, invalid, last_words, model, most_tokens};
use crate::domain::{Endpoint, Fingerprint};
use crate::error::Result;
use crate::responder::{Message, Question};

/// The fields that are passed on unchanged, besides [`TUNING`]. A further field is passed on only
/// if the model's list in the panel has it: it could make the upstream write more than was held
/// for, or give the client access to something that is not its own.
pub(in crate::api::v1) const PASSED_ON: [&str; 17] = [
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
    "modalities",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
];

/// Fields of the protocol that this server reads itself.
pub(in crate::api::v1) const READ: [&str; 7] =
    ["model", "messages", "n", "max_tokens", "max_completion_tokens", "stream", "stream_options"];

/// Fields of the protocol that are not offered, and what to do instead.
pub(in crate::api::v1) const NOT_OFFERED: [(&str, &str); 4] = [
    ("audio", "leave it out: answers are text"),
    ("prediction", "leave it out: predicted outputs are not offered"),
    ("web_search_options", "leave it out: web searches are not offered"),
    ("store", "leave it out, or give false: chats are stored by this server only"),
];

/// The service tiers that cost the usual price.
const USUAL_TIERS: [&str; 2] = ["auto", "default"];

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
    /// [`Error::Invalid`](crate::error::Error::Invalid), naming the field, if a field has a wrong
    /// type or value, or is a field of the protocol that is not offered.
    pub(super) fn parse(mut body: Map<String, Value>) -> Result<CompletionRequest> {
        let model = model(body.remove("model"))?;
        let messages = match body.remove("messages") {
            Some(Value::Array(messages)) if !messages.is_empty() => {
                messages.into_iter().map(Message::parse).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        let messages = messages
            .ok_or_else(|| invalid("messages", "give a list of objects with \"role\" and \"content\""))?;
        let choices = choices(body.get("n"))?;
        let in_parts = flag(&body, "stream")?;
        let include_usage = includes_usage(&body)?;
        let max_output = most_tokens(&body, &["max_completion_tokens", "max_tokens"])?;
        let (options, extra) = options(body)?;
        let message = last_words(&messages);
        let question =
            Question { model, messages, max_output, choices, options, extra, ..Question::default() };
        Ok(CompletionRequest { question, message, in_parts, include_usage })
    }

    /// Returns the fingerprint by which a retry is recognised. It covers everything but how the
    /// answer is sent.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let Question { model, messages, max_output, choices, options, extra, .. } = &self.question;
        let mut parsed = serde_json::json!({
            "model": model, "messages": messages, "max_tokens": max_output, "options": options
        });
        if *choices > 1 {
            parsed["n"] = (*choices).into();
        }
        if !extra.is_empty() {
            parsed["extra"] = extra.clone().into();
        }
        Fingerprint::of_json(Endpoint::ChatCompletions.path(), &parsed)
    }
}

/// Divides the fields into those that are passed on and those that only the model's list may pass.
fn options(mut body: Map<String, Value>) -> Result<(Map<String, Value>, Map<String, Value>)> {
    body.retain(|name, value| !value.is_null() && !READ.contains(&name.as_str()));
    if body.get("store") == Some(&Value::Bool(false)) {
        body.remove("store");
    }
    if let Some((name, reason)) = NOT_OFFERED.into_iter().find(|(name, _)| body.contains_key(*name)) {
        return Err(invalid(name, reason));
    }
    if body.get("modalities").is_some_and(|modalities| *modalities != serde_json::json!(["text"])) {
        return Err(invalid("modalities", "leave it out, or give [\"text\"]: answers are text"));
    }
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    // Tools that run at the upstream cost what no price here covers.
    let runs_elsewhere =
        |tool: &Value| tool.get("type").is_some_and(|kind| kind != "function" && kind != "custom");
    if tools.into_iter().any(runs_elsewhere) {
        return Err(invalid("tools", "give tools of the type \"function\" or \"custom\" only"));
    }
    if body.get("service_tier").is_some_and(|tier| !USUAL_TIERS.iter().any(|usual| tier == usual)) {
        return Err(invalid("service_tier", "leave it out, or give \"auto\" or \"default\""));
    }
    let is_passed = |name: &str| TUNING.contains(&name) || PASSED_ON.contains(&name);
    Ok(body.into_iter().partition(|(name, _)| is_passed(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
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
    fn what_is_known_is_passed_on_and_all_else_kept_apart() {
        let mut body = with("temperature", json!(0.5));
        body["n_predict"] = json!(-1);
        body["chat_template_kwargs"] = json!({ "enable_thinking": false });
        body["stop"] = Value::Null;
        body["store"] = json!(false);
        body["user"] = json!("ada");
        let request = parse(body).unwrap();
        let extra = json!({ "n_predict": -1, "chat_template_kwargs": { "enable_thinking": false } });
        assert_eq!(Value::from(request.question.extra), extra);
        assert_eq!(Value::from(request.question.options), json!({ "temperature": 0.5, "user": "ada" }));
        assert_eq!((request.message.as_str(), request.in_parts), ("hi", false));
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (name, value) in [
            ("model", json!("")),
            ("messages", json!([])),
            ("messages", json!(["hi"])),
            ("n", json!(0)),
            ("n", json!(17)),
            ("n", json!("2")),
            ("prediction", json!({ "type": "content" })),
            ("web_search_options", json!({})),
            ("store", json!(true)),
            ("service_tier", json!("priority")),
            ("modalities", json!(["text", "audio"])),
            ("audio", json!({ "voice": "a" })),
            ("tools", json!([{ "type": "web_search" }])),
            ("stream", json!("yes")),
            ("stream_options", json!(1)),
            ("include_usage", json!(1)),
            ("max_tokens", json!(-3)),
            ("max_tokens", json!("7")),
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
    fn numbers_mean_what_clients_mean_by_them() {
        let parsed = |name: &str, value: Value| parse(with(name, value)).unwrap().question;
        for (value, limit) in [(json!(7), 7), (json!(7.0), 7), (json!(0), u32::MAX), (json!(-1), u32::MAX)] {
            assert_eq!(parsed("max_tokens", value).max_output, limit);
        }
        assert_eq!(parsed("temperature", json!(1)).max_output, 0);
        assert_eq!([json!(null), json!(1), json!(16)].map(|n| parsed("n", n).choices), [1, 1, 16]);
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
