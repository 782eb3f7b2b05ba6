//! The endpoints through which messages arrive.

use std::fmt;

/// An endpoint that charges. Each speaks one dialect of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /chat/`, in this server's own form.
    Chat,
    /// `POST /v1/chat/completions` of OpenAI.
    ChatCompletions,
    /// `POST /v1/responses` of OpenAI and Open Responses.
    Responses,
    /// `POST /v1/messages` of Anthropic.
    Messages,
    /// `POST /v1/completions` of OpenAI.
    Completions,
    /// `POST /v1/embeddings` of OpenAI.
    Embeddings,
}

impl Endpoint {
    /// All endpoints.
    pub const ALL: [Endpoint; 6] = [
        Endpoint::Chat,
        Endpoint::ChatCompletions,
        Endpoint::Responses,
        Endpoint::Messages,
        Endpoint::Completions,
        Endpoint::Embeddings,
    ];

    /// Returns the name that the database stores and filters use.
    pub const fn code(self) -> &'static str {
        match self {
            Endpoint::Chat => "chat",
            Endpoint::ChatCompletions => "chat_completions",
            Endpoint::Responses => "responses",
            Endpoint::Messages => "messages",
            Endpoint::Completions => "completions",
            Endpoint::Embeddings => "embeddings",
        }
    }

    /// Returns the endpoint with this code. `None` if no version of this server has had it.
    pub fn from_code(code: &str) -> Option<Endpoint> {
        Endpoint::ALL.into_iter().find(|endpoint| endpoint.code() == code)
    }

    /// Returns the path.
    pub const fn path(self) -> &'static str {
        match self {
            Endpoint::Chat => "/chat/",
            Endpoint::ChatCompletions => "/v1/chat/completions",
            Endpoint::Responses => "/v1/responses",
            Endpoint::Messages => "/v1/messages",
            Endpoint::Completions => "/v1/completions",
            Endpoint::Embeddings => "/v1/embeddings",
        }
    }

    /// Returns the dialect in words.
    pub const fn dialect(self) -> &'static str {
        match self {
            Endpoint::Chat => "Tollgate",
            Endpoint::ChatCompletions => "Chat Completions",
            Endpoint::Responses => "Responses",
            Endpoint::Messages => "Messages",
            Endpoint::Completions => "Completions",
            Endpoint::Embeddings => "Embeddings",
        }
    }

    /// Returns the endpoint with this path, with or without a slash at its end, or of a path below
    /// it.
    pub fn of_path(path: &str) -> Option<Endpoint> {
        let is_below = |endpoint: &Endpoint| {
            let rest = path.strip_prefix(endpoint.path().trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Endpoint::ALL.into_iter().find(is_below)
    }

    /// Returns the name that a field of a chat completion has at this endpoint.
    pub fn field(self, name: &'static str) -> &'static str {
        match (self, name) {
            // A field of its own: the name of a stored prompt.
            (Endpoint::Responses, "prompt") => name,
            // Upstreams have their own names for what they are asked.
            (_, "messages" | "prompt" | "input") => match self {
                Endpoint::Chat => "message",
                Endpoint::ChatCompletions | Endpoint::Messages => "messages",
                Endpoint::Responses | Endpoint::Embeddings => "input",
                Endpoint::Completions => "prompt",
            },
            (Endpoint::Responses, "max_tokens" | "max_completion_tokens") => "max_output_tokens",
            (Endpoint::Responses, "response_format") => "text.format",
            (Endpoint::Responses, "reasoning_effort") => "reasoning.effort",
            (Endpoint::Responses, "verbosity") => "text.verbosity",
            (Endpoint::Responses, "logprobs") => "include",
            (Endpoint::Messages, "max_completion_tokens") => "max_tokens",
            (Endpoint::Messages, "stop") => "stop_sequences",
            (Endpoint::Messages, "user") => "metadata",
            (Endpoint::Messages, "parallel_tool_calls") => "tool_choice",
            (Endpoint::Messages, "response_format" | "reasoning_effort") => "output_config",
            _ => name,
        }
    }

    /// Returns whether lists of chats show what arrives through it.
    pub const fn is_listed(self) -> bool {
        !matches!(self, Endpoint::Embeddings)
    }
}

/// The path.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_found_by_its_path_and_those_below() {
        for (path, endpoint) in [
            ("/chat", Some(Endpoint::Chat)),
            ("/chats", None),
            ("/v1/responses/resp_5", Some(Endpoint::Responses)),
            ("/v1/messages/", Some(Endpoint::Messages)),
            ("/v1/chat/completions", Some(Endpoint::ChatCompletions)),
            ("/v1/models", None),
        ] {
            assert_eq!(Endpoint::of_path(path), endpoint, "{path}");
        }
    }

    #[test]
    fn each_endpoint_is_found_by_its_code() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::from_code(endpoint.code()), Some(endpoint));
        }
        assert_eq!(Endpoint::from_code("telepathy"), None);
    }
}
