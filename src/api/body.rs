//! Request bodies of the API: never decompressed, and parsed as strict JSON.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::http::{BodyReader, HeldBody, MOST_BYTES, declared_length};
use crate::throttle::MemoryShare;

/// A request body, or the error of reading it. Extracting it never fails, so that the handler
/// decides whether another error comes first.
pub(super) struct JsonBody(Result<HeldBody>);

impl JsonBody {
    /// Parses the body as JSON. Returns `None` if it is not valid JSON for `T`.
    ///
    /// # Errors
    /// The body is too large or too slow, or its content type is not JSON.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<Option<T>> {
        Ok(parse(&self.0?.bytes))
    }

    /// Takes the body's share of the memory budget. `None` if the body is too small to count.
    pub(super) fn take_memory(&mut self) -> Option<MemoryShare> {
        self.0.as_mut().ok()?.memory.take()
    }

    /// Returns the body unparsed.
    ///
    /// # Errors
    /// The body is too large or too slow, or its content type is not JSON.
    pub(super) fn bytes(self) -> Result<BytesMut> {
        self.0.map(|body| body.bytes)
    }
}

/// A body with more brackets than this may be nested deeper than serde_json's limit of 128.
const FEW_BRACKETS: usize = 100;

/// Parses strict JSON. serde_json skips unknown fields to any depth, without looking inside their
/// strings. So this first rejects what serde_json would not notice: bad UTF-8, lone surrogates,
/// U+0000, and nesting that is too deep.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    // Requests are objects, but serde would also fill a struct from an array, by position.
    if !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if text.contains("\\u") || brackets > FEW_BRACKETS {
        let value: Value = serde_json::from_str(text).ok()?;
        if holds_nul(&value) {
            return None;
        }
    }
    serde_json::from_str(text).ok()
}

/// Returns whether any text in the value contains U+0000. serde_json limits the depth to 128, which
/// also limits this recursion.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

impl FromRequest for JsonBody {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = check_head(request, MOST_BYTES);
        let reader = BodyReader::new(request, MOST_BYTES);
        let mut payload = payload.take();
        Box::pin(async move {
            if let Err(error) = checked {
                return Ok(JsonBody(Err(error)));
            }
            Ok(JsonBody(reader.read(&mut payload).await))
        })
    }
}

/// Checks the content type, the content encoding and the declared length.
pub(super) fn check_head(request: &HttpRequest, most: usize) -> Result<()> {
    let headers = request.headers();
    let mut types = headers.get_all(header::CONTENT_TYPE);
    match (types.next(), types.next()) {
        (None, _) => {}
        (Some(one), None) if one.to_str().is_ok_and(is_json) => {}
        _ => return Err(Error::UnsupportedMediaType),
    }
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Error::UnsupportedMediaType);
    }
    match declared_length(request) {
        Some(length) if length > most => Err(Error::BodyTooLarge(most)),
        _ => Ok(()),
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.is_empty() || essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct One {
        message: Option<String>,
    }

    fn message(text: &str) -> Option<Option<String>> {
        parse::<One>(text.as_bytes()).map(|one| one.message)
    }

    #[test]
    fn unknown_fields_are_ignored_but_must_be_sound() {
        assert_eq!(message(r#"{"message":"hi","more":[1,"ü\u00fc"]}"#), Some(Some("hi".into())));
        assert_eq!(message(r#"{"message":"hi","more":"\ud800"}"#), None);
        assert_eq!(message(r#"{"message":"hi","more":{"a":["\u0000"]}}"#), None);
        assert_eq!(parse::<One>(b"{\"message\":\"hi\",\"more\":\"\xff\"}"), None);
        assert_eq!(message(r#"{"message":"hi","message":"ho"}"#), None);
        for closed in [0, 100_000] {
            let nest = "[".repeat(100_000) + &"]".repeat(closed);
            assert_eq!(message(&format!(r#"{{"message":"hi","more":{nest}}}"#)), None);
        }
        let many = "[],".repeat(1000);
        assert_eq!(message(&format!(r#"{{"message":"hi","more":[{many}{{}}]}}"#)), Some(Some("hi".into())));
    }

    #[test]
    fn an_array_is_no_request() {
        assert_eq!(message(r#" {"message":"hi"}"#), Some(Some("hi".into())));
        assert_eq!(message(r#"["hi"]"#), None);
    }

    #[test]
    fn json_by_any_of_its_names() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/ld+json", ""] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
