//! A connection's socket for the HTTP dispatcher, with or without TLS. It reads one request at a
//! time.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use actix_web::web::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::registry::Stage;
use super::{Connection, FIRST_BUFFER, LARGEST_BUFFER, READ_AHEAD, Waiting};

pub(super) struct Socket {
    stream: Stream,
    pub(super) connection: Rc<Connection>,
}

enum Stream {
    Plain(Transport),
    Tls(Box<TlsStream<Transport>>),
}

/// The bytes on the wire, whatever they mean. It notes whether the client takes what is written,
/// and how much of TLS has arrived that cannot be passed on yet.
pub(super) struct Transport {
    stream: TcpStream,
    connection: Rc<Connection>,
    is_sealed: bool,
}

impl Transport {
    /// Bytes of TLS.
    pub(super) fn sealed(stream: TcpStream, connection: Rc<Connection>) -> Transport {
        Transport { stream, connection, is_sealed: true }
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(_) => self.connection.wrote(),
            Poll::Pending => self.connection.stalls(),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let transport = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut transport.stream).poll_read(cx, buffer))?;
        if transport.is_sealed {
            transport.connection.note_sealed(buffer.filled().len() - before);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let transport = self.get_mut();
        let written = Pin::new(&mut transport.stream).poll_write(cx, bytes);
        transport.note_written(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let transport = self.get_mut();
        let written = Pin::new(&mut transport.stream).poll_write_vectored(cx, parts);
        transport.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Socket {
    /// A connection without TLS.
    pub(super) fn plain(stream: TcpStream, connection: Rc<Connection>) -> Socket {
        let transport = Transport { stream, connection: connection.clone(), is_sealed: false };
        Socket { stream: Stream::Plain(transport), connection }
    }

    /// A connection after its TLS handshake.
    pub(super) fn tls(stream: TlsStream<Transport>, connection: Rc<Connection>) -> Socket {
        Socket { stream: Stream::Tls(Box::new(stream)), connection }
    }

    /// Reads nothing of the request. Only detects whether the client has disconnected.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(transport) => poll_end(transport, &self.connection, cx),
            Stream::Tls(stream) => poll_end_of_tls(stream, &self.connection, cx),
        }
    }
}

fn poll_end(transport: &Transport, connection: &Connection, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut byte = [MaybeUninit::uninit()];
    let peeked = transport.stream.poll_peek(cx, &mut ReadBuf::uninit(&mut byte))?;
    // Nothing was read into the buffer, so the connection has ended.
    if peeked == Poll::Ready(0) {
        return Poll::Ready(Ok(()));
    }
    let mut wire = connection.wire.borrow_mut();
    if peeked.is_ready() || !wire.carried.is_empty() {
        // Bytes that have already arrived wake no task.
        wire.gated = Some(cx.waker().clone());
    }
    Poll::Pending
}

/// Like [`poll_end`]. The end of TLS is a record behind the others, so some of the next request may
/// have to be read first. It is kept until its turn.
fn poll_end_of_tls(
    stream: &mut TlsStream<Transport>,
    connection: &Connection,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut space = [0; READ_AHEAD];
    loop {
        let room = READ_AHEAD.saturating_sub(connection.wire.borrow().carried.len());
        let Some(space) = space.get_mut(..room).filter(|space| !space.is_empty()) else { break };
        let mut buffer = ReadBuf::new(space);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer)? {
            Poll::Pending => break,
            Poll::Ready(()) if buffer.filled().is_empty() => return Poll::Ready(Ok(())),
            Poll::Ready(()) => connection.carry(buffer.filled(), buffer.remaining() > 0),
        }
    }
    let mut wire = connection.wire.borrow_mut();
    if !wire.carried.is_empty() {
        wire.gated = Some(cx.waker().clone());
    }
    Poll::Pending
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
        match &mut socket.stream {
            Stream::Plain(stream) => ready!(Pin::new(stream).poll_read(cx, buffer))?,
            Stream::Tls(stream) => {
                ready!(Pin::new(stream).poll_read(cx, buffer))?;
                // Only a full buffer leaves something of a record behind.
                if buffer.remaining() > 0 {
                    socket.connection.note_opened();
                }
            }
        }
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let passed = socket.connection.pass_fresh(fresh);
        buffer.set_filled(before + passed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
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

    /// Keeps bytes behind the current request that were read to see whether the client has gone.
    /// `is_all` tells that no part of a record is left behind.
    pub(super) fn carry(&self, bytes: &[u8], is_all: bool) {
        self.wire.borrow_mut().carried.extend_from_slice(bytes);
        if is_all {
            self.note_opened();
        }
    }

    /// Counts bytes of TLS that have arrived.
    pub(super) fn note_sealed(&self, bytes: usize) {
        let bytes = bytes as u64;
        let mut wire = self.wire.borrow_mut();
        let wire = &mut *wire;
        wire.sealed += bytes;
        if wire.sealed <= FIRST_BUFFER {
            return;
        }
        let uncounted = if wire.sealed_share.is_some() { bytes } else { wire.sealed };
        let share = wire.sealed_share.get_or_insert_with(|| self.budget.share(Some(self.cut().clone())));
        share.progress(uncounted);
        share.add(uncounted);
    }

    /// Records that everything that has arrived over TLS was passed on.
    pub(super) fn note_opened(&self) {
        let mut wire = self.wire.borrow_mut();
        wire.sealed = 0;
        wire.sealed_share = None;
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
            Waiting::Handshake | Waiting::FirstHead | Waiting::NextHead | Waiting::End => Stage::Unfinished,
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
