//! The headers of responses: what each means, for the description of the API, and which of them
//! pages of other origins may read.

use serde_json::{Value, json};

use self::HeaderForm::{Number, Text, Words};

/// A header of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The name, as documents write it.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// The form of its value.
    pub form: HeaderForm,
    /// Whether pages of named origins may read it. (Browsers let them read a few others anyway.)
    pub is_exposed: bool,
}

/// The form of a header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderForm {
    /// Any text.
    Text,
    /// A whole number, at least 0.
    Number,
    /// One of these words.
    Words(&'static [&'static str]),
}

/// Makes a header that pages of named origins may read.
const fn exposed(name: &'static str, form: HeaderForm, meaning: &'static str) -> ResponseHeader {
    ResponseHeader { name, meaning, form, is_exposed: true }
}

/// Makes a header that only the client itself and proxies need.
const fn plain(name: &'static str, form: HeaderForm, meaning: &'static str) -> ResponseHeader {
    ResponseHeader { name, meaning, form, is_exposed: false }
}

/// All headers, except those of HTTP itself that say how a response is sent.
pub static RESPONSE_HEADERS: [ResponseHeader; 34] = [
    exposed("X-Request-Id", Text, "The id of this request. The server's log has it, too."),
    exposed("Request-Id", Text, "The same as X-Request-Id, by the name in Anthropic's protocol."),
    exposed("X-Tokens-Charged", Number, "The tokens charged; of a stream, the tokens held."),
    exposed("X-Tokens-Remaining", Number, "The balance after the charge."),
    exposed("X-Chat-Id", Number, "The id of the chat in your history."),
    exposed(
        "Idempotency-Replayed",
        Words(&["true"]),
        "The answer is the stored one of the first request under this key, and is not charged again.",
    ),
    exposed(
        "X-Chat-State",
        Words(&["pending", "failed", "cancelled"]),
        "The stored answer is partial. Missing if it is complete.",
    ),
    exposed("Retry-After", Number, "Seconds to wait before another attempt."),
    exposed("X-Should-Retry", Words(&["false"]), "Another attempt with the same request cannot help."),
    exposed("X-RateLimit-Bound", Text, "The name of the limit that was reached."),
    exposed("X-RateLimit-Limit-Requests", Number, "Messages a minute that you may send."),
    exposed("X-RateLimit-Remaining-Requests", Number, "Messages that you may send now."),
    exposed(
        "X-RateLimit-Reset-Requests",
        Text,
        "The time until the whole limit is available again, such as 1.64s.",
    ),
    exposed("Anthropic-RateLimit-Requests-Limit", Number, "The same as X-RateLimit-Limit-Requests."),
    exposed("Anthropic-RateLimit-Requests-Remaining", Number, "The same as X-RateLimit-Remaining-Requests."),
    exposed(
        "Anthropic-RateLimit-Requests-Reset",
        Text,
        "The moment at which the whole limit is available again (RFC 3339).",
    ),
    exposed("X-Token-Count", Words(&["upper-bound"]), "The number is a bound: no prompt has more tokens."),
    plain("WWW-Authenticate", Text, "The scheme of the Authorization header."),
    exposed("Allow", Text, "The methods of this path."),
    plain("Accept", Text, "The content types that this path takes."),
    plain("Accept-Encoding", Text, "The content encodings that this path takes."),
    exposed("ETag", Text, "Identifies the contents, for If-None-Match."),
    plain("X-Accel-Buffering", Words(&["no"]), "Asks proxies not to buffer the stream."),
    plain(
        "X-Tollgate-Doctor",
        Text,
        "Whether X-Forwarded-For is absent, believed or ignored. Only if the request has this header.",
    ),
    plain("Cache-Control", Text, "Whether the response may be stored."),
    plain("X-Content-Type-Options", Words(&["nosniff"]), "The content type is to be believed."),
    plain("X-Frame-Options", Words(&["DENY"]), "No page may frame the response."),
    plain("Referrer-Policy", Words(&["same-origin"]), "No other site gets the address of the page."),
    plain("Cross-Origin-Resource-Policy", Words(&["same-origin"]), "Pages of other sites may not embed it."),
    plain("Content-Security-Policy", Text, "What a page may load."),
    plain("Strict-Transport-Security", Text, "Over https: browsers use https only."),
    plain("Access-Control-Allow-Origin", Text, "The origin of --cors-origins whose pages may read this."),
    plain("Access-Control-Expose-Headers", Text, "The headers that these pages may read."),
    plain("Vary", Text, "The headers of the request that the response depends on."),
];

/// The headers that every response has.
pub const ALWAYS_SENT: [&str; 7] = [
    "X-Request-Id",
    "Cache-Control",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Resource-Policy",
    "Content-Security-Policy",
];

/// The headers that any response may have, depending on the settings and on who asks.
pub const SOMETIMES_SENT: [&str; 4] =
    ["Strict-Transport-Security", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary"];

impl ResponseHeader {
    /// Finds a header by its name, in any case.
    pub fn find(name: &str) -> Option<&'static ResponseHeader> {
        RESPONSE_HEADERS.iter().find(|header| header.name.eq_ignore_ascii_case(name))
    }

    /// Returns the names of the headers that pages of named origins may read.
    pub fn exposed() -> impl Iterator<Item = &'static str> {
        RESPONSE_HEADERS.iter().filter(|header| header.is_exposed).map(|header| header.name)
    }

    /// Returns the schema of its value.
    pub fn schema(&self) -> Value {
        match self.form {
            Text => json!({ "type": "string" }),
            Number => json!({ "type": "integer", "minimum": 0 }),
            Words(words) => json!({ "type": "string", "enum": words }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_has_one_row() {
        for header in &RESPONSE_HEADERS {
            let rows = RESPONSE_HEADERS.iter().filter(|other| other.name.eq_ignore_ascii_case(header.name));
            assert_eq!(rows.count(), 1, "{}", header.name);
            assert!(header.meaning.ends_with('.'), "{}", header.name);
        }
        for name in ALWAYS_SENT.iter().chain(&SOMETIMES_SENT) {
            assert!(ResponseHeader::find(name).is_some(), "{name}");
        }
        assert_eq!(ResponseHeader::find("retry-after").map(|header| header.name), Some("Retry-After"));
    }
}
