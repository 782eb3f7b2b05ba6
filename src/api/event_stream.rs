//! Server-sent events (HTML Living Standard, section 9.2), for answers that are sent part by part.

use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use serde::Serialize;

use crate::chat::{ChatRequest, ChatStream, Event, Toll};
use crate::clock::Alarm;
use crate::error::{Error, Result};
use crate::logging::RequestNotes;

/// How long the first part is waited for before the head is sent. A failure within this time is
/// reported by the status.
const HEAD_WAITS: Duration = Duration::from_secs(5);

/// The longest silence before a keep-alive is sent, which shows that the connection is alive.
/// Upstreams may take minutes to begin.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// The memory that is taken for an event at once, in bytes.
const A_USUAL_EVENT: usize = 384;

/// A keep-alive that clients skip whatever their protocol: a comment.
pub(super) const COMMENT: &[u8] = b": keep-alive\n\n";

/// A stream, after the wait for its first event.
pub(super) struct Opened {
    /// The rest of the stream, and what is known at its beginning.
    pub stream: ChatStream,
    first: Option<Event>,
    notes: RequestNotes,
}

/// Charges the message and waits up to [`HEAD_WAITS`] for the answer to begin.
pub(super) async fn open(toll: &Toll, request: ChatRequest) -> Result<Opened> {
    let notes = request.notes.clone();
    let mut stream = toll.stream(request).await?;
    let first = match tokio::time::timeout(HEAD_WAITS, stream.next()).await {
        Ok(Some(Event::Failed(error))) => return Err(error),
        Ok(first) => first,
        Err(_) => None,
    };
    Ok(Opened { stream, first, notes })
}

/// Responds with the answer as a stream of events, each written by `writer`, and `keep_alive` in
/// silences. When the client disconnects, actix drops the response, and with it the [`ChatStream`].
pub(super) fn respond(
    mut response: HttpResponseBuilder,
    opened: Opened,
    keep_alive: &'static [u8],
    writer: impl FnMut(Event) -> Bytes + 'static,
) -> HttpResponse {
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        // Otherwise nginx and similar proxies would buffer the parts.
        .insert_header(("X-Accel-Buffering", "no"));
    let body = EventBody {
        stream: opened.stream,
        first: opened.first,
        notes: opened.notes,
        keep_alive,
        alarm: Alarm::default(),
        has_ended: false,
    };
    response.streaming(stream::unfold((body, writer), |(mut body, mut writer)| async move {
        let bytes = body.next(&mut writer).await?;
        Some((bytes, (body, writer)))
    }))
}

/// The body of a response that is being streamed.
struct EventBody {
    stream: ChatStream,
    first: Option<Event>,
    notes: RequestNotes,
    keep_alive: &'static [u8],
    alarm: Alarm,
    /// Whether the client has received the last event, `Done` or `Failed`.
    has_ended: bool,
}

impl EventBody {
    /// Returns the next bytes to send; `None` after the end. Events for which `writer` writes
    /// nothing are skipped. A keep-alive is sent if there is nothing else to send for
    /// [`KEEP_ALIVE_EVERY`].
    async fn next(&mut self, writer: &mut impl FnMut(Event) -> Bytes) -> Option<Result<Bytes, Error>> {
        let silent_until = Instant::now() + KEEP_ALIVE_EVERY;
        loop {
            let event = match self.first.take() {
                Some(event) => Some(event),
                None if self.has_ended => return None,
                None => match self.alarm.until(silent_until, self.stream.next()).await {
                    Some(event) => event,
                    None => return Some(Ok(Bytes::from_static(self.keep_alive))),
                },
            };
            // A stream that ends without `Done` or `Failed` must not look complete, so an error
            // here aborts the connection.
            let cut = || Error::Internal("a stream ended without saying how".to_owned());
            let Some(event) = event else { return Some(Err(cut())) };
            self.has_ended = matches!(event, Event::Done(_) | Event::Failed(_));
            if let Event::Failed(error) = &event {
                self.log(error);
            }
            let bytes = writer(event);
            if !bytes.is_empty() {
                return Some(Ok(bytes));
            }
        }
    }
}

impl EventBody {
    /// Logs why a stream has failed. The line of its request says nothing of it: that was written
    /// when the response began.
    fn log(&self, error: &Error) {
        let (notes, id, reason) = (&self.notes, self.notes.id(), error.slug());
        error.log(Some(id));
        log::info!(
            request_id = id, user_id = notes.user_id(), chat_id = notes.chat_id(), reason = reason;
            "a stream that had begun has failed: {reason}{notes}, request {id}"
        );
    }
}

/// Writes one event, with its name if it has one.
pub(super) fn event(name: Option<&str>, data: &impl Serialize) -> Bytes {
    let mut event = Vec::new();
    add_event(&mut event, name, data);
    event.into()
}

/// Adds one event to those that are sent together.
pub(super) fn add_event(events: &mut Vec<u8>, name: Option<&str>, data: &impl Serialize) {
    events.reserve(A_USUAL_EVENT);
    if let Some(name) = name {
        for part in ["event: ", name, "\n"] {
            events.extend_from_slice(part.as_bytes());
        }
    }
    events.extend_from_slice(b"data: ");
    if let Err(error) = serde_json::to_writer(&mut *events, data) {
        log::error!("an event could not be written: {error}");
    }
    events.extend_from_slice(b"\n\n");
}
