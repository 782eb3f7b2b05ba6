//! `POST /v1/responses` of OpenAI and Open Responses, and the responses that are stored.

mod custom;
mod events;
mod foreign;
mod input;
mod item;
mod names;
mod request;
pub(in crate::api) mod resource;
mod shape;
mod stored;
mod tools;
mod write;

use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::{Map, Value, json};

use self::events::Events;
use self::request::ResponseRequest;
pub(super) use self::request::{INCLUDED, NEVER_THERE, NOT_OFFERED};
use self::shape::Shape;
use super::count::Countable;
use super::dialect::{Dialect, Parsed};
use super::fields::invalid;
use crate::chat::{Chain, Event, Receipt, Started, Toll};
use crate::domain::Endpoint;
use crate::error::Result;
use crate::responder::Question;

/// The dialect of responses.
pub(in crate::api) struct Responses {
    shape: Shape,
    chain: Chain,
}

impl Dialect for Responses {
    const ENDPOINT: Endpoint = Endpoint::Responses;

    type Body = Map<String, Value>;

    fn parse(body: Map<String, Value>, http: &HttpRequest) -> Result<Parsed<Responses>> {
        let toll = http.app_data::<web::Data<Toll>>();
        let stores = toll.is_some_and(|toll| toll.stores_responses());
        let ResponseRequest { question, message, in_parts, shape, chain, fingerprint } =
            ResponseRequest::parse(body, stores)?;
        Ok(Parsed { dialect: Responses { shape, chain }, question, message, in_parts, fingerprint })
    }

    fn take_chain(&mut self) -> Chain {
        std::mem::take(&mut self.chain)
    }

    fn whole(self, mut response: HttpResponseBuilder, receipt: Receipt) -> HttpResponse {
        response.json(write::Response::ended(&receipt, &self.shape))
    }

    fn events(self, started: &Started) -> impl FnMut(Event) -> Bytes + 'static {
        let mut events = Events::new(started, self.shape);
        move |event| events.write(event)
    }
}

impl Countable for Responses {
    fn countable(mut body: Map<String, Value>) -> Result<Question> {
        // Nothing is stored, so that the input may be as long as the body.
        body.insert("store".to_owned(), false.into());
        let ResponseRequest { question, chain, .. } = ResponseRequest::parse(body, true)?;
        if chain.previous.is_some() {
            let reason = "leave it out, and give the whole conversation as the \"input\"";
            return Err(invalid("previous_response_id", reason));
        }
        if chain.assemble.is_some() {
            return Err(invalid("input", "give each item itself: an item_reference is not looked up here"));
        }
        Ok(question)
    }

    fn counted(tokens: i64) -> Value {
        json!({ "object": "response.input_tokens", "input_tokens": tokens })
    }
}
