//! `POST /v1/chat/completions` of OpenAI.

mod request;
mod write;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::{Map, Value};

use self::request::CompletionRequest;
#[cfg(test)]
pub(super) use self::request::READ;
pub(super) use self::request::{NOT_OFFERED, PASSED_ON};
use self::write::{Chunks, completion};
use super::dialect::{Dialect, Parsed};
use crate::chat::{Event, Receipt, Started};
use crate::domain::Endpoint;
use crate::error::Result;

/// The dialect of chat completions.
pub(in crate::api) struct ChatCompletions {
    /// Whether a stream ends with the usage.
    include_usage: bool,
}

impl Dialect for ChatCompletions {
    const ENDPOINT: Endpoint = Endpoint::ChatCompletions;

    type Body = Map<String, Value>;

    fn parse(body: Map<String, Value>, _: &HttpRequest) -> Result<Parsed<ChatCompletions>> {
        let request = CompletionRequest::parse(body)?;
        let fingerprint = request.fingerprint();
        let CompletionRequest { question, message, in_parts, include_usage } = request;
        Ok(Parsed { dialect: ChatCompletions { include_usage }, question, message, in_parts, fingerprint })
    }

    fn whole(self, mut response: HttpResponseBuilder, receipt: Receipt) -> HttpResponse {
        response.json(completion(&receipt))
    }

    fn events(self, started: &Started) -> impl FnMut(Event) -> Bytes + 'static {
        let mut chunks = Chunks::new(started, self.include_usage);
        move |event| chunks.write(event)
    }
}
