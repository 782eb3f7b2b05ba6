//! The error of a path that does not exist.

use std::fmt::Write;

/// The most characters of a path that the error repeats.
const MOST_CHARACTERS: usize = 120;

/// The requests of the OpenAI protocol that this server answers.
const AVAILABLE: &str = "POST /v1/chat/completions, GET /v1/models and GET /v1/models/{id}";

/// A request to a path that does not exist.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownUrl {
    /// The method and the path, shortened and without characters that could disturb a terminal.
    request: String,
    /// Whether the client probably speaks the OpenAI protocol.
    is_of_protocol: bool,
}

impl UnknownUrl {
    /// Describes a request. `is_of_protocol`: its path is one of the OpenAI protocol's.
    pub fn new(method: &str, path: &str, is_of_protocol: bool) -> UnknownUrl {
        let mut request = shown(method);
        // Writing to a text cannot fail.
        let _ = write!(request, " {}", shown(path));
        UnknownUrl { request, is_of_protocol }
    }

    /// Returns a sentence on what the client can do.
    pub(super) fn detail(&self) -> String {
        let request = &self.request;
        if self.is_of_protocol {
            return format!(
                "There is no `{request}` on this server. The base URL ends in /v1, and it offers {AVAILABLE}."
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
        assert!(url.detail().chars().count() < 500, "{}", url.detail());
        assert!(url.detail().contains("M… ///"), "{}", url.detail());
    }
}
