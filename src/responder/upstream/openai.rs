//! The dialect of the OpenAI protocol: its addresses, the body of a request, and the parsers of an
//! event, of a whole answer and of an error. `docs/upstreams.md` lists how upstreams deviate.
//!
//! The parser is lenient: it skips whatever carries nothing, and takes text as text, however it is
//! wrapped. It invents nothing: only a finish reason ends an answer.

mod plain;
mod vectors;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::complaint::Complaint;
use super::output_limit::OutputLimit;
use super::request_form::RequestForm;
use crate::domain::{Usage, UsageDetails, has_more_values};
use crate::responder::bounds::VALUES_OF_AN_EVENT;
use crate::responder::surrogates::replace_lone;
use crate::responder::{
    Completion, Delta, Failure, FinishReason, Inputs, Message, Piece, Question, QuestionKind,
};
pub(super) use vectors::{Vector, VectorReader};

/// The path of calls that continue a conversation, below the base URL.
pub(super) const CHAT_COMPLETIONS: [&str; 2] = ["chat", "completions"];
/// The path of calls that continue texts, below the base URL.
pub(super) const COMPLETIONS: [&str; 1] = ["completions"];
/// The path of calls that make vectors, below the base URL.
pub(super) const EMBEDDINGS: [&str; 1] = ["embeddings"];
/// The path of the list of models, below the base URL.
pub(super) const MODELS: [&str; 1] = ["models"];

/// Fields that this server sets, and fields that would override them or ask for more answers than
/// were charged.
const OURS: [&str; 13] = [
    "model",
    "messages",
    "prompt",
    "suffix",
    "input",
    "encoding_format",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "best_of",
    "echo",
    "stream",
    "stream_options",
];

/// The fields of a request that the protocol has. An error may name one of them.
const FIELDS: [&str; 42] = [
    "messages",
    "model",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "min_p",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "prompt",
    "suffix",
    "input",
    "dimensions",
    "encoding_format",
];

/// The longest finish reason, in bytes.
const MOST_OF_A_REASON: usize = 64;

/// The longest stop sequence that an answer may name, in bytes. A longer one is not kept.
const MOST_OF_A_STOP: usize = 1024;

/// The body of a request. The field that is asked depends on the endpoint.
#[derive(Default, Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    options: BTreeMap<&'a str, &'a Value>,
    #[serde(flatten)]
    limits: BTreeMap<&'a str, u32>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<&'a [Message]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a Inputs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a Inputs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<BTreeMap<&'a str, bool>>,
}

/// Writes the body of the request. Our own fields override the client's, because the price was
/// calculated from them. What is asked is written directly as text, without another copy, as it may
/// be large.
pub(super) fn body_of(question: &Question, form: RequestForm) -> Vec<u8> {
    let options = question.options.iter().map(|(name, value)| (name.as_str(), value));
    let is_lost = |name: &str| question.may_lose_hints && form.lost.contains(name);
    let is_sent = |name: &str| !OURS.contains(&name) && !is_lost(name);
    let asks_for_usage = form.streams && form.asks_for_usage;
    let common = Body {
        options: options.filter(|(name, _)| is_sent(name)).collect(),
        model: &question.model,
        stream: Some(form.streams),
        stream_options: asks_for_usage.then(|| BTreeMap::from([("include_usage", true)])),
        ..Body::default()
    };
    let body = match &question.kind {
        QuestionKind::Chat => Body {
            messages: Some(&question.messages),
            limits: limits(question, form.output_limit.name(), question.choices),
            ..common
        },
        QuestionKind::Completion(Completion { prompts, suffix }) => Body {
            prompt: Some(prompts),
            suffix: suffix.as_deref(),
            // No other name was ever needed here, and each prompt has its own choices.
            limits: limits(question, OutputLimit::MaxTokens.name(), question.choices_of_each_prompt(prompts)),
            ..common
        },
        QuestionKind::Embeddings(inputs) => Body {
            input: Some(inputs),
            encoding_format: form.asks_for_numbers.then_some("float"),
            stream: None,
            stream_options: None,
            ..common
        },
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Returns the fields that limit the output: `name`, and how many choices there are if there are
/// several.
fn limits<'a>(question: &Question, name: &'a str, choices: u32) -> BTreeMap<&'a str, u32> {
    let mut limits = BTreeMap::from([(name, question.max_output)]);
    if choices > 1 {
        limits.insert("n", choices);
    }
    limits
}

/// The content of an event, or of a whole answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Whether the stream ends.
    pub(super) is_done: bool,
    /// Parts of the answer.
    pub(super) parts: Vec<Part>,
    /// The usage, if it is reported and plausible.
    pub(super) usage: Option<Usage>,
}

/// A part of the answer.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    /// The part.
    pub(super) piece: Piece,
    /// Whether it is the whole choice. Some upstreams repeat a whole choice at the end.
    pub(super) is_whole: bool,
}

/// A chunk, or a whole completion. Fields that are not needed are not kept.
#[derive(Deserialize)]
struct Chunk<U> {
    choices: Option<Vec<Option<Choice>>>,
    usage: Option<U>,
    error: Option<Value>,
    /// Groq's own fields, with the usage.
    x_groq: Option<U>,
    /// What llama.cpp measures.
    timings: Option<U>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<Value>,
    delta: Option<Value>,
    message: Option<Value>,
    text: Option<Value>,
    finish_reason: Option<Value>,
    /// The stop sequence that vLLM met, or the number of a token.
    stop_reason: Option<Value>,
    /// The same of SGLang.
    matched_stop: Option<Value>,
    logprobs: Option<Value>,
    usage: Option<Value>,
}

/// Parses an event of a stream. `name` is the event's name, empty if it has none.
pub(super) fn read(name: &[u8], data: &[u8]) -> Result<Said, Failure> {
    let data = data.trim_ascii();
    if data.eq_ignore_ascii_case(b"[DONE]") {
        return Ok(Said { is_done: true, ..Said::default() });
    }
    if name == b"error" {
        return Err(complaint(data).failure_in_answer());
    }
    if carries_nothing(data) {
        return Ok(Said::default());
    }
    if let Some(said) = plain::read(data) {
        return Ok(said);
    }
    let text = String::from_utf8_lossy(data);
    read_chunk(text.as_bytes())
}

/// Returns whether data that is not an object is only there to keep the connection alive: a word
/// without any punctuation of JSON, or a value that holds no text.
fn carries_nothing(data: &[u8]) -> bool {
    let is_word = data.len() <= 32 && !data.iter().any(|byte| b"{}[]\":,".contains(byte));
    is_word || matches!(data, b"[]" | b"\"\"" | b"[PING]" | b"[ping]")
}

/// Parses a `chat.completion`, the answer of an upstream that does not stream.
pub(super) fn read_whole(body: &[u8]) -> Result<Said, Failure> {
    let text = String::from_utf8_lossy(body.trim_ascii());
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let said = read_chunk(text.as_bytes()).map_err(|failure| match failure {
        Failure::Unreadable => Failure::NotAnAnswer,
        other => other,
    })?;
    if said.parts.is_empty() { Err(Failure::NotAnAnswer) } else { Ok(said) }
}

fn read_chunk(data: &[u8]) -> Result<Said, Failure> {
    let (data, has_halves) = replace_lone(data);
    let chunk = parse(&data)?;
    if chunk.error.as_ref().is_some_and(is_error) {
        return Err(complaint(&data).failure_in_answer());
    }
    let Some(choices) = chunk.choices else {
        if chunk.usage.is_none() && chunk.x_groq.is_none() && is_error_without_envelope(&data) {
            return Err(complaint(&data).failure_in_answer());
        }
        return Ok(Said {
            usage: usage_in(&chunk.usage, &chunk.x_groq, &chunk.timings, None),
            ..Said::default()
        });
    };
    let mut said = Said::default();
    let mut usage_of_choice = None;
    for choice in choices.into_iter().flatten() {
        usage_of_choice = usage_of_choice.or(choice.usage.clone());
        said.parts.extend(choice.into_part(has_halves)?);
    }
    said.usage = usage_in(&chunk.usage, &chunk.x_groq, &chunk.timings, usage_of_choice.as_ref());
    Ok(said)
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
        let null = |ignored: Option<IgnoredAny>| ignored.map(|_| Value::Null);
        let (usage, x_groq, timings) = (null(chunk.usage), null(chunk.x_groq), null(chunk.timings));
        Some(Chunk { choices: chunk.choices, error: chunk.error, usage, x_groq, timings })
    });
    chunk.ok_or(Failure::Unreadable)
}

fn parse_as<U: DeserializeOwned>(data: &[u8]) -> Option<Chunk<U>> {
    serde_json::from_slice(data).ok()
}

/// Returns whether the value of `error` reports one. Some upstreams always send the field.
fn is_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// Returns whether an object without choices is an error: some upstreams send its fields without
/// the envelope `error`.
fn is_error_without_envelope(data: &[u8]) -> bool {
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(data) else { return false };
    let says = |name: &str, word: &str| fields.get(name).is_some_and(|value| value == word);
    let names_one = ["detail", "message"].iter().any(|name| fields.get(*name).is_some_and(is_error));
    says("object", "error") || says("type", "error") || names_one
}

impl Choice {
    /// Returns the part of the answer. `None` if there is nothing in it.
    fn into_part(self, has_halves: bool) -> Result<Option<Part>, Failure> {
        let choice = self.index.as_ref().map_or(Some(0), index_of).ok_or(Failure::Unreadable)?;
        let finish_reason = match self.finish_reason {
            None | Some(Value::Null) => None,
            Some(Value::String(reason)) => Some(reason).filter(|reason| !FinishReason::is_none(reason)),
            Some(_) => return Err(Failure::Unreadable),
        };
        if finish_reason.as_deref().is_some_and(FinishReason::is_failure) {
            return Err(Failure::ErrorInAnswer);
        }
        if finish_reason.as_deref().is_some_and(|reason| reason.len() > MOST_OF_A_REASON) {
            return Err(Failure::Unreadable);
        }
        let finish_reason = finish_reason.map(|reason| FinishReason::of(&storable(reason)));
        let met_stop = [self.stop_reason, self.matched_stop].into_iter().flatten().find_map(stop_of);
        let is_whole = matches!(self.delta, None | Some(Value::Null)) && self.message.is_some();
        let written = self.delta.filter(|delta| !delta.is_null()).or(self.message).or(self.text);
        let mut delta = match written {
            None | Some(Value::Null) => Delta::default(),
            Some(Value::Object(mut message)) => {
                number_calls(&mut message, is_whole);
                message.values_mut().for_each(make_storable);
                Delta::parse(message).map_err(|_| Failure::Unreadable)?
            }
            Some(Value::String(text)) => Delta { text: storable(text), ..Delta::default() },
            Some(_) => return Err(Failure::Unreadable),
        };
        if delta.more.keys().any(|name| name.contains('\0')) {
            delta.more = std::mem::take(&mut delta.more)
                .into_iter()
                .map(|(name, value)| (storable(name), value))
                .collect();
        }
        let mut logprobs = self.logprobs.filter(|logprobs| !logprobs.is_null());
        logprobs.iter_mut().for_each(make_storable);
        let piece = Piece { choice, delta, finish_reason, met_stop, logprobs, has_halves, embeddings: None };
        Ok((!piece.is_empty()).then_some(Part { piece, is_whole }))
    }
}

/// Returns the text of a stop sequence. Tokens that end every answer are numbers.
fn stop_of(stop: Value) -> Option<String> {
    match stop {
        Value::String(stop) if (1..=MOST_OF_A_STOP).contains(&stop.len()) => Some(storable(stop)),
        _ => None,
    }
}

fn index_of(index: &Value) -> Option<usize> {
    let index = match index {
        Value::Null => Some(0),
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_u64(),
    };
    usize::try_from(index?).ok()
}

/// Numbers tool calls by position where several came at once without an index. In a whole message
/// each has only its position.
fn number_calls(message: &mut Map<String, Value>, is_whole: bool) {
    let Some(Value::Array(calls)) = message.get_mut("tool_calls") else { return };
    if (!is_whole && calls.len() < 2) || calls.iter().any(|call| call.get("index").is_some()) {
        return;
    }
    for (index, call) in calls.iter_mut().enumerate() {
        if let Value::Object(call) = call {
            call.insert("index".to_owned(), index.into());
        }
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

/// Returns the usage of a chunk, wherever it is.
fn usage_in(
    usage: &Option<Value>,
    x_groq: &Option<Value>,
    timings: &Option<Value>,
    of_choice: Option<&Value>,
) -> Option<Usage> {
    let of_groq = || usage_of(x_groq.as_ref()?.get("usage")?);
    let of_timings = || usage_of_timings(timings.as_ref()?);
    let reported = usage.as_ref().and_then(usage_of);
    reported.or_else(|| of_choice.and_then(usage_of)).or_else(of_groq).or_else(of_timings)
}

fn number_in(fields: &Value, names: &[&str]) -> Option<i64> {
    let number = names.iter().find_map(|name| fields.get(*name).filter(|value| !value.is_null()))?;
    // A float that is out of range becomes the largest number, which is then rejected as
    // implausible.
    number.as_i64().or_else(|| Some(number.as_f64()?.round() as i64))
}

/// Returns the usage if its numbers are plausible. Some upstreams leave one of the three numbers
/// out, and some count reasoning in the total only.
fn usage_of(usage: &Value) -> Option<Usage> {
    let prompt = number_in(usage, &["prompt_tokens", "input_tokens"]);
    let completion = number_in(usage, &["completion_tokens", "output_tokens"]);
    let total = number_in(usage, &["total_tokens"]).filter(|total| Usage::is_plausible(*total));
    let details = details_of(usage);
    let (prompt, completion) = match (prompt, completion, total) {
        (Some(prompt), Some(completion), _) => (prompt, completion),
        (Some(prompt), None, Some(total)) => (prompt, total.saturating_sub(prompt)),
        (None, Some(completion), Some(total)) => (total.saturating_sub(completion), completion),
        _ => return None,
    };
    let reported = Usage::reported(prompt, completion)?;
    let reasoning = details.reasoning_tokens.unwrap_or(0);
    let completion_tokens = match total {
        // The total contains what the completion does not: the reasoning, if it is reported.
        Some(total) => {
            let beyond = total - prompt - completion;
            // Some upstreams count what they had in their cache in addition to the prompt.
            let is_cached = details.cached_tokens.is_some_and(|cached| cached > prompt);
            let is_reasoning = beyond > 0 && !is_cached && (reasoning == 0 || beyond <= reasoning);
            completion + if is_reasoning { beyond } else { 0 }
        }
        // Reasoning cannot be more than what it is a part of.
        None if reasoning > completion => completion + reasoning,
        None => completion,
    };
    Usage::reported(prompt, completion_tokens).map(|usage| Usage { details, ..usage }).or(Some(reported))
}

fn details_of(usage: &Value) -> UsageDetails {
    let inside = |objects: &[&str], name: &str| {
        let object = objects.iter().find_map(|object| usage.get(*object))?;
        number_in(object, &[name])
    };
    let plausible = |tokens: Option<i64>| tokens.filter(|tokens| Usage::is_plausible(*tokens));
    let prompt = ["prompt_tokens_details", "input_tokens_details"];
    let completion = ["completion_tokens_details", "output_tokens_details"];
    let cached = inside(&prompt, "cached_tokens")
        .or_else(|| number_in(usage, &["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"]));
    let reasoning =
        inside(&completion, "reasoning_tokens").or_else(|| number_in(usage, &["reasoning_tokens"]));
    UsageDetails {
        cached_tokens: plausible(cached),
        prompt_audio_tokens: plausible(inside(&prompt, "audio_tokens")),
        reasoning_tokens: plausible(reasoning),
        completion_audio_tokens: plausible(inside(&completion, "audio_tokens")),
    }
}

/// Returns the usage that llama.cpp measures even if it is not asked for it.
fn usage_of_timings(timings: &Value) -> Option<Usage> {
    let cached = number_in(timings, &["cache_n"]);
    let prompt = number_in(timings, &["prompt_n"])?.checked_add(cached.unwrap_or(0))?;
    let usage = Usage::reported(prompt, number_in(timings, &["predicted_n"])?)?;
    let cached_tokens = cached.filter(|tokens| Usage::is_plausible(*tokens));
    Some(Usage { details: UsageDetails { cached_tokens, ..UsageDetails::default() }, ..usage })
}

/// Parses an error, in any of the forms that upstreams give it: an object `error`, the same without
/// its envelope, FastAPI's `detail`, a list of these, or just text.
pub(super) fn complaint(body: &[u8]) -> Complaint {
    let mut complaint = Complaint::default();
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => take_complaint(&mut complaint, &value),
        Err(_) => complaint.words = String::from_utf8_lossy(body).to_lowercase(),
    }
    complaint
}

fn take_complaint(complaint: &mut Complaint, value: &Value) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| take_complaint(complaint, value)),
        Value::String(words) => {
            complaint.words.push_str(&words.to_lowercase());
            complaint.words.push('\n');
        }
        Value::Object(fields) => {
            for name in ["code", "type", "status"] {
                match fields.get(name) {
                    Some(Value::String(code)) => complaint.codes.push(code.to_lowercase()),
                    Some(Value::Number(code)) => complaint.codes.push(code.to_string()),
                    _ => {}
                }
            }
            let field = fields.get("param").and_then(Value::as_str).and_then(field_of);
            // FastAPI's place of the fault: ["body", "temperature"].
            let place = fields.get("loc").and_then(Value::as_array).into_iter().flatten();
            let place = place.filter_map(Value::as_str).find_map(field_of);
            complaint.field = complaint.field.or(field).or(place);
            // Not `input`, with which some upstreams repeat what they were sent.
            for name in ["error", "detail", "errors", "message", "msg", "loc", "param", "metadata", "raw"] {
                fields.get(name).into_iter().for_each(|value| take_complaint(complaint, value));
            }
        }
        _ => {}
    }
}

/// Returns the field of the protocol that a path begins with, such as `messages[0].content`.
fn field_of(path: &str) -> Option<&'static str> {
    let path: Cow<'_, str> = path.trim().to_ascii_lowercase().into();
    let path = path.strip_prefix("body.").unwrap_or(&path);
    let end = path.find(['.', '[', ' ']).unwrap_or(path.len());
    FIELDS.into_iter().find(|field| *field == &path[..end])
}

#[cfg(test)]
mod tests;
