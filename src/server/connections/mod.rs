//! Limits the number of connections and how long each may last, whatever its client sends, sends
//! slowly or does not read.
//!
//! A [`Connection`] passes on one request at a time ([`framing`]), so it always knows what it is
//! waiting for, and until when. [`guard`] drops the HTTP dispatcher at that deadline, so no defect
//! of the dispatcher can hold a connection.

mod exchange;
mod framing;
mod handshakes;
mod listener;
mod refusal;
mod registry;
mod wire;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use actix_web::web::BytesMut;
use tokio::time::{Instant, sleep_until};

pub(super) use exchange::Exchange;
use framing::{BodyLength, Framing};
pub(super) use listener::{Shared, listen};
use registry::{Slot, Stage};

use crate::config::Config;
use crate::throttle::{Cut, MemoryBudget, MemoryShare};

/// How long a client may keep sending after the last response, so that it can read the response
/// before the connection is closed.
const LINGER: Duration = Duration::from_secs(3);
/// actix-http reads the time from a clock that it sets twice a second, and later than that while a
/// worker is busy. Its timers end early by as much as that clock is behind.
const CLOCK_LAG: Duration = Duration::from_secs(1);
/// How much later than [`Limits::keep_alive`] actix-http would close an idle connection. Only this
/// module's own limit is exact, so it always comes first.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(60);
/// If a response is sent at a time limit, this module closes the connection this much later.
const AFTER_THE_RESPONSE: Duration = Duration::from_millis(500);
/// How long a body may wait for a place or for memory before its handler reads it.
const BODY_WAITS: Duration = Duration::from_secs(6);
/// The slowest rate of a body: its time limit grows by one second for each of these bytes, up to
/// the longest allowed body.
const BODY_BYTES_PER_SECOND: u64 = 64 * 1024;
const LONGEST_BODY: u64 = 8 * 1024 * 1024;
/// The slowest rate of a response: its time limit grows by one second for each of these bytes.
const RESPONSE_BYTES_PER_SECOND: u64 = 4 * 1024;
/// How much longer a request may take than an upstream's whole answer, including streams.
const EXCHANGE_MARGIN: Duration = Duration::from_secs(120);
/// The initial size of actix-http's read buffer. It grows with heads and bodies and never shrinks
/// while the connection lasts. Only its growth counts towards the memory budget.
const FIRST_BUFFER: u64 = 8 * 1024;
/// How many bytes of the next request a TLS connection reads ahead, to notice that its client has
/// closed it: the end of TLS comes behind them.
const READ_AHEAD: usize = 1024;
/// The largest size of the read buffer.
const LARGEST_BUFFER: u64 = 128 * 1024;

/// Time limits for each stage of a connection, for the stage as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    head: Duration,
    body: Duration,
    keep_alive: Duration,
    /// The longest time that the client may leave written data unread.
    write: Duration,
    /// Time limit for a request, from its head to the start of its response, or to the end of a
    /// stream.
    exchange: Duration,
}

impl Limits {
    pub(super) fn of(config: &Config) -> Limits {
        let total = Duration::from_secs(config.upstream.upstream_total_timeout);
        let total = total.max(Duration::from_millis(config.answers.dummy_delay));
        Limits {
            head: Duration::from_secs(config.listen.head_timeout),
            body: Duration::from_secs(config.listen.body_timeout),
            keep_alive: Duration::from_secs(config.listen.keep_alive_timeout),
            write: Duration::from_secs(config.listen.write_timeout),
            exchange: total + EXCHANGE_MARGIN,
        }
    }
}

/// The event that a connection is waiting for.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// The end of a TLS handshake.
    Handshake,
    FirstHead,
    NextRequest,
    NextHead,
    /// A response, and the rest of the body. `declared` is the number of bytes of the body that are
    /// known to come.
    Request {
        declared: u64,
    },
    /// The client, which must read a response within this time.
    Response(Duration),
    /// The end: no more requests are handled on this connection.
    End,
}

/// One connection, shared by its socket, the middleware and its guard, all on one thread.
pub(super) struct Connection {
    limits: Limits,
    slot: Slot,
    budget: MemoryBudget,
    wire: RefCell<Wire>,
    waiting: Cell<(Waiting, Instant)>,
    /// When the client stopped reading what is written. `None` if it reads.
    stalled: Cell<Option<Instant>>,
}

#[derive(Default)]
struct Wire {
    framing: Framing,
    /// Bytes that followed the current request.
    carried: BytesMut,
    /// The share of the memory budget for these bytes, if they are many.
    carried_share: Option<MemoryShare>,
    /// The task to wake when more may be passed on.
    gated: Option<Waker>,
    /// Bytes of the current head, or of its body.
    received: u64,
    /// The known size of the read buffer.
    buffer: u64,
    share: Option<MemoryShare>,
    /// Bytes that have arrived over TLS and of which no whole record has been passed on.
    sealed: u64,
    /// The share of the memory budget for these bytes, if they are many.
    sealed_share: Option<MemoryShare>,
}

impl Connection {
    fn new(limits: Limits, slot: Slot, budget: MemoryBudget) -> Connection {
        let waiting = Cell::new((Waiting::FirstHead, Instant::now()));
        Connection { limits, slot, budget, wire: RefCell::default(), waiting, stalled: Cell::new(None) }
    }

    fn cut(&self) -> &Cut {
        self.slot.cut()
    }

    /// Records that a TLS handshake comes first.
    fn begin_handshake(&self) {
        self.wait_for(Waiting::Handshake, Instant::now());
    }

    /// Records that the TLS handshake is over. The time for the first head begins.
    fn end_handshake(&self) {
        let now = Instant::now();
        self.slot.touch(now);
        self.wait_for(Waiting::FirstHead, now);
        self.note_opened();
    }

    fn wait_for(&self, what: Waiting, now: Instant) {
        self.waiting.set((what, now));
    }

    /// Returns when and why the connection is closed if nothing happens.
    fn deadline(&self) -> (Instant, &'static str) {
        let Limits { head, body, keep_alive, write, exchange } = self.limits;
        let (waiting, since) = self.waiting.get();
        let (limit, why) = match waiting {
            Waiting::Handshake => (head, "no whole TLS handshake in time"),
            Waiting::FirstHead => (head + CLOCK_LAG + AFTER_THE_RESPONSE, "no whole head in time"),
            Waiting::NextHead => (head, "no whole head in time"),
            Waiting::NextRequest => (keep_alive, "no further request in time"),
            Waiting::Request { declared } => {
                let wire = self.wire.borrow();
                if wire.framing.is_whole() {
                    (exchange, "no response in time")
                } else {
                    let bytes = declared.max(wire.received).min(LONGEST_BODY);
                    let more = Duration::from_secs(bytes / BODY_BYTES_PER_SECOND);
                    (body + more + BODY_WAITS, "no whole body in time")
                }
            }
            Waiting::Response(limit) => (limit, "a response was not taken in time"),
            Waiting::End if self.stalled.get().is_some() => (LINGER + write, "it did not end in time"),
            Waiting::End => (LINGER + AFTER_THE_RESPONSE, "it did not end in time"),
        };
        let by_waiting = (since + limit, why);
        match self.stalled.get().map(|since| since + write) {
            Some(at) if at < by_waiting.0 => (at, "nothing of a response was taken in time"),
            _ => by_waiting,
        }
    }

    /// Records that a head has arrived and its request is being handled.
    fn begin(&self, body: BodyLength) {
        let now = Instant::now();
        let mut wire = self.wire.borrow_mut();
        wire.framing.follow(body);
        wire.received = 0;
        let declared = if let BodyLength::Known(length) = body { length } else { 0 };
        self.wait_for(Waiting::Request { declared }, now);
        let stage = if wire.framing.is_whole() { Stage::Busy } else { Stage::Unfinished };
        self.slot.note(stage, now);
        if !wire.framing.is_whole() {
            wire.open();
        }
        // From now on the server must empty the buffer, not the client.
        if let Some(share) = &mut wire.share {
            share.cut_by(None);
        }
    }

    /// Returns whether the connection has a large buffer while memory is scarce.
    fn is_a_burden(&self) -> bool {
        self.wire.borrow().share.is_some() && self.budget.is_tight()
    }

    /// Returns whether the whole body of the current request has been passed on.
    fn has_whole_request(&self) -> bool {
        self.wire.borrow().framing.is_whole()
    }

    /// Records that a response of this length is being sent. `None` is a stream, which gets the
    /// rest of the time for the request.
    fn respond(&self, length: Option<u64>) {
        let (limit, since) = match length {
            Some(length) => {
                let more = Duration::from_secs(length / RESPONSE_BYTES_PER_SECOND);
                (self.limits.write + more, Instant::now())
            }
            None => (self.limits.exchange, self.waiting.get().1),
        };
        self.wait_for(Waiting::Response(limit), since);
    }

    /// Records that the response was written, or that there is none. With `keep`, another request
    /// may follow.
    fn finish(&self, keep: bool) {
        let now = Instant::now();
        let mut wire = self.wire.borrow_mut();
        wire.received = 0;
        if let Some(share) = &mut wire.share {
            share.cut_by(Some(self.cut().clone()));
        }
        if !keep || !wire.framing.is_whole() {
            self.slot.note(Stage::Unfinished, now);
            return self.wait_for(Waiting::End, now);
        }
        wire.framing = Framing::default();
        let has_more = wire.carried.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        self.slot.note(if has_more { Stage::Unfinished } else { Stage::Idle }, now);
        self.wait_for(if has_more { Waiting::NextHead } else { Waiting::NextRequest }, now);
        wire.open();
    }
}

impl Wire {
    /// Lets the dispatcher read again.
    fn open(&mut self) {
        if let Some(waker) = self.gated.take() {
            waker.wake();
        }
    }
}

/// Runs the dispatcher of a connection until it ends, but not beyond the connection's deadline.
async fn guard(connection: &Rc<Connection>, dispatcher: impl Future) {
    let mut dispatcher = pin!(dispatcher);
    let mut alarm = pin!(sleep_until(connection.deadline().0));
    let cut = poll_fn(|cx| {
        if dispatcher.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if connection.cut().poll(cx).is_ready() {
            return Poll::Ready(Some("others needed its place or its memory"));
        }
        loop {
            let (deadline, why) = connection.deadline();
            // Re-armed only if it would ring too late: usually it rings early, sees a later
            // deadline and continues.
            if alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
            }
            match alarm.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if alarm.deadline() >= deadline => return Poll::Ready(Some(why)),
                Poll::Ready(()) => alarm.as_mut().reset(deadline),
            }
        }
    });
    if let Some(why) = cut.await {
        log::debug!("closed a connection from {}: {why}", connection.slot.peer());
    }
}

#[cfg(test)]
mod tests;
