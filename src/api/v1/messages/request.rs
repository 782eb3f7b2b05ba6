//! The body of a request, and its translation.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::fields::{flag, invalid, last_words, may_be_strict, model, whole_number};
use super::content::shown;
use super::tools::add_tools;
use super::turns::Turns;
use crate::domain::{Endpoint, Fingerprint};
use crate::error::Result;
use crate::responder::Question;

/// Fields that need no translation.
const PASSED_ON: [&str; 3] = ["temperature", "top_p", "top_k"];

/// Fields that change nothing here: hints to Anthropic's caches and statistics. `betas` is for
/// clients that send the header `anthropic-beta` in the body.
pub(in crate::api::v1) const IGNORED: [&str; 4] =
    ["cache_control", "diagnostics", "betas", "anthropic_version"];

/// Fields that are not offered, and what to do instead. Empty ones are ignored.
pub(in crate::api::v1) const NOT_OFFERED: [(&str, &str); 6] = [
    ("user_profile_id", "leave it out, and give \"metadata.user_id\": profiles are not offered"),
    ("mcp_servers", "leave it out: connect to MCP servers in your program"),
    ("container", "leave it out: code execution is not offered"),
    ("inference_geo", "leave it out: where the model runs is up to the operator"),
    ("fallbacks", "leave it out: an answer is always of the model that was asked"),
    ("fallback_credit_token", "leave it out: an answer is always of the model that was asked"),
];

/// The longest `user` that all upstreams accept, in bytes.
const USER_LENGTH: usize = 64;

/// The edit of a context that changes nothing, because thoughts are always left out.
const CLEAR_THINKING: &str = "clear_thinking_";

/// A parsed request.
pub(super) struct MessagesRequest {
    /// The question for the model.
    pub question: Question,
    /// The text of the user's last message, which the user's chats show.
    pub message: String,
    /// Whether the client wants a stream.
    pub in_parts: bool,
    /// Whether the answer shows what the model thought.
    pub shows_thinking: bool,
}

impl MessagesRequest {
    /// Returns the sequences that end an answer.
    pub(super) fn stops(&self) -> Vec<String> {
        let stops = self.question.options.get("stop").and_then(Value::as_array);
        stops.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

impl MessagesRequest {
    /// Parses a request for an answer.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid), naming the field, if a field has a wrong
    /// type or value, or is a field of the protocol that is not offered.
    pub(super) fn parse(mut body: Map<String, Value>) -> Result<MessagesRequest> {
        let max_output = match body.remove("max_tokens").as_ref().and_then(whole_number) {
            Some(tokens @ 1..) => u32::try_from(tokens).unwrap_or(u32::MAX),
            _ => return Err(invalid("max_tokens", "give a whole number above 0")),
        };
        let mut request = MessagesRequest::countable(body)?;
        request.question.max_output = max_output;
        Ok(request)
    }

    /// Parses a request whose tokens are to be counted. It need not have a `max_tokens`.
    ///
    /// # Errors
    /// See [`MessagesRequest::parse`].
    pub(super) fn countable(mut body: Map<String, Value>) -> Result<MessagesRequest> {
        body.retain(|name, value| !value.is_null() && !IGNORED.contains(&name.as_str()));
        body.remove("max_tokens");
        let model = model(body.remove("model"))?;
        let messages = messages(body.remove("system"), body.remove("messages"))?;
        let in_parts = flag(&body, "stream")?;
        body.remove("stream");
        let mut options = Map::new();
        add_tools(body.remove("tools"), body.remove("tool_choice"), &mut options)?;
        add_sampling(&mut body, &mut options)?;
        add_user(body.remove("metadata"), &mut options)?;
        add_output(body.remove("output_config"), body.remove("output_format"), &mut options)?;
        let shows_thinking = shows_thinking(body.remove("thinking"))?;
        check_not_offered(&mut body)?;
        let message = last_words(&messages);
        // Claude Code sends an effort and a user, whatever the model.
        let may_lose_hints = true;
        let question =
            Question { model, messages, options, extra: body, may_lose_hints, ..Question::default() };
        Ok(MessagesRequest { question, message, in_parts, shows_thinking })
    }

    /// Returns the fingerprint by which a retry is recognised. It covers everything but whether the
    /// answer is streamed.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let Question { model, messages, max_output, options, extra, .. } = &self.question;
        let parsed = json!({
            "model": model, "messages": messages, "max_tokens": max_output, "options": options,
            "extra": extra, "thinking": self.shows_thinking,
        });
        Fingerprint::of_json(Endpoint::Messages.path(), &parsed)
    }
}

fn messages(system: Option<Value>, messages: Option<Value>) -> Result<Vec<crate::responder::Message>> {
    let mut turns = Turns::of_system(system)
        .ok_or_else(|| invalid("system", "give a text, or a list of blocks of the type \"text\""))?;
    let Some(Value::Array(messages)) = messages else {
        return Err(invalid("messages", "give a list of objects with \"role\" and \"content\""));
    };
    for message in messages {
        turns.add(message)?;
    }
    match turns.into_messages() {
        (messages, true) => Ok(messages),
        (_, false) => Err(invalid("messages", "give at least one message with a content")),
    }
}

/// Passes on how the model is to choose its words.
fn add_sampling(body: &mut Map<String, Value>, options: &mut Map<String, Value>) -> Result<()> {
    for name in PASSED_ON {
        match body.remove(name) {
            None => {}
            Some(number @ Value::Number(_)) => {
                options.insert(name.to_owned(), number);
            }
            Some(_) => return Err(invalid(name, "give a number")),
        }
    }
    match body.remove("stop_sequences") {
        None => {}
        Some(Value::Array(stops)) if stops.is_empty() => {}
        Some(Value::Array(stops)) if stops.iter().all(Value::is_string) => {
            options.insert("stop".to_owned(), Value::Array(stops));
        }
        Some(_) => return Err(invalid("stop_sequences", "give a list of texts")),
    }
    Ok(())
}

/// Passes on who asks, as far as the upstream is to know.
fn add_user(metadata: Option<Value>, options: &mut Map<String, Value>) -> Result<()> {
    let user = match metadata {
        None => None,
        Some(Value::Object(mut fields)) => fields.remove("user_id"),
        Some(_) => return Err(invalid("metadata", "give an object")),
    };
    match user {
        None | Some(Value::Null) => {}
        Some(Value::String(user)) => {
            // Claude Code's is longer than some upstreams accept.
            let user = if user.len() > USER_LENGTH { digest(&user) } else { user };
            options.insert("user".to_owned(), user.into());
        }
        Some(_) => return Err(invalid("metadata", "give a text as \"user_id\"")),
    }
    Ok(())
}

/// Returns a text of [`USER_LENGTH`] that stands for a longer one.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Translates how the answer is to look: the effort and the schema.
fn add_output(
    config: Option<Value>,
    old_format: Option<Value>,
    options: &mut Map<String, Value>,
) -> Result<()> {
    let mut config = match config {
        None => Map::new(),
        Some(Value::Object(config)) => config,
        Some(_) => return Err(invalid("output_config", "give an object")),
    };
    match config.remove("effort") {
        None | Some(Value::Null) => {}
        Some(effort) => {
            // The two highest are unknown to most models that know an effort.
            let effort = match effort.as_str() {
                Some(effort @ ("low" | "medium" | "high")) => effort,
                Some("xhigh" | "max") => "high",
                _ => {
                    let reason = "give the \"effort\" \"low\", \"medium\", \"high\", \"xhigh\" or \"max\"";
                    return Err(invalid("output_config", reason));
                }
            };
            options.insert("reasoning_effort".to_owned(), effort.into());
        }
    }
    let new_format = config.remove("format").filter(|format| !format.is_null());
    if let Some((name, _)) = config.iter().find(|(_, value)| !value.is_null()) {
        let reason = format!("\"{}\" is not offered: leave it out", shown(name));
        return Err(invalid("output_config", &reason));
    }
    let (field, format) = match (new_format, old_format) {
        (Some(format), _) => ("output_config", format),
        (None, Some(format)) => ("output_format", format),
        (None, None) => return Ok(()),
    };
    let wanted = || invalid(field, "give a format with the \"type\" \"json_schema\" and a \"schema\"");
    let Value::Object(mut format) = format else { return Err(wanted()) };
    match (format.remove("type"), format.remove("schema")) {
        (Some(kind), Some(schema @ Value::Object(_))) if kind == "json_schema" => {
            let is_strict = may_be_strict(&schema);
            let schema = json!({ "name": "answer", "schema": schema, "strict": is_strict });
            let format = json!({ "type": "json_schema", "json_schema": schema });
            options.insert("response_format".to_owned(), format);
            Ok(())
        }
        _ => Err(wanted()),
    }
}

/// Returns whether the answer shows what the model thought: only to clients that ask for it. How
/// much it thinks is up to the model.
fn shows_thinking(thinking: Option<Value>) -> Result<bool> {
    let Some(thinking) = thinking else { return Ok(false) };
    let is_shown = thinking.get("display").is_none_or(|display| display != "omitted");
    match thinking.get("type").and_then(Value::as_str) {
        Some("enabled" | "adaptive") => Ok(is_shown),
        Some("disabled") => Ok(false),
        _ => Err(invalid("thinking", "give the \"type\" \"enabled\", \"adaptive\" or \"disabled\"")),
    }
}

/// Rejects what is not offered, and removes what asks for nothing.
fn check_not_offered(body: &mut Map<String, Value>) -> Result<()> {
    for (name, reason) in NOT_OFFERED {
        match body.remove(name) {
            None => {}
            Some(Value::Array(values)) if values.is_empty() => {}
            Some(_) => return Err(invalid(name, reason)),
        }
    }
    if let Some(context) = body.remove("context_management") {
        check_edits(&context)?;
    }
    match body.remove("service_tier") {
        None => {}
        Some(tier) if tier == "auto" || tier == "standard_only" => {}
        Some(_) => {
            return Err(invalid("service_tier", "leave it out, or give \"auto\" or \"standard_only\""));
        }
    }
    match body.remove("speed") {
        None => Ok(()),
        Some(speed) if speed == "standard" => Ok(()),
        Some(_) => Err(invalid("speed", "leave it out, or give \"standard\"")),
    }
}

/// Checks that no edit of the context is wanted but the one that Claude Code always asks for.
fn check_edits(context: &Value) -> Result<()> {
    let edits = context.get("edits").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for edit in edits {
        let kind = edit.get("type").and_then(Value::as_str).unwrap_or_default();
        if !kind.starts_with(CLEAR_THINKING) {
            let reason =
                format!("the edit \"{}\" is not offered: shorten the conversation yourself", shown(kind));
            return Err(invalid("context_management", &reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
