//! The four ways to ask, and their responses in one form.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::world::{GOSSIP, MESSAGE};
use crate::support::http::{Answer, Client};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Chat,
    ChatStream,
    V1,
    V1Stream,
}

pub const WAYS: [Way; 4] = [Way::Chat, Way::ChatStream, Way::V1, Way::V1Stream];

/// A response, in any of the four ways.
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
        matches!(self, Way::ChatStream | Way::V1Stream)
    }

    pub fn is_v1(self) -> bool {
        matches!(self, Way::V1 | Way::V1Stream)
    }

    pub fn path(self) -> &'static str {
        if self.is_v1() { "/v1/chat/completions" } else { "/chat/" }
    }

    pub fn body(self) -> Value {
        let stream = self.is_stream();
        match self.is_v1() {
            false => json!({ "message": MESSAGE, "stream": stream }),
            true => {
                json!({ "model": "m", "messages": [{ "role": "user", "content": MESSAGE }], "stream": stream,
                "stream_options": { "include_usage": true } })
            }
        }
    }

    /// The status of a successful answer.
    pub fn status(self) -> u16 {
        if self == Way::Chat { 201 } else { 200 }
    }

    pub fn ask(self, address: SocketAddr, token: &str, key: Option<&str>) -> Got {
        let authorization = format!("Bearer {token}");
        let mut headers =
            vec![("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let body = self.body().to_string();
        let answer = Client::new(address).send("POST", self.path(), &headers, body.as_bytes()).unwrap();
        self.read(&answer)
    }

    fn read(self, answer: &Answer) -> Got {
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
        let text = if self.is_v1() { &body["choices"][0]["message"]["content"] } else { &body["response"] };
        let text = text.as_str().unwrap_or_default().to_owned();
        Got { text, charged, remaining, is_whole: true, usage: usage(&body), ..got }
    }

    fn error(self, body: &Value) -> String {
        let error = if self.is_v1() { &body["error"]["code"] } else { &body["error"] };
        error.as_str().unwrap_or_else(|| panic!("not an error: {body}")).to_owned()
    }

    fn read_events(self, text: &str, mut got: Got) -> Got {
        for event in text.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')) {
            assert!(!got.is_whole && got.error.is_none(), "something after the end: {text}");
            let (name, data) = match event.strip_prefix("event: ") {
                Some(rest) => rest.split_once('\n').unwrap(),
                None => ("", event),
            };
            let data = data.strip_prefix("data: ").unwrap();
            if data == "[DONE]" {
                got.is_whole = true;
                continue;
            }
            let data: Value = serde_json::from_str(data).unwrap();
            match name {
                "delta" => got.text.push_str(data["text"].as_str().unwrap()),
                "done" => {
                    got.is_whole = true;
                    got.charged = data["charged"].as_i64();
                    got.remaining = data["remaining"].as_i64();
                    assert_eq!(data["response"], got.text);
                }
                _ if name == "error" || !data["error"].is_null() => got.error = Some(self.error(&data)),
                _ => {
                    got.text.push_str(data["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
                    got.usage = usage(&data).or(got.usage);
                }
            }
        }
        got
    }
}

fn usage(body: &Value) -> Option<(i64, i64)> {
    let number = |name: &str| body["usage"][name].as_i64();
    Some((number("prompt_tokens")?, number("completion_tokens")?))
}
