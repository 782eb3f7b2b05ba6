//! The dialects in which calls are made: their requests, and the ends of their answers.

use crate::serve::Pace;

pub struct Dialect {
    /// The name in figures.
    pub name: &'static str,
    pub path: &'static str,
    /// The body without the model and `stream`.
    question: &'static str,
    /// What only a complete answer contains: plain, and as a stream. `None`: there are no streams.
    plain_end: &'static str,
    stream_end: Option<&'static str>,
}

const MESSAGES: &str = r#""messages":[{"role":"user","content":"How far is the sun?"}]"#;
const DONE: &str = "data: [DONE]\n\n";

pub const CHAT_COMPLETIONS: Dialect = Dialect {
    name: "chat_completions",
    path: "/v1/chat/completions",
    question: MESSAGES,
    plain_end: r#""finish_reason":"stop""#,
    stream_end: Some(DONE),
};

pub const DIALECTS: [Dialect; 5] = [
    CHAT_COMPLETIONS,
    Dialect {
        name: "responses",
        path: "/v1/responses",
        question: r#""input":"How far is the sun?""#,
        plain_end: r#""status":"completed""#,
        stream_end: Some("event: response.completed\n"),
    },
    Dialect {
        name: "messages",
        path: "/v1/messages",
        question: r#""messages":[{"role":"user","content":"How far is the sun?"}],"max_tokens":1000"#,
        plain_end: r#""stop_reason":"end_turn""#,
        stream_end: Some("event: message_stop\n"),
    },
    Dialect {
        name: "completions",
        path: "/v1/completions",
        question: r#""prompt":"How far is the sun?""#,
        plain_end: r#""finish_reason":"stop""#,
        stream_end: Some(DONE),
    },
    Dialect {
        name: "embeddings",
        path: "/v1/embeddings",
        question: r#""input":"How far is the sun?""#,
        plain_end: r#""total_tokens":"#,
        stream_end: None,
    },
];

impl Dialect {
    pub fn has_streams(&self) -> bool {
        self.stream_end.is_some()
    }

    /// Returns what only a complete answer contains.
    pub fn end(&self, streamed: bool) -> &'static str {
        self.stream_end.filter(|_| streamed).unwrap_or(self.plain_end)
    }

    pub fn body(&self, pace: Pace, streamed: bool) -> String {
        let options = match (streamed, self.stream_end) {
            (true, Some(DONE)) => r#","stream":true,"stream_options":{"include_usage":true}"#,
            (true, _) => r#","stream":true"#,
            (false, _) => "",
        };
        format!(r#"{{"model":"{}",{}{options}}}"#, pace.model(), self.question)
    }
}
