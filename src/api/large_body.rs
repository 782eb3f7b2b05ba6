//! Large bodies, under `/v1`, where a whole conversation is sent each time, perhaps with pictures: read only for whom an
//! auth token speaks, and a few at a time, so that they cannot fill the memory.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{self, BytesMut};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::{MOST_BYTES, check_head, parse, read, time_limit};
use crate::domain::{Invalid, has_more_values};
use crate::error::{Error, Result};

/// The longest body.
const MOST_BYTES_OF_V1: usize = 8 * 1024 * 1024;

/// How many bodies above the usual bound may be under way at once.
const AT_ONCE: usize = 16;

/// How long one waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);
/// When to try again after that, in seconds.
const RETRY_AFTER: u64 = 5;

/// A large body may take so many times as long to arrive.
const SLOWER: u32 = 4;

/// Objects, lists and elements of a body.
const MOST_VALUES: usize = 20_000;

/// The places for them.
#[derive(Debug)]
pub struct LargeBodies(Semaphore);

impl Default for LargeBodies {
    fn default() -> LargeBodies {
        LargeBodies(Semaphore::new(AT_ONCE))
    }
}

/// Whether a body may be larger than usual, by what its head says. One in chunks may become as large as it likes.
pub(super) fn may_be_large(request: &HttpRequest) -> bool {
    let length = request.headers().get("content-length").and_then(|length| length.to_str().ok());
    let is_small = |length: usize| length <= MOST_BYTES;
    !length.and_then(|length| length.parse().ok()).is_some_and(is_small)
}

/// Reads and parses the body of a request. `Ok(None)`: it is no such JSON.
///
/// # Errors
/// Those of reading it: too large, too slow, not JSON by its content type.
pub(super) async fn json<T>(
    request: &HttpRequest,
    payload: web::Payload,
    places: &LargeBodies,
) -> Result<Option<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    check_head(request, MOST_BYTES_OF_V1)?;
    let (_place, limit) = if !may_be_large(request) {
        (None, time_limit(request))
    } else {
        let place = timeout(PATIENCE, places.0.acquire()).await.map_err(|_| Error::Busy(RETRY_AFTER))?;
        (place.ok(), time_limit(request) * SLOWER)
    };
    let mut payload = payload.into_inner();
    let whole = read(&mut payload, MOST_BYTES_OF_V1);
    let bytes: BytesMut = timeout(limit, whole).await.unwrap_or(Err(Error::RequestTimeout))?;
    if has_more_values(&bytes, MOST_VALUES) {
        let reason = format!("send at most {MOST_VALUES} objects, lists and elements");
        return Err(Error::Invalid(Invalid::new("body", reason)));
    }
    if bytes.len() <= MOST_BYTES {
        return Ok(parse(&bytes));
    }
    // It takes tens of milliseconds, which others must not wait for.
    let parsed = web::block(move || parse(&bytes)).await;
    parsed.map_err(|error| Error::Unavailable(error.to_string()))
}
