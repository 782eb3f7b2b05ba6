//! An answer of an upstream, while it arrives.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;
use tokio::time::timeout;

use super::Permit;
use super::call::{Begun, Form};
use super::events::{Events, TooLong};
use super::openai::{self, Said};
use crate::domain::Usage;
use crate::responder::{AnswerBounds, Failure, Piece};

/// The number of bytes on the wire that each arrival counts as, at least.
const LEAST_OF_AN_ARRIVAL: usize = 64;
/// After the end of the answer, how long to wait for the end of the response, so that its
/// connection can be reused.
const LINGER: Duration = Duration::from_millis(100);

/// An answer that has begun. Dropping it ends the call: its connection is closed, and its place
/// becomes free.
pub struct ResponseStream {
    form: Form,
    /// The response. `None` if nothing more is read.
    response: Option<Response>,
    /// The permit of the call. `None` after the outcome was reported.
    permit: Option<Permit>,
    first: Option<Bytes>,
    events: Events,
    whole: Vec<u8>,
    idle_timeout: Duration,
    /// When the wait for the upstream began. Kept if `next` is dropped half-way and called again.
    waiting_since: Option<Instant>,
    /// What is left of the answer's limits: on text, on bytes on the wire, and on events.
    text_left: usize,
    wire_left: u64,
    events_left: u64,
    bounds: AnswerBounds,
    has_reason: bool,
    /// Whether any content of the answer has arrived.
    has_begun: bool,
    is_done: bool,
    usage: Option<Usage>,
    failure: Option<Failure>,
}

enum Arrival {
    Bytes(Bytes),
    End,
    /// The connection broke, or nothing arrived for too long.
    Broken(Failure),
}

impl ResponseStream {
    /// Continues a response that has begun.
    pub(super) fn new(
        begun: Begun,
        permit: Permit,
        idle_timeout: Duration,
        max_output: u32,
    ) -> ResponseStream {
        let bounds = AnswerBounds::of(max_output);
        ResponseStream {
            form: begun.form,
            response: Some(begun.response),
            permit: Some(permit),
            first: Some(begun.first),
            events: Events::new(bounds.event),
            whole: Vec::new(),
            idle_timeout,
            waiting_since: None,
            text_left: bounds.text,
            wire_left: bounds.wire,
            events_left: bounds.events,
            bounds,
            has_reason: false,
            has_begun: false,
            is_done: false,
            usage: None,
            failure: None,
        }
    }

    /// Returns the next part; `None` if the answer has ended well. It may be dropped half-way and
    /// called again: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let result = if self.is_done { Ok(None) } else { self.read().await };
        match result {
            Ok(Some(_)) => {}
            Ok(None) => self.end(),
            Err(failure) => self.fail(failure),
        }
        result
    }

    /// Returns the usage that the upstream counted, if it reported any. Complete once `next` has
    /// returned `None`.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    async fn read(&mut self) -> Result<Option<Piece>, Failure> {
        loop {
            // Many small events must not keep the thread from other calls.
            tokio::task::coop::consume_budget().await;
            if let Some(data) = self.events.next().map_err(|TooLong| Failure::Unreadable)? {
                self.events_left = self.events_left.checked_sub(1).ok_or(Failure::TooLarge)?;
                let said = openai::read(data)?;
                if let Some(piece) = self.take(said)? {
                    return Ok(Some(piece));
                }
                if self.is_done {
                    return Ok(None);
                }
                continue;
            }
            match self.receive().await {
                Arrival::Bytes(bytes) => self.push(&bytes)?,
                Arrival::End => return self.last(),
                // Nothing but the usage can follow the finish reason, so the answer is complete.
                Arrival::Broken(_) if self.has_reason => self.is_done = true,
                Arrival::Broken(failure) => return Err(failure),
            }
            if self.is_done {
                return Ok(None);
            }
        }
    }

    /// Counts and buffers bytes as they arrive, before they are parsed.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // Each arrival takes work, however few bytes it has.
        let counted = bytes.len().max(LEAST_OF_AN_ARRIVAL);
        let left = self.wire_left.checked_sub(u64::try_from(counted).unwrap_or(u64::MAX));
        match (left, self.form) {
            (None, _) if self.has_reason => self.is_done = true,
            (None, _) => return Err(Failure::TooLarge),
            (Some(_), Form::Whole) if self.whole.len() + bytes.len() > self.bounds.whole => {
                return Err(Failure::TooLarge);
            }
            (Some(_), Form::Whole) => self.whole.extend_from_slice(bytes),
            (Some(_), Form::Events) => self.events.push(bytes),
        }
        self.wire_left = left.unwrap_or(0);
        Ok(())
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

    /// Processes an event. Returns the part of the answer in it, if any.
    fn take(&mut self, said: Said) -> Result<Option<Piece>, Failure> {
        let (piece, usage) = match said {
            // `[DONE]` alone is not an answer.
            Said::Done if !self.has_begun && !self.has_reason => return Err(Failure::CutShort),
            Said::Done => {
                self.is_done = true;
                return Ok(None);
            }
            Said::Part(piece, usage) => (piece, usage),
        };
        self.usage = usage.or(self.usage);
        let Some(mut piece) = piece else { return Ok(None) };
        self.has_reason |= piece.finish_reason.is_some();
        self.has_begun |= piece.brings_something();
        let written = usize::try_from(piece.bytes()).unwrap_or(0);
        self.text_left = self.text_left.checked_sub(written).ok_or(Failure::TooLarge)?;
        if piece.weight() > self.bounds.part {
            // In a genuine part, only these can be this large.
            piece.logprobs = None;
        }
        if piece.weight() > self.bounds.part { Err(Failure::Unreadable) } else { Ok(Some(piece)) }
    }

    /// Ends the response. A complete last event counts even without the empty line after it; an
    /// incomplete one does not.
    fn last(&mut self) -> Result<Option<Piece>, Failure> {
        self.response = None;
        let said = match self.form {
            Form::Whole if self.whole.is_empty() => Said::Done,
            Form::Whole => {
                let (piece, usage) = openai::read_whole(&std::mem::take(&mut self.whole))?;
                Said::Part(Some(piece), usage)
            }
            Form::Events => match self.events.rest().ok().flatten().map(openai::read) {
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
        // Usually only the end of the body is missing. Reading it saves a new connection.
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

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream")
            .field("usage", &self.usage)
            .field("is_done", &self.is_done)
            .finish_non_exhaustive()
    }
}
