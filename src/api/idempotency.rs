//! The `Idempotency-Key` header.

use actix_web::HttpRequest;

use crate::domain::{IdempotencyKey, Invalid};
use crate::error::{Error, Result};

/// Returns the key of the request, if it has one.
///
/// # Errors
/// [`Error::Invalid`] if the header is malformed or appears twice.
pub(super) fn key_of(http: &HttpRequest) -> Result<Option<IdempotencyKey>> {
    let invalid = || {
        Error::Invalid(Invalid::new("Idempotency-Key", "give it once, as 1 to 255 visible ASCII characters"))
    };
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
