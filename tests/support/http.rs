//! A small HTTP/1.1 client over a plain socket or TLS. It keeps connections alive, never retries,
//! can send any bytes, and distinguishes a response that never began from one that was cut short.
//! It compares what it gets with the document of the API.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::documented::{self, Seen};
use super::wire::{Connector, Wire};

/// Time limit for each read and write, longer than the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of a request in which its first line is looked for.
const MOST_OF_A_LINE: usize = 4096;

/// A connection to the server. It is opened again if the server has closed it between two requests.
pub struct Client {
    address: SocketAddr,
    connector: Connector,
    connection: Option<BufReader<Wire>>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The reason why there is no complete response.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// The server does not accept the connection.
    Refused,
    /// The connection ended before the first byte of a response.
    NoAnswer,
    /// The response began, but is incomplete or malformed.
    HalfAnswer(String),
    /// Nothing arrived within [`PATIENCE`].
    Late,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns what is compared with the document of the API.
    pub fn seen(&self) -> Seen<'_> {
        Seen { status: self.status, headers: &self.headers, body: &self.body }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// Returns the text of an error in the contract's form: a JSON object with the one key `error`.
    pub fn error(&self) -> String {
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "the error is not JSON: {self:?}");
        let body = self.json();
        assert_eq!(body.as_object().map(|keys| keys.len()), Some(1), "there must be one key: {self:?}");
        body["error"].as_str().unwrap_or_else(|| panic!("the error is not a text: {self:?}")).to_owned()
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client::over(address, Connector::Plain)
    }

    /// Returns a client that makes its connections in this way.
    pub fn over(address: SocketAddr, connector: Connector) -> Client {
        Client { address, connector, connection: None }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request with a JSON body and reads the response.
    pub fn post(&mut self, path: &str, token: Option<&str>, body: &Value) -> Result<Answer, Broken> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    pub fn get(&mut self, path: &str, token: &str) -> Result<Answer, Broken> {
        self.send("GET", path, &[("Authorization", &format!("Bearer {token}"))], b"")
    }

    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Broken> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes)
    }

    /// Sends any bytes and reads one response.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<Answer, Broken> {
        self.raw_in_parts(std::iter::once(bytes))
    }

    /// Sends the parts one by one, as slowly as the iterator yields them, and reads one response.
    pub fn raw_in_parts<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) -> Result<Answer, Broken> {
        let mut connection = self.connect()?;
        let mut begun = Vec::new();
        for part in parts {
            if !begun.contains(&b'\n') {
                begun.extend_from_slice(&part[..part.len().min(MOST_OF_A_LINE)]);
            }
            // A server may respond, and close, before it has read everything. Its response must
            // still be read.
            if connection.get_mut().write_all(part).is_err() {
                break;
            }
        }
        let answer = read_answer(&mut connection)?;
        documented::check_raw(&begun, answer.seen());
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn connect(&mut self) -> Result<BufReader<Wire>, Broken> {
        if let Some(connection) = self.connection.take()
            && still_open(connection.get_ref().socket())
        {
            return Ok(connection);
        }
        let stream = TcpStream::connect(self.address).map_err(|_| Broken::Refused)?;
        let prepared = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        prepared.and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(|_| Broken::NoAnswer)?;
        self.connector.over(stream).map(BufReader::new).map_err(|_| Broken::NoAnswer)
    }
}

/// Returns whether an idle connection can be used again: the server has not closed it, and has sent
/// nothing on it.
fn still_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut byte));
    let idle = matches!(looked, Err(error) if error.kind() == ErrorKind::WouldBlock);
    idle && stream.set_nonblocking(false).is_ok()
}

fn read_answer(connection: &mut BufReader<Wire>) -> Result<Answer, Broken> {
    match connection.fill_buf() {
        Ok([]) => return Err(Broken::NoAnswer),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Err(Broken::Late);
        }
        Err(_) => return Err(Broken::NoAnswer),
    }
    let status_line = read_line(connection)?;
    let status: u16 = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| Broken::HalfAnswer(format!("not a status line: {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection)?;
        if line.is_empty() {
            break;
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| Broken::HalfAnswer(format!("not a header: {line:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if status == 100 {
        return read_answer(connection);
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    answer.body = read_body(connection, &answer)?;
    Ok(answer)
}

fn read_body(connection: &mut BufReader<Wire>, answer: &Answer) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    if answer.status == 204 || answer.status == 304 {
        return Ok(body);
    }
    if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let size = read_line(connection)?;
            let size = u64::from_str_radix(&size, 16)
                .map_err(|_| Broken::HalfAnswer(format!("not the size of a chunk: {size:?}")))?;
            read_exactly(connection, size, &mut body)?;
            read_line(connection)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match answer.header("content-length").map(str::parse) {
        Some(Ok(length)) => read_exactly(connection, length, &mut body)?,
        Some(Err(_)) => return Err(Broken::HalfAnswer("invalid Content-Length".to_owned())),
        None => {
            connection.read_to_end(&mut body).map_err(|error| Broken::HalfAnswer(error.to_string()))?;
        }
    }
    Ok(body)
}

fn read_exactly(connection: &mut BufReader<Wire>, length: u64, body: &mut Vec<u8>) -> Result<(), Broken> {
    match connection.take(length).read_to_end(body) {
        Ok(read) if read as u64 == length => Ok(()),
        Ok(read) => Err(Broken::HalfAnswer(format!("{read} of {length} bytes of the body"))),
        Err(error) => Err(Broken::HalfAnswer(error.to_string())),
    }
}

fn read_line(connection: &mut BufReader<Wire>) -> Result<String, Broken> {
    let mut line = Vec::new();
    match connection.read_until(b'\n', &mut line) {
        Ok(_) if line.ends_with(b"\r\n") => Ok(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()),
        Ok(_) => Err(Broken::HalfAnswer(format!("cut after {:?}", String::from_utf8_lossy(&line)))),
        Err(error) => Err(Broken::HalfAnswer(error.to_string())),
    }
}
