//! Connections of clients, plain or over TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Time limit for each read and write of a handshake.
const PATIENCE: Duration = Duration::from_secs(30);

/// The two ways in which the server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// Makes a client's connections.
#[derive(Clone, Debug, Default)]
pub enum Connector {
    #[default]
    Plain,
    Tls(Arc<ClientConfig>),
}

/// A client's connection.
#[derive(Debug)]
pub enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connector {
    /// Connects, and makes the handshake.
    pub fn connect(&self, address: SocketAddr) -> io::Result<Wire> {
        self.over(TcpStream::connect(address)?)
    }

    /// Makes the handshake on an open socket.
    pub fn over(&self, socket: TcpStream) -> io::Result<Wire> {
        let Connector::Tls(config) = self else { return Ok(Wire::Plain(socket)) };
        let limits = (socket.read_timeout()?, socket.write_timeout()?);
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(begin(config), socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        stream.sock.set_read_timeout(limits.0)?;
        stream.sock.set_write_timeout(limits.1)?;
        Ok(Wire::Tls(Box::new(stream)))
    }
}

/// Begins TLS with the server `localhost`.
pub fn begin(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(config.clone(), name).unwrap()
}

/// Returns the first message of a handshake.
pub fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin(config).write_tls(&mut bytes).unwrap();
    bytes
}

impl Wire {
    pub fn socket(&self) -> &TcpStream {
        match self {
            Wire::Plain(socket) => socket,
            Wire::Tls(stream) => &stream.sock,
        }
    }

    /// Ends the client's side, as with a half-closed connection.
    pub fn close_write(&mut self) {
        if let Wire::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Returns the DER of the server's certificate. `None` without TLS.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let Wire::Tls(stream) = self else { return None };
        Some(stream.conn.peer_certificates()?.first()?.to_vec())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(socket) => socket.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}
