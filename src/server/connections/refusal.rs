//! Responses to connections that the server does not serve.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::registry::Full;

/// `Retry-After` if too many connections are open, in seconds.
const RETRY_AFTER: u32 = 5;

/// A response after which the connection ends.
pub(super) struct Refusal {
    status: &'static str,
    text: String,
    retry_after: Option<u32>,
}

impl Refusal {
    /// Names the limit that was reached.
    pub(super) fn full(why: Full) -> Refusal {
        let (status, text) = match why {
            Full::Address(most) => (
                "429 Too Many Requests",
                format!(
                    "Too many connections from your network: all {most} are busy (--max-connections-per-address)"
                ),
            ),
            Full::All(most) => (
                "503 Service Unavailable",
                format!("Too many connections: all {most} are busy (--max-connections)"),
            ),
        };
        Refusal { status, text, retry_after: Some(RETRY_AFTER) }
    }

    /// Answers a client that speaks plain HTTP on a port for TLS.
    pub(super) fn https_only() -> Refusal {
        let text = "This server speaks only HTTPS: begin its address with https://".to_owned();
        Refusal { status: "400 Bad Request", text, retry_after: None }
    }

    /// Sends the response, and lets the client read it.
    pub(super) async fn send(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let body = serde_json::json!({ "error": self.text }).to_string();
        let retry_after = self.retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n"));
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            self.status,
            body.len(),
            retry_after.unwrap_or_default(),
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    }
}
