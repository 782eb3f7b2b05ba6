//! Server-sent events (HTML Living Standard, 9.2), for answers that come part by part.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use serde::Serialize;

use crate::error::Result;
use crate::metering::{ChatRequest, ChatStream, Event, Toll};

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
    let state = (opened.stream, opened.first, writer);
    response.streaming(stream::unfold(state, |(mut stream, first, mut writer)| async move {
        let event = match first {
            Some(event) => event,
            None => match tokio::time::timeout(KEEP_ALIVE_EVERY, stream.next()).await {
                Ok(event) => event?,
                Err(_) => {
                    let comment = Bytes::from_static(KEEP_ALIVE);
                    return Some((Ok::<_, actix_web::Error>(comment), (stream, None, writer)));
                }
            },
        };
        let bytes = writer(event);
        Some((Ok(bytes), (stream, None, writer)))
    }))
}

/// One event, with its name if it has one.
pub(super) fn event(name: Option<&str>, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    match name {
        Some(name) => format!("event: {name}\ndata: {data}\n\n").into(),
        None => format!("data: {data}\n\n").into(),
    }
}
