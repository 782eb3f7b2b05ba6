//! An answer while it arrives.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;
use tokio::time::timeout;

use super::Permit;
use super::call::{Begun, Form};
use super::chunk::{self, Said};
use super::sse::{Events, TooLong};
use crate::responder::{Failure, Piece, Usage};

/// An answer has at most so many bytes, and so many more for each token that it may have.
const BYTES: u64 = 64 << 10;
const BYTES_A_TOKEN: u64 = 64;
/// A whole answer that does not stream is read up to here.
const MOST_OF_A_WHOLE: usize = 8 << 20;
/// How long the end of the response may come after the end of the answer, for the connection to be used again.
const LINGER: Duration = Duration::from_millis(100);

/// An answer that has begun. Dropping it ends the call: its connection is closed, and its place is free.
pub struct Answering {
    form: Form,
    /// `None`: nothing more is read.
    response: Option<Response>,
    /// `None`: how the call ended is told.
    permit: Option<Permit>,
    first: Option<Bytes>,
    events: Events,
    whole: Vec<u8>,
    idle_timeout: Duration,
    /// Since when the upstream is waited for. It stays when `next` is dropped half-way and called again.
    waiting_since: Option<Instant>,
    bytes_left: u64,
    has_reason: bool,
    /// Something of the answer has come.
    has_begun: bool,
    is_done: bool,
    usage: Option<Usage>,
    failure: Option<Failure>,
}

enum Arrival {
    Bytes(Bytes),
    End,
    /// The connection broke, or nothing came for too long.
    Broken(Failure),
}

impl Answering {
    pub(super) fn new(begun: Begun, permit: Permit, idle_timeout: Duration, max_output: u32) -> Answering {
        Answering {
            form: begun.form,
            response: Some(begun.response),
            permit: Some(permit),
            first: Some(begun.first),
            events: Events::default(),
            whole: Vec::new(),
            idle_timeout,
            waiting_since: None,
            bytes_left: BYTES + BYTES_A_TOKEN * u64::from(max_output),
            has_reason: false,
            has_begun: false,
            is_done: false,
            usage: None,
            failure: None,
        }
    }

    /// The next part; `None` is the answer's good end. It may be dropped half-way and called again: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let result = if self.is_done { Ok(None) } else { self.read().await };
        match result {
            Ok(Some(_)) => {
                if let Some(permit) = &mut self.permit {
                    permit.began();
                }
            }
            Ok(None) => self.end(),
            Err(failure) => self.fail(failure),
        }
        result
    }

    /// What the upstream counted, if it said so. It is known once `next` gave `None`.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    async fn read(&mut self) -> Result<Option<Piece>, Failure> {
        loop {
            while let Some(data) = self.events.next().map_err(|TooLong| Failure::Unreadable)? {
                let said = chunk::read(data)?;
                if let Some(piece) = self.take(said)? {
                    return Ok(Some(piece));
                }
                if self.is_done {
                    return Ok(None);
                }
            }
            match self.receive().await {
                Arrival::Bytes(bytes) if self.form == Form::Events => self.events.push(&bytes),
                Arrival::Bytes(bytes) if self.whole.len() + bytes.len() > MOST_OF_A_WHOLE => {
                    return Err(Failure::Endless);
                }
                Arrival::Bytes(bytes) => self.whole.extend_from_slice(&bytes),
                Arrival::End => return self.last(),
                // Everything is said after the reason: only the usage may be missing.
                Arrival::Broken(_) if self.has_reason => self.is_done = true,
                Arrival::Broken(failure) => return Err(failure),
            }
            if self.is_done {
                return Ok(None);
            }
        }
    }

    async fn receive(&mut self) -> Arrival {
        if let Some(first) = self.first.take() {
            return Arrival::Bytes(first);
        }
        let Some(response) = &mut self.response else { return Arrival::End };
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let left = self.idle_timeout.saturating_sub(since.elapsed());
        let arrival = match timeout(left, response.chunk()).await {
            Ok(Ok(Some(bytes))) => Arrival::Bytes(bytes),
            Ok(Ok(None)) => Arrival::End,
            Ok(Err(_)) => Arrival::Broken(Failure::CutShort),
            Err(_) => Arrival::Broken(Failure::Stalled),
        };
        self.waiting_since = None;
        arrival
    }

    /// Takes in what an event says, and gives the part of the answer in it.
    fn take(&mut self, said: Said) -> Result<Option<Piece>, Failure> {
        let (piece, usage) = match said {
            // The word alone is no answer.
            Said::Done if !self.has_begun && !self.has_reason => return Err(Failure::CutShort),
            Said::Done => {
                self.is_done = true;
                return Ok(None);
            }
            Said::Part(piece, usage) => (piece, usage),
        };
        self.usage = usage.or(self.usage);
        let Some(piece) = piece else { return Ok(None) };
        self.has_reason |= piece.finish_reason.is_some();
        self.has_begun |= piece.brings_something();
        let left = self.bytes_left.checked_sub(piece.bytes().max(0).unsigned_abs());
        self.bytes_left = left.ok_or(Failure::Endless)?;
        Ok(Some(piece))
    }

    /// The response has ended. What its last event says counts although the empty line after it is missing, but half
    /// an event is none.
    fn last(&mut self) -> Result<Option<Piece>, Failure> {
        self.response = None;
        let said = match self.form {
            Form::Whole if self.whole.is_empty() => Said::Done,
            Form::Whole => {
                let (piece, usage) = chunk::read_whole(&std::mem::take(&mut self.whole))?;
                Said::Part(Some(piece), usage)
            }
            Form::Events => match self.events.rest().ok().flatten().map(chunk::read) {
                None | Some(Err(Failure::Unreadable)) => Said::Part(None, None),
                Some(said) => said?,
            },
        };
        let piece = self.take(said)?;
        let is_good = piece.is_some() || self.is_done || self.has_reason;
        if is_good { Ok(piece) } else { Err(Failure::CutShort) }
    }

    fn end(&mut self) {
        self.is_done = true;
        if let Some(permit) = self.permit.take() {
            permit.succeeded();
        }
        // Mostly only the end of the body is still to come, which is not worth a new connection.
        if let Some(mut response) = self.response.take() {
            tokio::spawn(async move { timeout(LINGER, response.chunk()).await.map(drop) });
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.response = None;
        if let Some(permit) = self.permit.take() {
            permit.failed(failure);
        }
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering")
            .field("usage", &self.usage)
            .field("is_done", &self.is_done)
            .finish_non_exhaustive()
    }
}
