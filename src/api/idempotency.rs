//! The `Idempotency-Key` header.

use actix_web::HttpRequest;
use serde_json::json;

use crate::domain::{IdempotencyKey, Invalid};
use crate::error::{Error, Result};
use crate::http::operation::Parameter;

/// The name of the header.
const NAME: &str = "Idempotency-Key";

/// Describes the header. `meaning` says what a repeat gets.
pub(super) fn parameter(meaning: &'static str) -> Parameter {
    let schema = json!({ "type": "string", "pattern": "^[!-~]{1,255}$" });
    Parameter::header(NAME, meaning, schema)
}

/// Returns the errors of a malformed key, and of one that another request has.
pub(super) fn errors() -> [Error; 2] {
    [invalid(), Error::KeyReused]
}

fn invalid() -> Error {
    Error::Invalid(Invalid::new(NAME, "give it once, as 1 to 255 visible ASCII characters"))
}

/// Returns the key of the request, if it has one.
///
/// # Errors
/// [`Error::Invalid`] if the header is malformed or appears twice.
pub(super) fn key_of(http: &HttpRequest) -> Result<Option<IdempotencyKey>> {
    let mut values = http.headers().get_all("idempotency-key");
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let key = value.to_str().ok().and_then(|key| IdempotencyKey::parse(key).ok());
            key.map(Some).ok_or_else(invalid)
        }
        _ => Err(invalid()),
    }
}
