//! Large request bodies, under `/v1`, where clients send a whole conversation each time, perhaps
//! with pictures. They are read only after the auth token was found to be valid, and parsed a few
//! at a time, so that they cannot fill the memory.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::body::{check_head, errors_of_reading, parse, unreadable};
use crate::domain::{Invalid, has_more_values};
use crate::error::{Error, Result};
use crate::http::operation::JSON;
use crate::http::{BodyReader, FREE_BYTES, MOST_BYTES, declared_length};
use crate::throttle::{FairSemaphore, MemoryShare, SemaphoreBounds};

/// The longest body, in bytes.
const MOST_BYTES_OF_V1: usize = 8 * 1024 * 1024;

/// The number of bodies above the usual limit that may be parsed at once. One user gets at most
/// half of the places.
const AT_ONCE: usize = 8;

/// The number of large bodies of all users that may wait for a place.
const WAITING: usize = 256;
/// The number of large bodies of one user that may wait for a place.
const WAITING_PER_USER: usize = 32;

/// How long a body waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places for large bodies, shared fairly among users.
#[derive(Debug)]
pub struct LargeBodies(FairSemaphore<i64>);

impl Default for LargeBodies {
    fn default() -> LargeBodies {
        LargeBodies(FairSemaphore::new(SemaphoreBounds {
            permits: AT_ONCE,
            waiting: WAITING,
            waiting_per_key: WAITING_PER_USER,
            leave_room: true,
        }))
    }
}

/// A parsed body and its share of the memory budget, held as long as the body.
pub(super) struct Large<T> {
    /// The body, or why it is not JSON of the expected form.
    pub json: Result<T, Invalid>,
    /// The share. `None` if the body is too small to count.
    pub memory: Option<Arc<MemoryShare>>,
}

/// Returns the errors of reading and parsing a body.
pub(super) fn errors() -> impl Iterator<Item = Error> {
    let further = [
        Error::Invalid(unreadable("it is empty: send a JSON object")),
        Error::UserMemoryFull,
        Error::TooManyLargeBodies(AT_ONCE),
    ];
    errors_of_reading(MOST_BYTES_OF_V1, JSON).into_iter().chain(further)
}

/// Returns whether a body may be so large that its memory counts. A chunked body declares no
/// length, so it may be.
pub(super) fn may_be_large(request: &HttpRequest) -> bool {
    declared_length(request).is_none_or(|length| length > FREE_BYTES)
}

/// Reads and parses the body of a request. If `user_id` is `None`, the body must not be large. It
/// may have `most_values` objects, lists and elements.
///
/// # Errors
/// The body is too large or too slow, there is no place or memory for it, or its content type is
/// not JSON.
pub(super) async fn json<T>(
    request: &HttpRequest,
    payload: web::Payload,
    places: &LargeBodies,
    user_id: Option<i64>,
    most_values: usize,
) -> Result<Large<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    let most = if user_id.is_some() { MOST_BYTES_OF_V1 } else { MOST_BYTES };
    check_head(request, most)?;
    // There will be two copies: first its text and its values, then the values and the request to
    // the upstream.
    let reader = BodyReader::new(request, most).of(user_id).copies(2);
    let body = reader.read(&mut payload.into_inner()).await?;
    let (bytes, mut memory) = (body.bytes, body.memory);
    if let Some(memory) = &mut memory {
        // The body has arrived, so its client can no longer be too slow.
        memory.cut_by(None);
    }
    // A place is taken only now. Otherwise a slow client could hold it for as long as it sends.
    let _place = match user_id {
        Some(user_id) if bytes.len() > MOST_BYTES => {
            match timeout(PATIENCE, places.0.acquire(user_id)).await {
                Ok(Ok(place)) => Some(place),
                Ok(Err(_)) | Err(_) => return Err(Error::TooManyLargeBodies(AT_ONCE)),
            }
        }
        _ => None,
    };
    let json = if bytes.len() <= MOST_BYTES {
        understand(&bytes, most_values)
    } else {
        // Parsing takes tens of milliseconds, which other requests must not wait for.
        let understood = web::block(move || understand(&bytes, most_values)).await;
        understood.map_err(|error| Error::Unavailable(error.to_string()))?
    };
    Ok(Large { json: json?, memory: memory.map(Arc::new) })
}

fn understand<T: DeserializeOwned>(bytes: &[u8], most_values: usize) -> Result<Result<T, Invalid>> {
    if has_more_values(bytes, most_values) {
        let reason = format!("send at most {most_values} objects, lists and elements");
        return Err(Error::Invalid(Invalid::new("body", reason)));
    }
    Ok(parse(bytes))
}
