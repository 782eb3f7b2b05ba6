//! As much of HTTP/1.1 as a load client needs: one connection that is kept, bodies with a Content-Length.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// After this long an answer counts as lost.
const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Response<'a> {
    pub status: u16,
    head: &'a [u8],
    pub body: &'a [u8],
}

impl Response<'_> {
    /// The cookie that it sets, as it is sent back.
    pub fn cookie(&self) -> Option<String> {
        let head = std::str::from_utf8(self.head).ok()?;
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))?;
        value.trim().split(';').next().map(str::to_owned)
    }
}

/// The address in `http://HOST:PORT`.
pub fn address(url: &str) -> io::Result<SocketAddr> {
    let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    host.to_socket_addrs()?.next().ok_or_else(|| io::Error::other(format!("no address in {url}")))
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A POST of JSON; `headers` are whole lines, each with its line end.
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

    /// Sends a request and waits for the whole answer.
    pub fn send(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let (status, head, length) = loop {
            self.read_more()?;
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let (status, length) = parse_head(&self.buffer[..end])?;
                break (status, end + 4, length);
            }
        };
        while self.buffer.len() < head + length {
            self.read_more()?;
        }
        Ok(Response { status, head: &self.buffer[..head], body: &self.buffer[head..head + length] })
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

/// The status and the length of the body.
fn parse_head(head: &[u8]) -> io::Result<(u16, usize)> {
    let unreadable = || io::Error::other("not an HTTP/1.1 answer with a Content-Length");
    let head = std::str::from_utf8(head).map_err(|_| unreadable())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    Ok((status.ok_or_else(unreadable)?, length.ok_or_else(unreadable)?))
}
