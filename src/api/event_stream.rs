//! Server-sent events (HTML Living Standard, 9.2), for answers that come part by part.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::chat::{ChatRequest, ChatStream, Event, Toll};
use crate::error::{Error, Result};

/// How long the first part is waited for before the head is sent: what fails until then is told by a status.
const HEAD_WAITS: Duration = Duration::from_secs(5);

/// After so much silence a comment shows that the connection lives. Upstreams may take minutes until they begin.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// A stream whose beginning was waited for.
pub(super) struct Opened {
    pub stream: ChatStream,
    first: Option<Event>,
}

/// Charges and waits for the beginning of the answer, for a while.
pub(super) async fn open(toll: &Toll, request: ChatRequest) -> Result<Opened> {
    let mut stream = toll.stream(request).await?;
    let first = match tokio::time::timeout(HEAD_WAITS, stream.next()).await {
        Ok(Some(Event::Failed(error))) => return Err(error),
        Ok(first) => first,
        Err(_) => None,
    };
    Ok(Opened { stream, first })
}

/// The answer as a stream of events, each as `writer` writes it. Its dropping, when the client leaves, drops the [`ChatStream`].
pub(super) fn respond(
    mut response: HttpResponseBuilder,
    opened: Opened,
    writer: impl FnMut(Event) -> Bytes + 'static,
) -> HttpResponse {
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        // Proxies of the nginx kind would keep the parts together.
        .insert_header(("X-Accel-Buffering", "no"));
    let body = Body { stream: opened.stream, first: opened.first, has_ended: false };
    response.streaming(stream::unfold((body, writer), |(mut body, mut writer)| async move {
        let bytes = body.next(&mut writer).await?;
        Some((bytes, (body, writer)))
    }))
}

/// A stream on its way to the client.
struct Body {
    stream: ChatStream,
    first: Option<Event>,
    /// The client was told how it ended.
    has_ended: bool,
}

impl Body {
    /// What is sent next; `None` after the end. Events that come to nothing are left out, but not for longer than a
    /// connection may be silent.
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
            // An end without a word must not look like a good one: an error here cuts the connection.
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

/// One event, with its name if it has one.
pub(super) fn event(name: Option<&str>, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    match name {
        Some(name) => format!("event: {name}\ndata: {data}\n\n").into(),
        None => format!("data: {data}\n\n").into(),
    }
}
