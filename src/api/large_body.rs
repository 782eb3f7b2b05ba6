//! Large bodies, under `/v1`, where a whole conversation is sent each time, perhaps with pictures: read only for whom an
//! auth token speaks, and a few at a time, so that they cannot fill the memory.

use actix_web::HttpRequest;
use actix_web::web::{self, BytesMut};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::body::{MOST_BYTES, check_head, parse, read, time_limit};
use crate::error::{Error, Result};

/// The longest body.
const MOST_BYTES_OF_V1: usize = 8 * 1024 * 1024;

/// How many bodies above the usual bound may be under way at once.
const AT_ONCE: usize = 16;

/// The places for them.
#[derive(Debug)]
pub struct LargeBodies(Semaphore);

impl Default for LargeBodies {
    fn default() -> LargeBodies {
        LargeBodies(Semaphore::new(AT_ONCE))
    }
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
    let length = request.headers().get("content-length").and_then(|length| length.to_str().ok());
    // A body in chunks may become as large as it likes.
    let is_small =
        length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length <= MOST_BYTES);
    let limit = time_limit(request);
    let whole = async {
        let place = if is_small { None } else { places.0.acquire().await.ok() };
        let bytes = read(&mut payload.into_inner(), MOST_BYTES_OF_V1).await?;
        Ok((bytes, place))
    };
    let (bytes, _place): (BytesMut, _) =
        tokio::time::timeout(limit, whole).await.unwrap_or(Err(Error::RequestTimeout))?;
    if bytes.len() <= MOST_BYTES {
        return Ok(parse(&bytes));
    }
    // It takes tens of milliseconds, which others must not wait for.
    let parsed = web::block(move || parse(&bytes)).await;
    parsed.map_err(|error| Error::Unavailable(error.to_string()))
}
