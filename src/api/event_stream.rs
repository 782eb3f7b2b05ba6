//! Server-sent events (HTML Living Standard, section 9.2), for answers that are sent part by part.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::chat::{ChatRequest, ChatStream, Event, Toll};
use crate::error::{Error, Result};

/// How long the first part is waited for before the head is sent. A failure within this time is
/// reported by the status.
const HEAD_WAITS: Duration = Duration::from_secs(5);

/// The longest silence before a comment is sent, which shows that the connection is alive.
/// Upstreams may take minutes to begin.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// A stream, after the wait for its first event.
pub(super) struct Opened {
    /// The rest of the stream, and what is known at its beginning.
    pub stream: ChatStream,
    first: Option<Event>,
}

/// Charges the message and waits up to [`HEAD_WAITS`] for the answer to begin.
pub(super) async fn open(toll: &Toll, request: ChatRequest) -> Result<Opened> {
    let mut stream = toll.stream(request).await?;
    let first = match tokio::time::timeout(HEAD_WAITS, stream.next()).await {
        Ok(Some(Event::Failed(error))) => return Err(error),
        Ok(first) => first,
        Err(_) => None,
    };
    Ok(Opened { stream, first })
}

/// Responds with the answer as a stream of events, each written by `writer`. When the client
/// disconnects, actix drops the response, and with it the [`ChatStream`].
pub(super) fn respond(
    mut response: HttpResponseBuilder,
    opened: Opened,
    writer: impl FnMut(Event) -> Bytes + 'static,
) -> HttpResponse {
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        // Otherwise nginx and similar proxies would buffer the parts.
        .insert_header(("X-Accel-Buffering", "no"));
    let body = EventBody { stream: opened.stream, first: opened.first, has_ended: false };
    response.streaming(stream::unfold((body, writer), |(mut body, mut writer)| async move {
        let bytes = body.next(&mut writer).await?;
        Some((bytes, (body, writer)))
    }))
}

/// The body of a response that is being streamed.
struct EventBody {
    stream: ChatStream,
    first: Option<Event>,
    /// Whether the client has received the last event, `Done` or `Failed`.
    has_ended: bool,
}

impl EventBody {
    /// Returns the next bytes to send; `None` after the end. Events for which `writer` writes
    /// nothing are skipped. A keep-alive comment is sent if there is nothing else to send for
    /// [`KEEP_ALIVE_EVERY`].
    async fn next(&mut self, writer: &mut impl FnMut(Event) -> Bytes) -> Option<Result<Bytes, Error>> {
        let silent_until = Instant::now() + KEEP_ALIVE_EVERY;
        loop {
            let event = match self.first.take() {
                Some(event) => Some(event),
                None if self.has_ended => return None,
                None => match timeout_at(silent_until, self.stream.next()).await {
                    Ok(event) => event,
                    Err(_) => return Some(Ok(Bytes::from_static(KEEP_ALIVE))),
                },
            };
            // A stream that ends without `Done` or `Failed` must not look complete, so an error
            // here aborts the connection.
            let cut = || Error::Internal("a stream ended without saying how".to_owned());
            let Some(event) = event else { return Some(Err(cut())) };
            self.has_ended = matches!(event, Event::Done(_) | Event::Failed(_));
            let bytes = writer(event);
            if !bytes.is_empty() {
                return Some(Ok(bytes));
            }
        }
    }
}

/// Writes one event, with its name if it has one.
pub(super) fn event(name: Option<&str>, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    match name {
        Some(name) => format!("event: {name}\ndata: {data}\n\n").into(),
        None => format!("data: {data}\n\n").into(),
    }
}
