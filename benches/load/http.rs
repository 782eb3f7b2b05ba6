//! A minimal HTTP/1.1 client: one persistent connection, and response bodies with a Content-Length
//! or in chunks.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long to wait for more bytes of a response before the request counts as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Response<'a> {
    pub status: u16,
    head: &'a [u8],
    /// The bytes as received. A chunked body still contains the chunk lengths.
    pub body: &'a [u8],
}

/// How the end of a body is found.
#[derive(Clone, Copy)]
enum Length {
    Bytes(usize),
    Chunks,
}

/// The end of a chunked body. JSON and events with JSON never contain these bytes.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

impl Response<'_> {
    /// Returns the cookie that the response sets, as the next request must send it.
    pub fn cookie(&self) -> Option<String> {
        let head = std::str::from_utf8(self.head).ok()?;
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))?;
        value.trim().split(';').next().map(str::to_owned)
    }
}

/// Resolves the address in `http://HOST:PORT`.
pub fn address(url: &str) -> io::Result<SocketAddr> {
    let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    host.to_socket_addrs()?.next().ok_or_else(|| io::Error::other(format!("no address in {url}")))
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// Returns a POST request with a JSON body. `headers` are whole lines, each with its line end.
pub fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and waits for the whole response.
    pub fn send(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.begin(request)?;
        let (status, head, length) = loop {
            self.read_more()?;
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let (status, length) = parse_head(&self.buffer[..end])?;
                break (status, end + 4, length);
            }
        };
        let end = loop {
            match length {
                Length::Bytes(count) if self.buffer.len() >= head + count => break head + count,
                Length::Chunks if self.buffer.ends_with(LAST_CHUNK) => break self.buffer.len(),
                _ => self.read_more()?,
            }
        };
        Ok(Response { status, head: &self.buffer[..head], body: &self.buffer[head..end] })
    }

    /// Sends a request, whose response must be read with [`Connection::more`].
    pub fn begin(&mut self, request: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        self.stream.write_all(request)
    }

    /// Waits for more of a chunked response. Returns everything received so far, or `None` after
    /// the end.
    pub fn more(&mut self) -> io::Result<Option<&[u8]>> {
        if self.buffer.ends_with(LAST_CHUNK) {
            return Ok(None);
        }
        self.read_more()?;
        Ok(Some(&self.buffer))
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut piece = [0; 65536];
        match self.stream.read(&mut piece)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}

/// Returns the status and the length of the body.
fn parse_head(head: &[u8]) -> io::Result<(u16, Length)> {
    let unreadable = || io::Error::other("not an HTTP/1.1 response with a length");
    let head = std::str::from_utf8(head).map_err(|_| unreadable())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => value.trim().parse().ok().map(Length::Bytes),
            "transfer-encoding" => Some(Length::Chunks),
            _ => None,
        }
    });
    Ok((status.ok_or_else(unreadable)?, length.ok_or_else(unreadable)?))
}
