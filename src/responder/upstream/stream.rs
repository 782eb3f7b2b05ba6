//! An answer of an upstream, while it arrives.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use reqwest::Response;
use tokio::time::timeout;

use super::Permit;
use super::call::Begun;
use super::events::{Events, TooLong};
use super::openai::{self, Said};
use crate::clock::Alarm;
use crate::domain::Usage;
use crate::responder::{AnswerBounds, Failure, Label, Piece, Question};

/// The number of bytes on the wire that each arrival counts as, at least.
const LEAST_OF_AN_ARRIVAL: usize = 64;
/// After the last finish reason, how long to wait for the usage and the end of the response.
const WAIT_FOR_THE_END: Duration = Duration::from_secs(5);
/// After the end of the answer, how long to wait for the end of the response, so that its
/// connection can be reused.
const LINGER: Duration = Duration::from_millis(100);

/// An answer that has begun. Dropping it ends the call: its connection is closed, and its place
/// becomes free.
pub struct ResponseStream {
    /// The form of the response. `None` until its first bytes show it.
    form: Option<Form>,
    /// The response. `None` if nothing more is read.
    response: Option<Response>,
    /// The permit of the call. `None` after the outcome was reported.
    permit: Option<Permit>,
    first: Option<Bytes>,
    events: Events,
    whole: Vec<u8>,
    idle_timeout: Duration,
    alarm: Alarm,
    /// When the wait for the upstream began. Kept if `next` is dropped half-way and called again.
    waiting_since: Option<Instant>,
    /// When the wait for the end of a complete answer began.
    ended_since: Option<Instant>,
    /// What is left of the answer's limits: on text, on bytes on the wire, and on events.
    text_left: usize,
    wire_left: u64,
    events_left: u64,
    bounds: AnswerBounds,
    choices: Choices,
    /// Parts that have arrived, and were not returned yet.
    parts: VecDeque<Piece>,
    /// The failure that follows these parts.
    failure_behind: Option<Failure>,
    /// Whether the response says that it is a stream of events.
    declares_events: bool,
    is_done: bool,
    usage: Option<Usage>,
    failure: Option<Failure>,
    /// The model and the request, as the log names them.
    label: Label,
}

/// The form of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A stream of events.
    Events,
    /// One JSON object, from an upstream that does not stream.
    Whole,
}

impl Form {
    /// Returns the form of a response that begins with these bytes. Its content type may be
    /// missing or wrong. `None` if they do not show it yet.
    fn of(bytes: &[u8]) -> Option<Form> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let first = *bytes.trim_ascii_start().first()?;
        // No line of an event stream begins with a bracket.
        Some(if matches!(first, b'{' | b'[' | b'"' | b'<') { Form::Whole } else { Form::Events })
    }
}

/// Which choices have begun and ended.
#[derive(Debug)]
struct Choices {
    wanted: usize,
    begun: Vec<bool>,
    ended: Vec<bool>,
    /// The bytes that the model wrote so far.
    written: Vec<i64>,
}

impl Choices {
    fn new(wanted: usize) -> Choices {
        Choices { wanted, begun: vec![false; wanted], ended: vec![false; wanted], written: vec![0; wanted] }
    }

    /// Returns whether a whole choice repeats the parts that have arrived. Otherwise it is a part,
    /// by another name.
    fn is_repeated(&self, piece: &Piece) -> bool {
        self.begun[piece.choice] && piece.bytes() >= self.written[piece.choice]
    }

    fn note(&mut self, piece: &Piece) {
        self.written[piece.choice] = self.written[piece.choice].saturating_add(piece.bytes());
        self.begun[piece.choice] |= piece.brings_something();
        self.ended[piece.choice] |= piece.finish_reason.is_some();
    }

    /// Returns whether every wanted choice has ended, so that nothing else of the answer can
    /// follow.
    fn have_all_ended(&self) -> bool {
        self.ended.iter().filter(|ended| **ended).count() == self.wanted
    }

    /// Returns whether every choice that has begun has ended, and at least one has.
    fn are_complete(&self) -> bool {
        let is_open = self.begun.iter().zip(&self.ended).any(|(begun, ended)| *begun && !*ended);
        !is_open && self.ended.iter().any(|ended| *ended)
    }
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
        question: &Question,
    ) -> ResponseStream {
        let bounds = AnswerBounds::of(question.max_output.saturating_mul(question.choices));
        ResponseStream {
            form: None,
            response: Some(begun.response),
            permit: Some(permit),
            first: Some(begun.first),
            events: Events::new(bounds.event),
            whole: Vec::new(),
            idle_timeout,
            alarm: Alarm::default(),
            waiting_since: None,
            ended_since: None,
            text_left: bounds.text,
            wire_left: bounds.wire,
            events_left: bounds.events,
            bounds,
            choices: Choices::new(usize::try_from(question.choices).unwrap_or(1)),
            parts: VecDeque::new(),
            failure_behind: None,
            declares_events: begun.declares_events,
            is_done: false,
            usage: None,
            failure: None,
            label: question.label(),
        }
    }

    /// Returns the next part; `None` if the answer has ended well. It may be dropped half-way and
    /// called again: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let result = self.read().await;
        match result {
            Ok(Some(_)) => {
                if let Some(permit) = &mut self.permit {
                    permit.note_part();
                }
            }
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
            if let Some(piece) = self.parts.pop_front() {
                return Ok(Some(piece));
            }
            if let Some(failure) = self.failure_behind {
                return Err(failure);
            }
            if self.is_done {
                return Ok(None);
            }
            match self.read_more().await {
                Ok(()) => {}
                // Nothing but the usage can follow the last finish reason, so the answer is
                // complete, however its response ends.
                Err(_) if self.choices.have_all_ended() => self.is_done = true,
                Err(failure) => self.failure_behind = Some(failure),
            }
        }
    }

    /// Processes the next event, or waits for more bytes.
    async fn read_more(&mut self) -> Result<(), Failure> {
        // Many small events must not keep the thread from other calls.
        tokio::task::coop::consume_budget().await;
        if let Some(event) = self.events.next().map_err(|TooLong| Failure::Unreadable)? {
            self.events_left = self.events_left.checked_sub(1).ok_or(Failure::TooLarge)?;
            let said = openai::read(event.name, event.data)?;
            return self.take(said);
        }
        match self.receive().await {
            Arrival::Bytes(bytes) => self.push(&bytes),
            Arrival::End => self.last(),
            Arrival::Broken(failure) => Err(failure),
        }
    }

    /// Counts and buffers bytes as they arrive, before they are parsed.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // Each arrival takes work, however few bytes it has.
        let counted = bytes.len().max(LEAST_OF_AN_ARRIVAL);
        let left = self.wire_left.checked_sub(u64::try_from(counted).unwrap_or(u64::MAX));
        self.wire_left = left.ok_or(Failure::TooLarge)?;
        let is_known = self.form.is_some();
        if !is_known {
            if self.whole.is_empty() {
                // White space shows nothing, and must not be looked at again and again.
                let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
                self.whole.extend_from_slice(&bytes[start.unwrap_or(bytes.len())..]);
            } else {
                self.whole.extend_from_slice(bytes);
            }
            self.form = Form::of(&self.whole);
        }
        match self.form {
            Some(Form::Events) if is_known => self.events.push(bytes),
            Some(Form::Events) => self.events.push(&std::mem::take(&mut self.whole)),
            _ => {
                if is_known {
                    self.whole.extend_from_slice(bytes);
                }
                if self.whole.len() > self.bounds.whole {
                    return Err(Failure::TooLarge);
                }
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Arrival {
        if let Some(first) = self.first.take() {
            return Arrival::Bytes(first);
        }
        let Some(response) = &mut self.response else { return Arrival::End };
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let mut left = self.idle_timeout.saturating_sub(since.elapsed());
        if self.choices.have_all_ended() {
            // Pings do not prolong this.
            let ended = *self.ended_since.get_or_insert_with(Instant::now);
            left = left.min(WAIT_FOR_THE_END.saturating_sub(ended.elapsed()));
        }
        let arrival = match self.alarm.within(left, response.chunk()).await {
            Some(Ok(Some(bytes))) => Arrival::Bytes(bytes),
            Some(Ok(None)) => Arrival::End,
            Some(Err(_)) => Arrival::Broken(Failure::CutShort),
            None => Arrival::Broken(Failure::Stalled),
        };
        self.waiting_since = None;
        arrival
    }

    /// Processes an event: queues the parts of the answer in it.
    fn take(&mut self, said: Said) -> Result<(), Failure> {
        self.usage = said.usage.or(self.usage);
        for part in said.parts {
            let mut piece = part.piece;
            // No other choices were asked for.
            if piece.choice >= self.choices.wanted {
                continue;
            }
            if part.is_whole && self.choices.is_repeated(&piece) {
                piece.delta = Default::default();
            }
            self.choices.note(&piece);
            let written = usize::try_from(piece.bytes()).unwrap_or(0);
            self.text_left = self.text_left.checked_sub(written).ok_or(Failure::TooLarge)?;
            if piece.weight() > self.bounds.part {
                // In a genuine part, only these can be this large.
                piece.logprobs = None;
            }
            if piece.weight() > self.bounds.part {
                return Err(Failure::Unreadable);
            }
            self.parts.push_back(piece);
        }
        if said.is_done { self.finish() } else { Ok(()) }
    }

    /// Ends the response. A complete last event counts even without the empty line after it; an
    /// incomplete one does not.
    fn last(&mut self) -> Result<(), Failure> {
        self.response = None;
        let said = match self.form {
            None => Said::default(),
            Some(Form::Whole) => openai::read_whole(&std::mem::take(&mut self.whole))?,
            Some(Form::Events) => {
                let had_events = self.events_left < self.bounds.events;
                let last = self.events.rest().ok().flatten();
                if last.is_none() && !had_events && !self.declares_events {
                    return Err(Failure::NotAnAnswer);
                }
                match last.map(|event| openai::read(event.name, event.data)) {
                    None | Some(Err(Failure::Unreadable)) => Said::default(),
                    Some(said) => said?,
                }
            }
        };
        self.take(Said { is_done: true, ..said })
    }

    /// Ends the answer properly. Without a finish reason it is not complete.
    fn finish(&mut self) -> Result<(), Failure> {
        self.is_done = self.choices.are_complete();
        if self.is_done { Ok(()) } else { Err(Failure::CutShort) }
    }

    fn end(&mut self) {
        self.is_done = true;
        if let Some(permit) = self.permit.take() {
            permit.succeeded();
        }
        // Usually only the end of the body is missing. Reading it saves a new connection.
        if let Some(mut response) = self.response.take()
            && !matches!(response.chunk().now_or_never(), Some(Ok(None) | Err(_)))
        {
            tokio::spawn(async move { timeout(LINGER, response.chunk()).await.map(drop) });
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.response = None;
        self.label.warn(failure.reason().text());
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
