//! One connection of a scripted upstream.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Request, Shared, Step};

/// A body of this many bytes or more is not parsed, because no test reads it.
const LONG: usize = 1024 * 1024;

/// What the connection does after a script.
enum Then {
    NextRequest,
    Close,
    Reset,
}

/// Serves requests, one after the other, until either side ends the connection.
pub(super) async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut incoming = Incoming { reader, buffer: Vec::new() };
    let mut numbers = Vec::new();
    while let Some(mut request) = incoming.request().await {
        request.connection = connection;
        let script = if request.path.ends_with("/models") {
            shared.probes.fetch_add(1, Ordering::Relaxed);
            shared.models.lock().unwrap().clone()
        } else {
            let script = shared.next_script(&request.body);
            shared.requests.send_modify(|requests| {
                numbers.push(requests.len());
                requests.push(request);
            });
            script
        };
        let then = tokio::select! {
            biased;
            then = perform(script, &mut writer) => then,
            () = incoming.until_gone() => break,
        };
        match then {
            Ok(Then::NextRequest) => {}
            Ok(Then::Close) => return,
            Ok(Then::Reset) => return writer.as_ref().set_zero_linger().unwrap(),
            // The client has gone.
            Err(_) => break,
        }
    }
    shared
        .requests
        .send_modify(|requests| numbers.iter().for_each(|number| requests[*number].client_is_gone = true));
}

async fn perform(script: Vec<Step>, writer: &mut OwnedWriteHalf) -> io::Result<Then> {
    for step in script {
        match step {
            Step::Raw(bytes) => writer.write_all(&bytes).await?,
            Step::RawForever(bytes) => loop {
                writer.write_all(&bytes).await?;
                tokio::task::yield_now().await;
            },
            Step::Chunk(bytes) => writer.write_all(&encoded(&bytes)).await?,
            Step::Forever(bytes) => loop {
                writer.write_all(&encoded(&bytes)).await?;
                // Without this, the task would never notice that the client has gone.
                tokio::task::yield_now().await;
            },
            Step::Drip(bytes) => loop {
                writer.write_all(&encoded(&bytes)).await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            },
            Step::Wait(signal) => signal.wait().await,
            Step::Hang => std::future::pending().await,
            Step::End => writer.write_all(b"0\r\n\r\n").await?,
            Step::Close => return Ok(Then::Close),
            Step::Reset => return Ok(Then::Reset),
        }
    }
    Ok(Then::NextRequest)
}

fn encoded(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

struct Incoming {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Incoming {
    /// Reads the next request. `None` if the client has gone.
    async fn request(&mut self) -> Option<Request> {
        let head = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break self.take(end + 4),
                None => self.more().await?,
            }
        };
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut request = Request { path, headers, body: Value::Null, connection: 0, client_is_gone: false };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            self.more().await?;
        }
        let body = self.take(length);
        // Parsing a long body would delay the other connections, and no test reads it.
        if body.len() < LONG {
            request.body = serde_json::from_slice(&body).unwrap_or_default();
        }
        Some(request)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.buffer.drain(..length).collect()
    }

    async fn more(&mut self) -> Option<()> {
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(1..) => Some(()),
            _ => None,
        }
    }

    async fn until_gone(&mut self) {
        while self.more().await.is_some() {}
    }
}
