//! Connects one request and its response with the connection that they use.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::ConnectionType;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::web::Bytes;

use super::Connection;
use super::framing::BodyLength;
use crate::throttle::MemoryShare;

/// A response up to this length is written at once. The dispatcher gets a longer one in parts of
/// this length: otherwise it would copy all of it into its buffer, which never shrinks.
pub(super) const PART: usize = 4 * 1024;
const SHORT: u64 = PART as u64;

/// A request that is being handled. Dropping it, as when a handler fails, ends the connection.
pub(in crate::server) struct Exchange {
    connection: Option<Rc<Connection>>,
    keep_alive: bool,
}

impl Exchange {
    /// Begins after the head has arrived. Without a connection, as in tests of the routes, it does
    /// nothing.
    pub(crate) fn begin(request: &ServiceRequest) -> Exchange {
        let connection = request.conn_data::<Rc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.begin(body_of(request.head()));
        }
        let keep_alive = request.head().connection_type() == ConnectionType::KeepAlive;
        Exchange { connection, keep_alive }
    }

    /// Wraps the response, which from now on reports its progress to the connection.
    pub(crate) fn respond(mut self, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let Some(connection) = self.connection.take() else { return response };
        // actix-http would wait for the rest of a body without a limit: docs/decisions.md.
        if !connection.has_whole_request() || connection.is_a_burden() {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        let keep = self.keep_alive && response.response().head().keep_alive();
        let length = match response.response().body().size() {
            BodySize::None | BodySize::Sized(..=SHORT) => {
                connection.finish(keep);
                return response;
            }
            BodySize::Sized(length) => Some(length),
            BodySize::Stream => None,
        };
        connection.respond(length);
        response.map_body(|_, body| BoxBody::new(Outgoing::new(body, connection, keep)))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.finish(false);
        }
    }
}

/// Returns the kind of body that follows a head, by the rules of actix-http's decoder.
fn body_of(head: &RequestHead) -> BodyLength {
    let text = |name| head.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if head.headers().contains_key(header::TRANSFER_ENCODING) {
        BodyLength::Chunked
    } else if text(header::UPGRADE).is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        BodyLength::Endless
    } else if let Some(length) = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()) {
        BodyLength::Known(length)
    } else if head.method == Method::CONNECT {
        BodyLength::Endless
    } else {
        BodyLength::None
    }
}

/// A long response on its way to the client.
struct Outgoing {
    /// The part of the current chunk that is not written yet.
    rest: Bytes,
    /// The source of the rest.
    stream: Option<BoxBody>,
    size: BodySize,
    memory: Option<MemoryShare>,
    connection: Rc<Connection>,
    keep: bool,
}

impl Outgoing {
    fn new(body: BoxBody, connection: Rc<Connection>, keep: bool) -> Outgoing {
        let size = body.size();
        let (rest, stream) = match body.try_into_bytes() {
            Ok(bytes) => (bytes, None),
            Err(stream) => (Bytes::new(), Some(stream)),
        };
        let memory = (!rest.is_empty()).then(|| {
            let mut share = connection.budget.share(Some(connection.cut().clone()));
            share.add(rest.len() as u64);
            share
        });
        Outgoing { rest, stream, size, memory, connection, keep }
    }
}

impl MessageBody for Outgoing {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let outgoing = self.get_mut();
        while outgoing.rest.is_empty() {
            let Some(stream) = &mut outgoing.stream else { return Poll::Ready(None) };
            match ready!(Pin::new(stream).poll_next(cx)) {
                Some(Ok(bytes)) => outgoing.rest = bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let part = outgoing.rest.split_to(outgoing.rest.len().min(PART));
        if let Some(share) = &outgoing.memory {
            share.progress(part.len() as u64);
        }
        Poll::Ready(Some(Ok(part)))
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.connection.finish(self.keep);
    }
}
