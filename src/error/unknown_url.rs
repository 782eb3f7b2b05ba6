//! The error of a path that does not exist.

use std::fmt::Write;

/// The most characters of a path that the error repeats.
const MOST_CHARACTERS: usize = 120;

/// The requests under `/v1` that this server answers.
const AVAILABLE: &str = "POST /v1/chat/completions, POST /v1/responses, POST /v1/responses/input_tokens, \
    GET and DELETE /v1/responses/{id}, \
    GET /v1/responses/{id}/input_items, POST /v1/messages, POST /v1/messages/count_tokens, \
    POST /v1/completions, POST /v1/embeddings, GET /v1/models and GET /v1/models/{id}";

/// A request to a path that does not exist.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownUrl {
    /// The method and the path, shortened and without characters that could disturb a terminal.
    request: String,
    /// Whether the client probably speaks the OpenAI protocol, or Anthropic's.
    is_of_protocol: bool,
    /// What to do instead. Empty if that is not known.
    instead: &'static str,
}

/// What to do instead of requests whose path ends so.
const INSTEAD: [(&str, &str); 2] = [
    ("/responses/compact", " Nothing is compacted: give \"truncation\": \"auto\", or send a shorter input."),
    ("/cancel", " A response is answered at once: to cancel it, close the connection."),
];

impl UnknownUrl {
    /// Describes a request. `is_of_protocol`: its path is one of the OpenAI protocol's.
    pub fn new(method: &str, path: &str, is_of_protocol: bool) -> UnknownUrl {
        let mut request = shown(method);
        // Writing to a text cannot fail.
        let _ = write!(request, " {}", shown(path));
        let path = path.trim_end_matches('/');
        let instead = INSTEAD.iter().find(|(end, _)| path.contains("/responses/") && path.ends_with(end));
        UnknownUrl { request, is_of_protocol, instead: instead.map_or("", |(_, instead)| instead) }
    }

    /// Returns a sentence on what the client can do.
    pub(super) fn detail(&self) -> String {
        let UnknownUrl { request, instead, .. } = self;
        if self.is_of_protocol {
            return format!(
                "There is no `{request}` on this server.{instead} The base URL ends in /v1 (for Anthropic's clients: \
                 before it), and it offers {AVAILABLE}."
            );
        }
        format!(
            "There is no `{request}` on this server. Check the path. For the OpenAI protocol, the base URL \
             ends in /v1."
        )
    }
}

/// Returns a text's visible ASCII characters, shortened.
fn shown(text: &str) -> String {
    let mut chars = text.chars().map(|char| if char.is_ascii_graphic() && char != '`' { char } else { '?' });
    let mut shown: String = chars.by_ref().take(MOST_CHARACTERS).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_repeated_without_what_could_disturb_and_not_whole() {
        let url = UnknownUrl::new("GET", "/a\u{1b}[31m\u{202e}`b\r\n", false);
        assert!(url.detail().contains("`GET /a?[31m??b??`"), "{}", url.detail());
        let url = UnknownUrl::new(&"M".repeat(9000), &"/".repeat(9000), true);
        assert!(url.detail().chars().count() < 700, "{}", url.detail());
        assert!(url.detail().contains("M… ///"), "{}", url.detail());
    }
}
