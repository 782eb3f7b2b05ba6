//! What the providers of the protocol really send, as recordings: one row for each peculiarity,
//! with what a client of ours must get from it. `docs/upstreams.md` has the sources.
//!
//! A new peculiarity is a row here and a line in the document. The recordings keep the bytes that
//! matter. Texts are shortened, and ids, fingerprints and times are invented.

mod any;
mod azure;
mod deepseek;
mod gemini;
mod groq;
mod llama_cpp;
mod mistral;
mod ollama;
mod openai;
mod openrouter;
mod together;
mod vllm;
mod xai;

use serde_json::{Value, json};

use super::Step;

/// A peculiarity of a provider.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name in `docs/upstreams.md`.
    pub name: &'static str,
    /// The responses to the calls that one message causes. The last one is repeated.
    pub recordings: Vec<Recording>,
    /// How many calls one message causes, if that matters.
    pub calls: Option<usize>,
    /// Fields that the client's request has in addition.
    pub request: Value,
    /// Settings of the server besides the usual ones.
    pub flags: &'static [&'static str],
    /// The field that the upstream does not accept. It is left out after the first call, for good.
    pub rejected_field: Option<&'static str>,
    pub outcome: Outcome,
}

/// What the client gets.
#[derive(Clone, Debug)]
pub enum Outcome {
    Answer(Answered),
    Failure(Failed),
}

/// A complete answer. It is charged.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The message and the finish reason of each choice. Fields of a message without a value count
    /// as missing.
    pub choices: Vec<(Value, &'static str)>,
    /// The tokens of prompt and completion. `None` if Tollgate has to count.
    pub usage: Option<(i64, i64)>,
    /// Further fields of the usage.
    pub details: Value,
}

/// No complete answer. It is refunded.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The code of the reason, as `docs/api.md` has it.
    pub code: &'static str,
    /// The message that arrived before. `None` if it does not matter what is passed on.
    pub arrived: Option<Value>,
    /// The field of the request that the upstream complains about.
    pub param: Option<&'static str>,
    /// Whether the upstream names the field only in a text, so that it need not be found.
    pub is_in_a_text: bool,
    /// The tokens of the prompt, if they are charged with a price by usage.
    pub settled: Option<i64>,
}

/// A response of the upstream.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The status line and the headers.
    pub head: String,
    pub body: Vec<u8>,
    pub end: End,
}

/// How a recorded response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Properly.
    Whole,
    /// In the middle: the connection is closed before the end of the body.
    Cut,
}

/// Returns all rows.
pub fn rows() -> Vec<Row> {
    [
        openai::rows(),
        azure::rows(),
        mistral::rows(),
        gemini::rows(),
        deepseek::rows(),
        xai::rows(),
        openrouter::rows(),
        groq::rows(),
        together::rows(),
        vllm::rows(),
        llama_cpp::rows(),
        ollama::rows(),
        any::rows(),
    ]
    .concat()
}

impl Row {
    fn new(name: &'static str, recording: Recording, outcome: impl Into<Outcome>) -> Row {
        let (request, outcome) = (json!({}), outcome.into());
        // A rejected request may be made again in another form.
        let is_rejected = recording.head.starts_with("HTTP/1.1 4");
        let calls = (!is_rejected).then_some(1);
        Row { name, recordings: vec![recording], calls, request, flags: &[], rejected_field: None, outcome }
    }

    /// The client's request has these fields too.
    fn asked(self, request: Value) -> Row {
        Row { request, ..self }
    }

    /// The server has these settings.
    fn flags(self, flags: &'static [&'static str]) -> Row {
        Row { flags, ..self }
    }

    /// The upstream rejects the first call because of this field, and then answers.
    fn after_rejecting(mut self, field: &'static str, rejection: Recording) -> Row {
        self.recordings.insert(0, rejection);
        Row { calls: Some(2), rejected_field: Some(field), ..self }
    }

    /// One message causes this number of calls.
    fn called(self, calls: usize) -> Row {
        Row { calls: Some(calls), ..self }
    }
}

impl Recording {
    /// A stream of events. Each line is the data of an event, a comment, or the name of the event
    /// whose data follows. A line that begins with `~` is a chunk without its first fields, which
    /// are `head`.
    fn events(head: &str, lines: &str) -> Recording {
        Recording::framed(head, lines, "data: ", "\n")
    }

    /// A stream of events with other line ends, or another beginning of the lines with data.
    fn framed(head: &str, lines: &str, data: &str, end: &str) -> Recording {
        let mut body = String::new();
        for line in lines.trim().lines() {
            let chunk = line.strip_prefix('~').map(|rest| format!("{{{head},{rest}}}"));
            let is_name = line.starts_with("event: ");
            let data = if is_name || line.starts_with(':') { "" } else { data };
            let line = chunk.as_deref().unwrap_or(line);
            body.push_str(&format!("{data}{line}{end}{}", if is_name { "" } else { end }));
        }
        Recording::stream(body.as_bytes())
    }

    /// A stream of events with exactly this body.
    fn stream(body: &[u8]) -> Recording {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n".to_owned();
        Recording { head, body: body.to_vec(), end: End::Whole }
    }

    /// A JSON object.
    fn json(status: u16, body: &str) -> Recording {
        let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\n");
        Recording { head, body: body.trim().into(), end: End::Whole }
    }

    /// With exactly this body.
    fn with_body(self, body: &[u8]) -> Recording {
        Recording { body: body.to_vec(), ..self }
    }

    /// With this content type.
    fn typed(mut self, content_type: &str) -> Recording {
        let (before, _) = self.head.split_once("content-type: ").unwrap();
        self.head = format!("{before}content-type: {content_type}\r\n");
        self
    }

    /// With one more header.
    fn header(mut self, name: &str, value: &str) -> Recording {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The connection breaks at the end.
    fn cut(self) -> Recording {
        Recording { end: End::Cut, ..self }
    }

    /// Returns the steps of a scripted upstream that sends it, one event at a time.
    pub fn steps(&self) -> Vec<Step> {
        let mut parts = Vec::new();
        let mut rest = &self.body[..];
        while let Some(at) =
            rest.windows(2).position(|pair| pair == b"\n\n" || pair == b"\r\r" || pair == b"\n\r")
        {
            parts.push(rest[..at + 2].to_vec());
            rest = &rest[at + 2..];
        }
        parts.push(rest.to_vec());
        self.steps_of(parts)
    }

    /// Returns the steps that send these parts as the body.
    pub fn steps_of(&self, parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<Step> {
        let mut steps = vec![Step::Raw(format!("{}transfer-encoding: chunked\r\n\r\n", self.head).into())];
        // An empty chunk would be the end.
        steps.extend(parts.into_iter().filter(|part| !part.is_empty()).map(Step::Chunk));
        steps.push(if self.end == End::Whole { Step::End } else { Step::Close });
        steps
    }
}

/// An answer with this message.
fn message(message: Value, finish_reason: &'static str) -> Answered {
    Answered { choices: vec![(message, finish_reason)], usage: None, details: json!({}) }
}

/// A text that ends by itself.
fn text(text: &str) -> Answered {
    message(json!({ "content": text }), "stop")
}

impl Answered {
    fn usage(self, prompt_tokens: i64, completion_tokens: i64) -> Answered {
        Answered { usage: Some((prompt_tokens, completion_tokens)), ..self }
    }

    fn details(self, details: Value) -> Answered {
        Answered { details, ..self }
    }

    /// With one more choice.
    fn and(mut self, message: Value, finish_reason: &'static str) -> Answered {
        self.choices.push((message, finish_reason));
        self
    }
}

impl From<Answered> for Outcome {
    fn from(answered: Answered) -> Outcome {
        Outcome::Answer(answered)
    }
}

/// A failure with this reason, before anything arrived.
fn failed(code: &'static str) -> Failed {
    Failed { code, arrived: Some(json!({})), param: None, is_in_a_text: false, settled: None }
}

impl Failed {
    /// After this message had arrived.
    fn after(self, arrived: Value) -> Failed {
        Failed { arrived: Some(arrived), ..self }
    }

    /// After something that may have been passed on.
    fn after_anything(self) -> Failed {
        Failed { arrived: None, ..self }
    }

    /// The upstream's text names this field.
    fn param_if_any(self, param: &'static str) -> Failed {
        Failed { param: Some(param), is_in_a_text: true, ..self }
    }

    fn param(self, param: &'static str) -> Failed {
        Failed { param: Some(param), ..self }
    }

    fn settled(self, prompt_tokens: i64) -> Failed {
        Failed { settled: Some(prompt_tokens), ..self }
    }

    /// The status of a response that has not begun, and the code of the error on `/v1`.
    pub fn status_and_error(&self) -> (u16, &'static str) {
        match self.code {
            "context_too_long" => (400, "context_length_exceeded"),
            "request_rejected" => (400, "request_refused"),
            "rate_limited" => (503, "busy"),
            _ => (502, "responder_failed"),
        }
    }
}

impl From<Failed> for Outcome {
    fn from(failed: Failed) -> Outcome {
        Outcome::Failure(failed)
    }
}

#[test]
fn each_row_has_a_name_of_its_own() {
    let mut names: Vec<_> = rows().iter().map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
