//! Request bodies: read with a bound on size, time and memory.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{self, BytesMut};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::site::Site;
use crate::error::{Error, Result};
use crate::throttle::{Cut, MemoryBudget, MemoryShare};

/// The longest allowed body of most paths, in bytes.
pub const MOST_BYTES: usize = 512 * 1024;

/// Bodies up to this length, in bytes, do not count towards the memory budget.
pub const FREE_BYTES: usize = 4 * 1024;

/// The slowest rate at which a body may arrive: its time limit grows by one second for each of
/// these bytes.
const BYTES_PER_SECOND: usize = 64 * 1024;

/// Returns the body's length according to the head. Returns `None` if the body is chunked or
/// absent.
pub fn declared_length(request: &HttpRequest) -> Option<usize> {
    let length = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok()
}

/// A body that has arrived, with its share of the memory budget.
pub struct HeldBody {
    /// The whole body.
    pub bytes: BytesMut,
    /// The memory that it counts for. `None` if it is too short to count. Dropping it returns the
    /// memory.
    pub memory: Option<MemoryShare>,
}

/// Reads a body within its limits on length, total time, and the memory of all bodies.
pub struct BodyReader {
    most: usize,
    limit: Duration,
    declared: usize,
    budget: Option<web::Data<MemoryBudget>>,
    cut: Option<Cut>,
    user_id: Option<i64>,
    copies: u64,
}

impl BodyReader {
    /// Prepares to read the body of this request. `most` is its longest allowed length, in bytes.
    pub fn new(request: &HttpRequest, most: usize) -> BodyReader {
        BodyReader {
            most,
            limit: Site::of(request).body_timeout,
            declared: declared_length(request).unwrap_or(0),
            budget: request.app_data::<web::Data<MemoryBudget>>().cloned(),
            cut: request.conn_data::<Cut>().cloned(),
            user_id: None,
            copies: 1,
        }
    }

    /// Counts the body towards the memory that this user may hold.
    pub fn of(self, user_id: Option<i64>) -> BodyReader {
        BodyReader { user_id, ..self }
    }

    /// Counts each byte of the body this many times, because there will be as many copies of it.
    pub fn copies(self, copies: u64) -> BodyReader {
        BodyReader { copies, ..self }
    }

    /// Returns the number of bytes that a body needs memory for after `arrived` bytes. For a known
    /// user this is the length that the head declares. Otherwise many large bodies would each hold
    /// a part of the budget, and none would arrive whole.
    fn wanted(&self, arrived: usize) -> usize {
        match self.user_id {
            Some(_) => arrived.max(self.declared.min(self.most)),
            None => arrived,
        }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// Fails if the body is too long, arrives too slowly, ends early, or finds no memory left.
    pub async fn read(self, payload: &mut Payload) -> Result<HeldBody> {
        let begun = Instant::now();
        let mut bytes = BytesMut::with_capacity(self.declared.min(self.most).min(FREE_BYTES));
        let (mut memory, mut held) = (None, 0);
        loop {
            let seconds = bytes.len().max(self.declared) / BYTES_PER_SECOND;
            let deadline = begun + self.limit + Duration::from_secs(seconds as u64);
            let next = timeout_at(deadline, payload.next()).await.map_err(|_| Error::RequestTimeout)?;
            let Some(chunk) = next else { return Ok(HeldBody { bytes, memory }) };
            let chunk = chunk.map_err(|_| Error::BodyCutShort)?;
            let length = bytes.len() + chunk.len();
            if length > self.most {
                return Err(Error::BodyTooLarge(self.most));
            }
            if length > FREE_BYTES
                && let Some(budget) = &self.budget
            {
                let share = memory.get_or_insert_with(|| {
                    let mut share = budget.share(self.cut.clone());
                    if let Some(user_id) = self.user_id {
                        share.belong_to(user_id);
                    }
                    share
                });
                share.progress(chunk.len() as u64);
                let wanted = self.copies * self.wanted(length) as u64;
                if wanted > held {
                    share.grow(wanted - held).await?;
                    held = wanted;
                }
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}
