//! A connection's socket for the HTTP dispatcher. It reads one request at a time.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use actix_web::web::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::registry::Stage;
use super::{Connection, FIRST_BUFFER, LARGEST_BUFFER, Waiting};

pub(super) struct Socket {
    stream: TcpStream,
    pub(super) connection: Rc<Connection>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, connection: Rc<Connection>) -> Socket {
        Socket { stream, connection }
    }

    /// Reads nothing. Only detects whether the client has disconnected.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.stream.poll_peek(cx, &mut ReadBuf::uninit(&mut byte))?;
        match peeked {
            // Nothing was read into the buffer, so the connection has ended.
            Poll::Ready(0) => Poll::Ready(Ok(())),
            Poll::Ready(_) | Poll::Pending => {
                let mut wire = self.connection.wire.borrow_mut();
                if peeked.is_ready() || !wire.carried.is_empty() {
                    // Bytes that have already arrived wake no task.
                    wire.gated = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        if !socket.connection.may_read() {
            return socket.poll_gone(cx);
        }
        if socket.connection.pass_carried(buffer) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut socket.stream).poll_read(cx, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let passed = socket.connection.pass_fresh(fresh);
        buffer.set_filled(before + passed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.stream).poll_write(cx, bytes);
        match &written {
            Poll::Ready(_) => socket.connection.wrote(),
            Poll::Pending => socket.connection.stalls(),
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Connection {
    /// Returns whether more of the current request may be read. While a client reads nothing of its
    /// responses, no further request is read. Otherwise the responses would accumulate.
    pub(super) fn may_read(&self) -> bool {
        let wire = self.wire.borrow();
        wire.framing.wants_more() && !(wire.framing.is_head() && self.stalled.get().is_some())
    }

    /// Passes on bytes that followed the previous request. Returns `false` if there are none.
    pub(super) fn pass_carried(&self, buffer: &mut ReadBuf<'_>) -> bool {
        let mut wire = self.wire.borrow_mut();
        let wire = &mut *wire;
        let most = wire.carried.len().min(buffer.remaining());
        let bytes = wire.carried.get(..most).unwrap_or_default();
        if bytes.is_empty() {
            return false;
        }
        let was_between = wire.framing.is_between();
        let passed = wire.framing.pass(bytes);
        buffer.put_slice(wire.carried.get(..passed).unwrap_or_default());
        wire.carried.advance(passed);
        if wire.carried.is_empty() {
            wire.carried = Default::default();
            wire.carried_share = None;
        }
        self.note_passed(wire, passed, was_between);
        true
    }

    /// Returns how many of these bytes are passed on now. Keeps the rest for later.
    pub(super) fn pass_fresh(&self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        let mut wire = self.wire.borrow_mut();
        let wire = &mut *wire;
        let was_between = wire.framing.is_between();
        let passed = wire.framing.pass(bytes);
        wire.carried.extend_from_slice(bytes.get(passed..).unwrap_or_default());
        let carried = wire.carried.len() as u64;
        if carried > FIRST_BUFFER {
            let share = wire.carried_share.insert(self.budget.share(Some(self.cut().clone())));
            share.add(carried);
        }
        self.note_passed(wire, passed, was_between);
        passed
    }

    fn note_passed(&self, wire: &mut super::Wire, passed: usize, was_between: bool) {
        let now = Instant::now();
        wire.received += passed as u64;
        match self.waiting.get().0 {
            Waiting::NextRequest if was_between && !wire.framing.is_between() => {
                self.wait_for(Waiting::NextHead, now);
                self.slot.note(Stage::Unfinished, now);
            }
            Waiting::Request { .. } if wire.framing.is_whole() => self.slot.note(Stage::Busy, now),
            _ => self.slot.touch(now),
        }
        let buffer = wire.received.min(LARGEST_BUFFER);
        if buffer > wire.buffer.max(FIRST_BUFFER) {
            let is_head = wire.framing.is_head();
            let cut = is_head.then(|| self.cut().clone());
            let share = wire.share.get_or_insert_with(|| self.budget.share(cut));
            share.progress(buffer - wire.buffer);
            share.add(buffer - wire.buffer);
            wire.buffer = buffer;
        }
    }

    pub(super) fn wrote(&self) {
        let now = Instant::now();
        if self.stalled.take().is_none() {
            return self.slot.touch(now);
        }
        let stage = match self.waiting.get().0 {
            Waiting::Request { .. } | Waiting::Response(_) => Stage::Busy,
            Waiting::NextRequest => Stage::Idle,
            Waiting::FirstHead | Waiting::NextHead | Waiting::End => Stage::Unfinished,
        };
        self.slot.note(stage, now);
        self.wire.borrow_mut().open();
    }

    /// Records that the client reads nothing for now. If this lasts, its connection may be closed
    /// to make room.
    pub(super) fn stalls(&self) {
        if self.stalled.get().is_none() {
            let now = Instant::now();
            self.stalled.set(Some(now));
            self.slot.note(Stage::Unfinished, now);
        }
    }
}
