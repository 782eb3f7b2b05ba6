//! `Idempotency-Key`: the name that a client gives to a request, and the digest that identifies the
//! request.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Invalid;

/// The most characters of a key.
pub(super) const MAX_CHARACTERS: usize = 255;

/// The value of an `Idempotency-Key` header: 1 to 255 visible ASCII characters, taken as they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Accepts 1 to 255 characters from `!` to `~` and rejects everything else.
    pub fn parse(text: &str) -> Result<IdempotencyKey, Invalid> {
        if (1..=MAX_CHARACTERS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(IdempotencyKey(text.to_owned()));
        }
        let reason = format!(
            "Send 1 to {MAX_CHARACTERS} visible ASCII characters, for example a new UUID for each request."
        );
        Err(Invalid::new("Idempotency-Key", reason))
    }

    /// Returns the key as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of a request's content. Two requests under one key are the same request if their
/// fingerprints are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Digests the path and the parsed fields in the given order. Each part is preceded by its
    /// length, so that two different lists never produce the same bytes.
    pub fn of(path: &str, fields: &[(&str, &str)]) -> Fingerprint {
        let mut digest = Sha256::new();
        let parts = fields.iter().flat_map(|(name, value)| [*name, *value]);
        for part in std::iter::once(path).chain(parts) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        Fingerprint(digest.finalize().into())
    }

    /// Digests the path and a parsed request. The order of an object's fields makes no difference.
    pub fn of_json(path: &str, request: &Value) -> Fingerprint {
        let mut text = String::new();
        write_sorted(request, &mut text);
        Fingerprint::of(path, &[("json", &text)])
    }

    /// Digests the path, a parsed request, and what is too large for JSON values in it.
    pub fn of_large(path: &str, request: &Value, large: &impl Serialize) -> Fingerprint {
        let mut text = String::new();
        write_sorted(request, &mut text);
        // Nothing that is parsed fails to be written.
        let large = serde_json::to_string(large).unwrap_or_default();
        Fingerprint::of(path, &[("json", &text), ("large", &large)])
    }

    /// Returns the digest in its stored form.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Writes JSON with the fields of each object sorted by name. The recursion is bounded, because
/// requests are parsed with a bounded depth.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                write_sorted(value, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        let longest = "k".repeat(255);
        for key in ["!", "~", "\"quoted\"", "3f1c-77", longest.as_str()] {
            assert_eq!(IdempotencyKey::parse(key).unwrap().as_str(), key);
        }
        let too_long = "k".repeat(256);
        for key in ["", " ", "a b", "a\t", "é", "\u{7f}", "a\0", too_long.as_str()] {
            assert_eq!(IdempotencyKey::parse(key).unwrap_err().field, "Idempotency-Key", "{key:?}");
        }
    }

    #[test]
    fn the_same_request_has_the_same_fingerprint() {
        let fields = [("message", "hello"), ("model", "dummy")];
        assert_eq!(Fingerprint::of("/chat/", &fields), Fingerprint::of("/chat/", &fields));
    }

    #[test]
    fn the_order_of_fields_makes_no_difference_and_that_of_a_list_does() {
        let of = |text: &str| Fingerprint::of_json("/", &serde_json::from_str(text).unwrap());
        assert_eq!(of(r#"{"a":{"c":1,"d":[2]},"b":null}"#), of(r#"{"b":null,"a":{"d":[2],"c":1}}"#));
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
        assert_ne!(of(r#"{"a":"1"}"#), of(r#"{"a":1}"#));
    }

    #[test]
    fn a_large_part_counts_like_any_other() {
        let of = |large: &[u32]| Fingerprint::of_large("/", &Value::Null, &large);
        assert_eq!(of(&[1, 2]), of(&[1, 2]));
        assert_ne!(of(&[1, 2]), of(&[12]));
        assert_ne!(of(&[]), Fingerprint::of_json("/", &Value::Null));
    }

    #[test]
    fn different_requests_never_share_one() {
        let requests: [(&str, &[(&str, &str)]); 9] = [
            ("/chat/", &[]),
            ("/chat/", &[("", "")]),
            ("/chat/", &[("message", "ab")]),
            ("/chat/", &[("message", "a"), ("b", "")]),
            ("/chat/", &[("messagea", "b")]),
            ("/chat/", &[("message", "b"), ("message", "a")]),
            ("/chat/", &[("message", "a"), ("message", "b")]),
            ("/chat/message", &[("", "ab")]),
            ("/v1/chat/completions", &[("message", "ab")]),
        ];
        for (i, (path, fields)) in requests.iter().enumerate() {
            for (other_path, other_fields) in requests.iter().skip(i + 1) {
                assert_ne!(Fingerprint::of(path, fields), Fingerprint::of(other_path, other_fields), "{i}");
            }
        }
    }
}
