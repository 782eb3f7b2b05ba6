//! TLS handshakes.
//!
//! A handshake costs the server a signature, which takes as long as many requests. So networks take
//! turns in having theirs computed, and at most half of the workers compute one at a time: a flood
//! of handshakes delays neither other networks nor requests on open connections.

use std::io;
use std::net::IpAddr;

use actix_web::rt::net::TcpStream;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::FIRST_BUFFER;
use super::registry::Network;
use crate::throttle::{FairSemaphore, SemaphoreBounds};
use crate::tls::Tls;

/// The first byte of a connection whose client speaks TLS: a record of a handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// What a client sends first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Tls,
    /// Text, such as a request without TLS.
    Text,
    /// Neither of these, or nothing.
    Other,
}

impl Greeting {
    /// Waits for the first byte, and leaves it where it is.
    pub(super) async fn of(stream: &TcpStream) -> io::Result<Greeting> {
        let mut byte = [0];
        let read = stream.peek(&mut byte).await?;
        Ok(match byte {
            _ if read == 0 => Greeting::Other,
            [HANDSHAKE_RECORD] => Greeting::Tls,
            [byte] if byte.is_ascii_graphic() || byte.is_ascii_whitespace() => Greeting::Text,
            _ => Greeting::Other,
        })
    }
}

/// Makes the handshakes of all workers.
#[derive(Clone)]
pub(super) struct Handshakes {
    tls: Tls,
    turns: FairSemaphore<Network>,
}

impl Handshakes {
    /// Makes handshakes with this certificate.
    pub(super) fn new(tls: Tls, workers: usize) -> Handshakes {
        // The number of connections limits how many wait, and each has a deadline.
        let bounds = SemaphoreBounds {
            permits: (workers / 2).max(1),
            waiting: usize::MAX,
            waiting_per_key: usize::MAX,
            leave_room: false,
        };
        Handshakes { tls, turns: FairSemaphore::new(bounds) }
    }

    /// Makes the handshake of a connection.
    ///
    /// # Errors
    /// Fails if the client does not keep to TLS 1.2 or 1.3, or disconnects. It has got an alert.
    pub(super) async fn accept<S>(&self, stream: S, peer: IpAddr) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let turn = self.turns.acquire(Network::of(peer)).await;
        let turn = turn.map_err(|_| io::Error::other("too many handshakes wait"))?;
        // This computes the signature.
        let rest = begun.into_stream_with(self.tls.server_config(), |connection| {
            // What the client does not read waits in the kernel and in the response, not here.
            connection.set_buffer_limit(usize::try_from(FIRST_BUFFER).ok());
        });
        drop(turn);
        rest.await
    }
}
