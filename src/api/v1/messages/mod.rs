//! `POST /v1/messages` of Anthropic, and `POST /v1/messages/count_tokens`.

mod content;
mod events;
mod request;
mod tools;
mod turns;
mod write;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::{Map, Value, json};

use self::events::Events;
use self::request::MessagesRequest;
pub(super) use self::request::{IGNORED, NOT_OFFERED};
use self::write::{Stops, message};
use super::count::Countable;
use super::dialect::{Dialect, Parsed};
use crate::chat::{Event, Receipt, Started};
use crate::domain::{Endpoint, RequestId};
use crate::error::Result;
use crate::http::request_id_of;
use crate::responder::Question;

/// The dialect of Messages.
pub(in crate::api) struct Messages {
    /// Whether the answer shows what the model thought.
    shows_thinking: bool,
    /// The client's stop sequences.
    stops: Stops,
    /// About how many tokens the prompt has. A stream says it at its beginning, when the model has
    /// not counted them. It depends on nothing but the request, so that a replay says the same.
    prompt_tokens: i64,
    /// The request, which an error in a stream names.
    request_id: RequestId,
}

impl Dialect for Messages {
    const ENDPOINT: Endpoint = Endpoint::Messages;

    // Some clients of the protocol take a stream for dead that has only comments.
    const KEEP_ALIVE: &'static [u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

    type Body = Map<String, Value>;

    fn parse(body: Map<String, Value>, http: &HttpRequest) -> Result<Parsed<Messages>> {
        let request = MessagesRequest::parse(body)?;
        let fingerprint = request.fingerprint();
        let stops = Stops(request.stops());
        let MessagesRequest { question, message, in_parts, shows_thinking } = request;
        let prompt_tokens = if in_parts { question.prompt_estimate() } else { 0 };
        let dialect = Messages { shows_thinking, stops, prompt_tokens, request_id: request_id_of(http) };
        Ok(Parsed { dialect, question, message, in_parts, fingerprint })
    }

    fn whole(self, mut response: HttpResponseBuilder, receipt: Receipt) -> HttpResponse {
        response.json(message(&receipt, self.shows_thinking, &self.stops))
    }

    fn events(self, started: &Started) -> impl FnMut(Event) -> Bytes + 'static {
        let mut events = Events::new(started, self);
        move |event| events.write(event)
    }
}

impl Countable for Messages {
    fn countable(body: Map<String, Value>) -> Result<Question> {
        Ok(MessagesRequest::countable(body)?.question)
    }

    fn counted(tokens: i64) -> Value {
        json!({ "input_tokens": tokens })
    }
}
