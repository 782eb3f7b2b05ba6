//! `POST /v1/completions` of OpenAI: what a model writes after a text.

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answers::{ChunkHead, Names, Whole, ended, reason_of};
use super::dialect::{Dialect, Parsed};
use super::fields::{
    TUNING, choices, flag, includes_usage, invalid, model, most_tokens, shown, whole_number,
};
use super::inputs_body::InputsBody;
use crate::api::event_stream::event;
use crate::chat::{Event, Receipt, Started};
use crate::domain::{Endpoint, Fingerprint, Invalid};
use crate::error::{Error, Result};
use crate::responder::{
    Choice, Completion, FinishReason, Inputs, MOST_CHOICES, Piece, Question, QuestionKind,
};

/// The fields that are passed on unchanged, besides [`TUNING`]. A further field is passed on only
/// if the model's list in the panel has it.
pub(super) const PASSED_ON: [&str; 2] = ["logprobs", "user"];

/// Fields of the protocol that this server reads itself.
const READ: [&str; 8] =
    ["model", "n", "suffix", "max_tokens", "max_completion_tokens", "stream", "stream_options", "best_of"];

/// The most alternatives to each token.
const MOST_LOGPROBS: i64 = 20;

/// The dialect of completions.
pub(in crate::api) struct Completions {
    /// Whether a stream ends with the usage.
    include_usage: bool,
}

impl Dialect for Completions {
    const ENDPOINT: Endpoint = Endpoint::Completions;

    /// Tokens are parsed in few bytes each.
    const MOST_VALUES: usize = 4_000_000;

    type Body = InputsBody;

    fn parse(body: InputsBody, _: &HttpRequest) -> Result<Parsed<Completions>> {
        let InputsBody { prompt, mut fields, .. } = body;
        let prompts = prompt.and_then(|given| given.0).filter(|prompts| prompts.count() > 0);
        let prompts = prompts.ok_or_else(|| {
            invalid("prompt", "give a text, a list of tokens, or a list of either, with at least one")
        })?;
        let model = model(fields.remove("model"))?;
        let n = choices(fields.get("n"))?;
        let choices = all_choices(&prompts, n)?;
        let suffix = suffix(fields.remove("suffix"))?;
        let in_parts = flag(&fields, "stream")?;
        let include_usage = includes_usage(&fields)?;
        let max_output = most_tokens(&fields, &["max_tokens", "max_completion_tokens"])?;
        let (options, extra) = options(fields, n)?;
        let rest = json!({ "model": model, "suffix": suffix, "n": n, "max_tokens": max_output,
            "options": options, "extra": extra });
        let fingerprint = Fingerprint::of_large(Endpoint::Completions.path(), &rest, &prompts);
        let message = prompts.text(0).map_or_else(|| prompts.excerpt(), shown);
        let kind = QuestionKind::Completion(Completion { prompts, suffix });
        let question = Question { model, kind, max_output, choices, options, extra, ..Question::default() };
        Ok(Parsed { dialect: Completions { include_usage }, question, message, in_parts, fingerprint })
    }

    fn whole(self, mut response: HttpResponseBuilder, receipt: Receipt) -> HttpResponse {
        response.json(whole(&receipt))
    }

    fn events(self, started: &Started) -> impl FnMut(Event) -> Bytes + 'static {
        let mut chunks = Chunks::new(started, self.include_usage);
        move |event| chunks.write(event)
    }
}

/// Returns the number of choices of all prompts together.
fn all_choices(prompts: &Inputs, n: u32) -> Result<u32> {
    let all = u32::try_from(prompts.count()).unwrap_or(u32::MAX).saturating_mul(n);
    if usize::try_from(all).is_ok_and(|all| all <= MOST_CHOICES) {
        return Ok(all);
    }
    let reason = format!("send fewer prompts: each has `n` choices, and there may be {MOST_CHOICES} in all");
    Err(Error::Invalid(Invalid::new("prompt", reason)))
}

fn suffix(given: Option<Value>) -> Result<Option<String>> {
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(suffix)) => Ok(Some(suffix).filter(|suffix| !suffix.is_empty())),
        Some(_) => Err(invalid("suffix", "give a text")),
    }
}

/// Divides the fields into those that are passed on and those that only the model's list may pass.
fn options(mut fields: Map<String, Value>, n: u32) -> Result<(Map<String, Value>, Map<String, Value>)> {
    if flag(&fields, "echo")? {
        let reason = "leave it out: the answer has what the model writes, without the prompt, which would be \
                      charged twice";
        return Err(invalid("echo", reason));
    }
    fields.remove("echo");
    let best_of = match fields.get("best_of") {
        None | Some(Value::Null) => Some(0),
        Some(best_of) => whole_number(best_of),
    };
    if best_of.is_none_or(|best_of| best_of > i64::from(n)) {
        let reason =
            "leave it out, or give the same as `n`: choices that you do not get would be charged, too";
        return Err(invalid("best_of", reason));
    }
    fields.retain(|name, value| !value.is_null() && !READ.contains(&name.as_str()));
    let logprobs = fields.get("logprobs").map(|most| whole_number(most).unwrap_or(-1));
    if logprobs.is_some_and(|most| !(0..=MOST_LOGPROBS).contains(&most)) {
        let reason = format!("give a whole number from 0 to {MOST_LOGPROBS}");
        return Err(Error::Invalid(Invalid::new("logprobs", reason)));
    }
    let is_passed = |name: &str| TUNING.contains(&name) || PASSED_ON.contains(&name);
    Ok(fields.into_iter().partition(|(name, _)| is_passed(name)))
}

/// What answers are called.
const NAMES: Names = Names { prefix: "cmpl", whole: "text_completion", chunk: "text_completion" };

/// A choice, or a part of one in a stream.
#[derive(Serialize)]
struct Continued<'a> {
    text: &'a str,
    index: usize,
    logprobs: Option<Value>,
    finish_reason: Option<&'a str>,
}

fn whole(receipt: &Receipt) -> impl Serialize {
    Whole::of(receipt, NAMES, |index, choice| Continued {
        text: text_of(choice),
        index,
        logprobs: choice.logprobs.as_ref().map(|logprobs| logprobs_of(logprobs, 0)),
        finish_reason: Some(reason_of(choice)),
    })
}

/// Returns the text of a choice. A completion has no other field for a refusal.
fn text_of(choice: &Choice) -> &str {
    choice.text().or(choice.refusal()).unwrap_or_default()
}

/// Returns log probabilities in the form of this endpoint. Those of a conversation have another.
/// `offset` is the number of characters before them.
fn logprobs_of(logprobs: &Value, offset: usize) -> Value {
    let Some(content) = logprobs.get("content").and_then(Value::as_array) else { return logprobs.clone() };
    let token_of = |entry: &Value| entry.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
    let logprob_of = |entry: &Value| entry.get("logprob").cloned().unwrap_or_default();
    let top_of = |entry: &Value| {
        let top = entry.get("top_logprobs").and_then(Value::as_array);
        let top = top.filter(|top| !top.is_empty())?;
        Some(top.iter().map(|other| (token_of(other), logprob_of(other))).collect::<Map<String, Value>>())
    };
    let tokens: Vec<String> = content.iter().map(token_of).collect();
    let mut next = offset;
    let offset_of = |token: &String| {
        let offset = next;
        next += token.chars().count();
        offset
    };
    let offsets: Vec<usize> = tokens.iter().map(offset_of).collect();
    json!({
        "tokens": tokens,
        "token_logprobs": content.iter().map(logprob_of).collect::<Vec<_>>(),
        "top_logprobs": content.iter().map(top_of).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

/// Writes the events of one stream.
struct Chunks {
    head: ChunkHead,
    /// For each choice, the characters sent, and whether its finish reason was sent.
    sent: [(usize, bool); MOST_CHOICES],
}

/// A chunk of a stream.
#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    head: &'a Map<String, Value>,
    choices: [Continued<'a>; 1],
    /// `null` if the last chunk will have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<()>,
}

impl Chunks {
    fn new(started: &Started, include_usage: bool) -> Chunks {
        let head = ChunkHead::new(started, NAMES, include_usage);
        Chunks { head, sent: [(0, false); MOST_CHOICES] }
    }

    /// Writes an event. The result is empty if there is nothing to send.
    fn write(&mut self, what: Event) -> Bytes {
        match what {
            Event::Piece(piece) => self.piece(&piece),
            Event::Done(receipt) => self.end(&receipt),
            // No `[DONE]` follows, and a stream without it has not ended well.
            Event::Failed(error) => event(None, &error.openai_body(Some(Endpoint::Completions))),
        }
    }

    fn piece(&mut self, piece: &Piece) -> Bytes {
        let text = [piece.text(), &piece.delta.refusal].into_iter().find(|text| !text.is_empty());
        let text = text.unwrap_or_default();
        let has_more = piece.finish_reason.is_some() || piece.logprobs.is_some();
        // What the model thought has no field here.
        if text.is_empty() && !has_more {
            return Bytes::new();
        }
        let Some((characters, has_ended)) = self.sent.get_mut(piece.choice) else { return Bytes::new() };
        let logprobs = piece.logprobs.as_ref().map(|logprobs| logprobs_of(logprobs, *characters));
        *characters += text.chars().count();
        *has_ended |= piece.finish_reason.is_some();
        let finish_reason = piece.finish_reason.as_ref().map(FinishReason::as_str);
        self.chunk(Continued { text, index: piece.choice, logprobs, finish_reason })
    }

    fn chunk(&self, choice: Continued) -> Bytes {
        let ChunkHead { fields, include_usage } = &self.head;
        event(None, &Chunk { head: fields, choices: [choice], usage: include_usage.then_some(()) })
    }

    fn end(&mut self, receipt: &Receipt) -> Bytes {
        let mut text = Vec::new();
        for (index, choice) in ended(receipt) {
            if self.sent.get(index).is_none_or(|(_, has_ended)| *has_ended) {
                continue;
            }
            let reason = choice.finish_reason.as_ref().map(FinishReason::as_str);
            let end = Continued { text: "", index, logprobs: None, finish_reason: reason };
            text.extend_from_slice(&self.chunk(end));
        }
        self.head.end(&mut text, receipt.usage);
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &Value) -> Result<Parsed<Completions>> {
        let http = actix_web::test::TestRequest::default().to_http_request();
        Completions::parse(serde_json::from_str(&body.to_string()).unwrap(), &http)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut body = json!({ "model": "m", "prompt": "Once" });
        body[name] = value;
        body
    }

    #[test]
    fn what_is_known_is_passed_on_and_all_else_kept_apart() {
        let mut body = with("temperature", json!(0));
        for (name, value) in [
            ("suffix", json!("end")),
            ("echo", json!(false)),
            ("best_of", json!(1)),
            ("logprobs", json!(0)),
            ("guided_regex", json!("a+")),
            ("stop", json!(null)),
            ("max_tokens", json!(5)),
        ] {
            body[name] = value;
        }
        let parsed = parse(&body).unwrap();
        let question = parsed.question;
        assert_eq!(Value::from(question.options), json!({ "temperature": 0, "logprobs": 0 }));
        assert_eq!(Value::from(question.extra), json!({ "guided_regex": "a+" }));
        assert_eq!((question.max_output, question.choices, parsed.message.as_str()), (5, 1, "Once"));
        let QuestionKind::Completion(completion) = question.kind else { panic!("no completion") };
        assert_eq!(completion.suffix.as_deref(), Some("end"));
        assert_eq!(parse(&with("suffix", json!(""))).unwrap().question.max_output, 0);
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (name, value) in [
            ("model", json!("")),
            ("prompt", json!(null)),
            ("prompt", json!([])),
            ("prompt", json!({})),
            ("prompt", json!(["a", 1])),
            ("prompt", json!(vec!["a"; 17])),
            ("suffix", json!(1)),
            ("echo", json!(true)),
            ("echo", json!("yes")),
            ("best_of", json!(2)),
            ("best_of", json!("1")),
            ("n", json!(17)),
            ("logprobs", json!(true)),
            ("logprobs", json!(21)),
            ("stream", json!("yes")),
            ("stream_options", json!(1)),
            ("max_tokens", json!("7")),
        ] {
            match parse(&with(name, value.clone())) {
                Err(Error::Invalid(field)) => assert_eq!(field.field, name, "{value}"),
                Err(error) => panic!("{error:?}"),
                Ok(_) => panic!("{name} was taken: {value}"),
            }
        }
    }

    #[test]
    fn each_prompt_has_its_choices() {
        let mut body = with("n", json!(4));
        body["best_of"] = json!(4);
        body["prompt"] = json!([[1], [2], [3], [4]]);
        let parsed = parse(&body).unwrap();
        assert_eq!((parsed.question.choices, parsed.message.as_str()), (16, "4 tokens"));
        body["n"] = json!(5);
        assert!(parse(&body).is_err());
    }

    #[test]
    fn the_same_request_is_the_same_however_its_answer_is_sent() {
        let of = |body: &Value| parse(body).unwrap().fingerprint;
        let plain = of(&with("max_tokens", json!(7)));
        let mut streamed = with("max_tokens", json!(7));
        streamed["stream"] = json!(true);
        assert_eq!(of(&streamed), plain);
        for (name, value) in
            [("max_tokens", json!(8)), ("prompt", json!("Twice")), ("n", json!(2)), ("suffix", json!("x"))]
        {
            let mut other = with("max_tokens", json!(7));
            other[name] = value;
            assert_ne!(of(&other), plain, "{name}");
        }
        let tokens = |tokens: Value| of(&with("prompt", tokens));
        assert_ne!(tokens(json!([1, 2])), tokens(json!([[1, 2]])));
        assert_ne!(tokens(json!("1")), tokens(json!([1])));
    }

    #[test]
    fn log_probabilities_of_a_conversation_get_the_form_of_a_completion() {
        let entry = |token: &str, logprob: f64, top: Value| json!({ "token": token, "logprob": logprob, "bytes": null, "top_logprobs": top });
        let content = json!([
            entry("é", -0.5, json!([{ "token": "é", "logprob": -0.5 }])),
            entry("b", -1.0, json!([]))
        ]);
        let expected = json!({ "tokens": ["é", "b"], "token_logprobs": [-0.5, -1.0],
            "top_logprobs": [{ "é": -0.5 }, null], "text_offset": [3, 4] });
        assert_eq!(logprobs_of(&json!({ "content": content }), 3), expected);
        assert_eq!(logprobs_of(&expected, 3), expected);
    }
}
