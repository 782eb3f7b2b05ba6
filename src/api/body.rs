//! Request bodies of the API: never decompressed, and parsed as strict JSON.
//! [`form`](super::form) has those that may also be forms.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::operation::{Describe, Operation};
use crate::http::{BodyReader, HeldBody, MOST_BYTES, declared_length};

/// A request body, or the error of reading it. Extracting it never fails, so that the handler
/// decides whether another error comes first.
pub(super) struct JsonBody(Result<HeldBody>);

impl JsonBody {
    /// Parses the body as JSON. Returns `None` if it is not valid JSON for `T`.
    ///
    /// # Errors
    /// The body is too large or too slow, or its content type is not JSON.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<Option<T>> {
        Ok(parse(&self.0?.bytes).ok())
    }

    /// Parses a body that may be missing. Returns `None` if it is empty.
    ///
    /// # Errors
    /// The body is too large or too slow, or its content type is not JSON.
    pub(super) fn optional<T: DeserializeOwned>(self) -> Result<Option<Result<T, Invalid>>> {
        let bytes = self.0?.bytes;
        Ok((!without_mark(&bytes).is_empty()).then(|| parse(&bytes)))
    }
}

/// A body with more brackets than this may be nested deeper than serde_json's limit of 128.
const FEW_BRACKETS: usize = 100;

/// Parses strict JSON. serde_json skips unknown fields to any depth, without looking inside their
/// strings. So this first rejects what serde_json would not notice: bad UTF-8, lone surrogates,
/// U+0000, and nesting that is too deep.
///
/// # Errors
/// Says why the body cannot be parsed. The text contains nothing of the body.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Invalid> {
    let bytes = without_mark(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))?;
    if text.trim_ascii_start().is_empty() {
        return Err(unreadable("it is empty: send a JSON object"));
    }
    // Requests are objects, but serde would also fill a struct from an array, by position.
    if !looks_like_json(bytes) {
        return Err(unreadable("it is not a JSON object"));
    }
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if text.contains("\\u") || brackets > FEW_BRACKETS {
        let looked: Looked = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        if looked.holds_nul {
            return Err(unreadable("a text in it contains U+0000"));
        }
    }
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

/// Returns the error of a body that cannot be parsed.
pub(super) fn unreadable(reason: impl Into<String>) -> Invalid {
    Invalid::new("body", reason)
}

/// Says where the JSON is wrong. serde_json's own text may quote the body.
fn not_json(error: &serde_json::Error) -> Invalid {
    let what = match error.classify() {
        Category::Data => "a field has the wrong type, or appears twice",
        _ => "it is not valid JSON, or is nested too deeply",
    };
    unreadable(format!("{what} (line {}, column {})", error.line(), error.column()))
}

/// Returns the body without the byte order mark that some programs put before UTF-8. RFC 8259 (8.1)
/// allows to skip it.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Returns whether a body begins as a JSON object does.
pub(super) fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

/// What a look at every value of a JSON text finds. It keeps no value, because there may be many.
/// serde_json limits the depth to 128, which also limits the recursion.
#[derive(Default)]
struct Looked {
    /// Whether any text or name contains U+0000.
    holds_nul: bool,
}

impl<'de> Deserialize<'de> for Looked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Looked, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Looked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Looked, E> {
        Ok(Looked { holds_nul: text.contains('\0') })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Looked, A::Error> {
        let mut all = Looked::default();
        while let Some(looked) = list.next_element::<Looked>()? {
            all.holds_nul |= looked.holds_nul;
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Looked, A::Error> {
        let mut all = Looked::default();
        while let Some((name, looked)) = map.next_entry::<Looked, Looked>()? {
            all.holds_nul |= name.holds_nul || looked.holds_nul;
        }
        Ok(all)
    }

    fn visit_unit<E>(self) -> Result<Looked, E> {
        Ok(Looked::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Looked, E> {
        Ok(Looked::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Looked, E> {
        Ok(Looked::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Looked, E> {
        Ok(Looked::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Looked, E> {
        Ok(Looked::default())
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

impl Describe for JsonBody {
    fn describe(operation: &mut Operation) {
        operation.errors.extend(errors_of_reading(MOST_BYTES, "application/json"));
    }
}

/// Returns the errors of reading a body of at most so many bytes, of these content types.
pub(super) fn errors_of_reading(most: usize, accepted: &'static str) -> [Error; 6] {
    [
        Error::BodyCutShort,
        Error::RequestTimeout,
        Error::BodyTooLarge(most),
        Error::UnsupportedMediaType(accepted),
        Error::UnsupportedCoding,
        Error::MemoryFull,
    ]
}

/// Checks the content type, the content encoding and the declared length.
pub(super) fn check_head(request: &HttpRequest, most: usize) -> Result<()> {
    let types = request.headers().get_all(header::CONTENT_TYPE).count();
    // An empty body is of no type, whatever a program such as `curl -d ''` says about it.
    let is_json = types == 0 || types == 1 && content_type(request).is_some_and(is_json);
    if !is_json && declared_length(request) != Some(0) {
        return Err(Error::UnsupportedMediaType("application/json"));
    }
    check_coding(request)?;
    check_length(request, most)
}

/// Returns the content type. `None` if it is missing or not ASCII.
pub(super) fn content_type(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::CONTENT_TYPE)?.to_str().ok()
}

/// Checks that the body is not compressed.
pub(super) fn check_coding(request: &HttpRequest) -> Result<()> {
    let coding = request.headers().get(header::CONTENT_ENCODING);
    match coding {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(Error::UnsupportedCoding),
        _ => Ok(()),
    }
}

/// Checks the declared length.
pub(super) fn check_length(request: &HttpRequest, most: usize) -> Result<()> {
    match declared_length(request) {
        Some(length) if length > most => Err(Error::BodyTooLarge(most)),
        _ => Ok(()),
    }
}

pub(super) fn is_json(content_type: &str) -> bool {
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
        parse::<One>(text.as_bytes()).ok().map(|one| one.message)
    }

    #[test]
    fn unknown_fields_are_ignored_but_must_be_sound() {
        assert_eq!(message(r#"{"message":"hi","more":[1,"ü\u00fc"]}"#), Some(Some("hi".into())));
        assert_eq!(message(r#"{"message":"hi","more":"\ud800"}"#), None);
        assert_eq!(message(r#"{"message":"hi","more":{"a":["\u0000"]}}"#), None);
        assert!(parse::<One>(b"{\"message\":\"hi\",\"more\":\"\xff\"}").is_err());
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
    fn one_byte_order_mark_is_skipped() {
        assert_eq!(message("\u{feff} {\"message\":\"hi\"}"), Some(Some("hi".into())));
        assert_eq!(message("\u{feff}\u{feff}{\"message\":\"hi\"}"), None);
        assert_eq!(message("{\u{feff}\"message\":\"hi\"}"), None);
        assert_eq!(message("{\"message\":\"\u{feff}hi\"}"), Some(Some("\u{feff}hi".into())));
        assert_eq!(without_mark(b"\xef\xbb\xbf"), b"");
        // UTF-16 is not JSON, with and without its mark.
        assert_eq!(parse::<One>(b"\xff\xfe{\0}\0").unwrap_err().reason, "it is not UTF-8");
        assert!(parse::<One>(b"{\0}\0").is_err());
    }

    #[test]
    fn an_error_says_where_the_body_is_wrong_and_quotes_nothing_of_it() {
        for (body, reason) in [
            ("", "it is empty: send a JSON object"),
            ("\u{feff} \n", "it is empty: send a JSON object"),
            ("[1]", "it is not a JSON object"),
            ("message=secret", "it is not a JSON object"),
            ("{\n  secret}", "it is not valid JSON, or is nested too deeply (line 2, column 3)"),
            ("{\"message\":\"secret", "it is not valid JSON, or is nested too deeply (line 1, column 18)"),
            ("{\"message\":7}", "a field has the wrong type, or appears twice (line 1, column 12)"),
            ("{\"message\":\"\\u0000\"}", "a text in it contains U+0000"),
        ] {
            let fault = parse::<One>(body.as_bytes()).unwrap_err();
            assert_eq!((fault.field, fault.reason.as_str()), ("body", reason), "{body}");
        }
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
