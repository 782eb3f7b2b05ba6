//! The ways to ask, and their responses in one form.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::http::{Answer, Client};

/// Part of each text of the upstream that must never be passed on or logged.
pub const GOSSIP: &str = "gossip";

/// The message of every chat. As a conversation in the protocol's JSON it has 33 bytes: at most 97
/// tokens, and 9 by our count. As a prompt to be completed it has 13: at most 77, and 2.
pub const MESSAGE: &str = "Hello";

/// An endpoint, plain or streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Chat,
    ChatStream,
    V1,
    V1Stream,
    Responses,
    ResponsesStream,
    Messages,
    MessagesStream,
    Completions,
    CompletionsStream,
}

use Way::*;

pub const WAYS: [Way; 10] = [
    Chat,
    ChatStream,
    V1,
    V1Stream,
    Responses,
    ResponsesStream,
    Messages,
    MessagesStream,
    Completions,
    CompletionsStream,
];

/// The ways that answer in one piece.
pub const PLAIN: [Way; 5] = [Chat, V1, Responses, Messages, Completions];

/// The ways that answer as a stream.
pub const STREAMS: [Way; 5] = [ChatStream, V1Stream, ResponsesStream, MessagesStream, CompletionsStream];

/// Each endpoint: plain, and streamed.
pub const FORMS: [[Way; 2]; 5] = [
    [Chat, ChatStream],
    [V1, V1Stream],
    [Responses, ResponsesStream],
    [Messages, MessagesStream],
    [Completions, CompletionsStream],
];

/// A response, in any of the ways.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub status: u16,
    pub text: String,
    /// The text of an error, on `/v1` its code.
    pub error: Option<String>,
    /// Whether the answer is complete. A stream must have its proper end.
    pub is_whole: bool,
    pub charged: Option<i64>,
    pub remaining: Option<i64>,
    pub usage: Option<(i64, i64)>,
    pub replayed: bool,
    pub retry_after: Option<u64>,
}

impl Way {
    pub fn is_stream(self) -> bool {
        STREAMS.contains(&self)
    }

    pub fn is_v1(self) -> bool {
        !matches!(self, Chat | ChatStream)
    }

    /// Whether the response says what it cost in the end. A stream can say so only in an event.
    pub fn says_cost(self) -> bool {
        !self.is_stream() || self == ChatStream
    }

    pub fn path(self) -> &'static str {
        match self {
            Chat | ChatStream => "/chat/",
            V1 | V1Stream => "/v1/chat/completions",
            Responses | ResponsesStream => "/v1/responses",
            Messages | MessagesStream => "/v1/messages",
            Completions | CompletionsStream => "/v1/completions",
        }
    }

    pub fn body(self) -> Value {
        self.body_with(MESSAGE)
    }

    /// Returns the body of a request with this message.
    pub fn body_with(self, message: &str) -> Value {
        let stream = self.is_stream();
        let messages = json!([{ "role": "user", "content": message }]);
        let options = if stream { json!({ "include_usage": true }) } else { Value::Null };
        match self {
            Chat | ChatStream => json!({ "message": message, "stream": stream }),
            V1 | V1Stream => {
                json!({ "model": "m", "messages": messages, "stream": stream, "stream_options": options })
            }
            Responses | ResponsesStream => json!({ "model": "m", "input": message, "stream": stream }),
            Messages | MessagesStream => {
                json!({ "model": "m", "messages": messages, "stream": stream, "max_tokens": 50 })
            }
            Completions | CompletionsStream => {
                json!({ "model": "m", "prompt": message, "stream": stream, "stream_options": options })
            }
        }
    }

    /// The status of a successful answer.
    pub fn status(self) -> u16 {
        if self == Chat { 201 } else { 200 }
    }

    /// The prompt's tokens of [`MESSAGE`] by our own count.
    pub fn counted_prompt(self) -> i64 {
        if matches!(self, Completions | CompletionsStream) { 2 } else { 9 }
    }

    /// The most tokens that the prompt of [`MESSAGE`] may have.
    pub fn prompt_bound(self) -> i64 {
        if matches!(self, Completions | CompletionsStream) { 13 + 64 } else { 33 + 64 }
    }

    pub fn ask(self, address: SocketAddr, token: &str, key: Option<&str>) -> Got {
        self.read(&self.send(address, token, key))
    }

    /// Sends the request and returns the response as it came.
    pub fn send(self, address: SocketAddr, token: &str, key: Option<&str>) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut headers =
            vec![("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let body = self.body().to_string();
        Client::new(address).send("POST", self.path(), &headers, body.as_bytes()).unwrap()
    }

    pub fn read(self, answer: &Answer) -> Got {
        assert!(!answer.text().contains(GOSSIP), "{}", answer.text());
        let number = |name: &str| answer.header(name).and_then(|value| value.parse::<i64>().ok());
        let got = Got {
            status: answer.status,
            replayed: answer.header("Idempotency-Replayed") == Some("true"),
            retry_after: number("Retry-After").map(i64::unsigned_abs),
            ..Got::default()
        };
        if answer.status >= 400 {
            return Got { error: Some(self.error(&answer.json())), ..got };
        }
        if self.is_stream() {
            return self.read_events(&answer.text(), got);
        }
        let (charged, remaining, body) =
            (number("X-Tokens-Charged"), number("X-Tokens-Remaining"), answer.json());
        let text = self.whole_text(&body);
        Got { text, charged, remaining, is_whole: true, usage: usage(&body["usage"]), ..got }
    }

    fn whole_text(self, body: &Value) -> String {
        let texts = |parts: &Value, kind: &str| -> String {
            let parts = parts.as_array().into_iter().flatten().filter(|part| part["type"] == kind);
            parts.filter_map(|part| part["text"].as_str()).collect()
        };
        match self {
            Chat | ChatStream => body["response"].as_str().unwrap_or_default().to_owned(),
            V1 | V1Stream => body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
            Responses | ResponsesStream => {
                let items = body["output"].as_array().into_iter().flatten();
                items.map(|item| texts(&item["content"], "output_text")).collect()
            }
            Messages | MessagesStream => texts(&body["content"], "text"),
            Completions | CompletionsStream => {
                body["choices"][0]["text"].as_str().unwrap_or_default().to_owned()
            }
        }
    }

    /// Reads an error in the dialect's envelope: its text, or on `/v1` its code.
    fn error(self, body: &Value) -> String {
        let error = if self.is_v1() { &body["error"]["code"] } else { &body["error"] };
        if matches!(self, Messages | MessagesStream) {
            assert_eq!(body["type"], "error", "{body}");
            assert!(body["error"]["type"].is_string() && body["error"]["message"].is_string(), "{body}");
        } else if self.is_v1() {
            assert!(body["error"]["message"].is_string(), "{body}");
        }
        error.as_str().unwrap_or_else(|| panic!("not an error: {body}")).to_owned()
    }

    fn read_events(self, text: &str, mut got: Got) -> Got {
        for event in text.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')) {
            let (name, data) = match event.strip_prefix("event: ") {
                Some(rest) => rest.split_once('\n').unwrap(),
                None => ("", event),
            };
            let data = data.strip_prefix("data: ").unwrap();
            // After its `error`, a response says that it failed.
            let ends_a_failure =
                self == ResponsesStream && (data == "[DONE]" || name == "response.failed") && !got.is_whole;
            let goes_on = got.error.is_none() && !got.is_whole;
            assert!(goes_on || ends_a_failure, "something after the end: {text}");
            if data == "[DONE]" {
                got.is_whole = self != ResponsesStream || got.usage.is_some();
                continue;
            }
            let data: Value = serde_json::from_str(data).unwrap();
            match self {
                ChatStream => self.read_own_event(name, &data, &mut got),
                ResponsesStream => self.read_response_event(name, &data, &mut got),
                MessagesStream => self.read_message_event(name, &data, &mut got),
                _ => self.read_chunk(name, &data, &mut got),
            }
        }
        got
    }

    fn read_own_event(self, name: &str, data: &Value, got: &mut Got) {
        match name {
            "delta" => got.text.push_str(data["text"].as_str().unwrap()),
            "done" => {
                got.is_whole = true;
                got.charged = data["charged"].as_i64();
                got.remaining = data["remaining"].as_i64();
                assert_eq!(data["response"], got.text);
            }
            "error" => got.error = Some(self.error(data)),
            _ => panic!("an unknown event {name}: {data}"),
        }
    }

    fn read_chunk(self, name: &str, data: &Value, got: &mut Got) {
        assert_eq!(name, "");
        if !data["error"].is_null() {
            got.error = Some(self.error(data));
            return;
        }
        let choice = &data["choices"][0];
        let text = if self == CompletionsStream { &choice["text"] } else { &choice["delta"]["content"] };
        got.text.push_str(text.as_str().unwrap_or_default());
        got.usage = usage(&data["usage"]).or(got.usage);
    }

    fn read_response_event(self, name: &str, data: &Value, got: &mut Got) {
        assert_eq!(data["type"], name, "{data}");
        match name {
            "response.output_text.delta" => got.text.push_str(data["delta"].as_str().unwrap()),
            // `[DONE]` follows.
            "response.completed" | "response.incomplete" => {
                got.usage = usage(&data["response"]["usage"]);
                assert_eq!(self.whole_text(&data["response"]), got.text);
            }
            "response.failed" => {
                assert_eq!(data["response"]["status"], "failed", "{data}");
                got.error = Some(self.error(&data["response"]));
            }
            "error" => got.error = Some(self.error(data)),
            _ => {}
        }
    }

    fn read_message_event(self, name: &str, data: &Value, got: &mut Got) {
        assert_eq!(data["type"], name, "{data}");
        match name {
            "content_block_delta" => {
                got.text.push_str(data["delta"]["text"].as_str().unwrap_or_default());
            }
            "message_delta" => got.usage = usage(&data["usage"]),
            "message_stop" => got.is_whole = true,
            "error" => got.error = Some(self.error(data)),
            _ => {}
        }
    }
}

/// Reads a usage under the names of any dialect.
fn usage(usage: &Value) -> Option<(i64, i64)> {
    let number = |names: [&str; 2]| names.iter().find_map(|name| usage[name].as_i64());
    Some((number(["prompt_tokens", "input_tokens"])?, number(["completion_tokens", "output_tokens"])?))
}
