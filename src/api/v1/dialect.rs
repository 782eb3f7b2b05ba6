//! What the dialects have in common: who pays, limits, the body, the charge, and the headers of the
//! answer.

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::de::DeserializeOwned;

use super::limits::with_limits;
use crate::api::admit::{Arrived, auth_token};
use crate::api::answer::{ChatAnswer, answer};
use crate::api::event_stream;
use crate::api::idempotency::key_of;
use crate::api::large_body::{self, Large, LargeBodies};
use crate::api::receipt::{add_receipt, add_start};
use crate::auth::{Auth, Credentials};
use crate::chat::{Chain, ChatRequest, Event, Prompt, Receipt, Started, Toll};
use crate::domain::{Endpoint, Fingerprint, TokenDigest};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::responder::Question;

/// A dialect: the form of a request and of its answer at one endpoint. A value holds what the
/// answer needs to know of its request.
pub(in crate::api) trait Dialect: Sized + 'static {
    /// The endpoint.
    const ENDPOINT: Endpoint;

    /// The most objects, lists and elements that a body may have.
    const MOST_VALUES: usize = 20_000;

    /// What shows in a silent stream that the connection is alive.
    const KEEP_ALIVE: &'static [u8] = event_stream::COMMENT;

    /// The body of a request, as it is parsed.
    type Body: DeserializeOwned + Send + 'static;

    /// Translates a request.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field, if a field has a wrong type or value, or is a field of
    /// the dialect that is not offered.
    fn parse(body: Self::Body, http: &HttpRequest) -> Result<Parsed<Self>>;

    /// Takes what the request stores and continues. Most dialects store nothing but the chat.
    fn take_chain(&mut self) -> Chain {
        Chain::default()
    }

    /// Writes a whole answer into a response, whose headers are complete.
    fn whole(self, response: HttpResponseBuilder, receipt: Receipt) -> HttpResponse;

    /// Returns the writer of a stream's events. It writes nothing for events that clients need not
    /// get.
    fn events(self, started: &Started) -> impl FnMut(Event) -> Bytes + 'static;
}

/// A request in this server's own form.
pub(in crate::api) struct Parsed<D> {
    /// What the answer needs to know of the request.
    pub dialect: D,
    /// The question for the model.
    pub question: Question,
    /// The text that the user's chats show.
    pub message: String,
    /// Whether the client wants a stream.
    pub in_parts: bool,
    /// Identifies the request, whichever way its answer is sent. A retry under the same key must
    /// have the same one.
    pub fingerprint: Fingerprint,
}

/// Charges a request in a dialect and returns its answer.
pub(in crate::api) async fn create<D: Dialect>(
    auth: web::Data<Auth>,
    toll: web::Data<Toll>,
    places: web::Data<LargeBodies>,
    credentials: Credentials,
    http: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let auth_token = auth_token(&auth, credentials, || None, &http)?;
    let counted = auth.count_message(auth_token, &http).await?;
    let answered = match counted.verdict {
        Ok(()) => {
            let body = read::<D>(&auth, auth_token, &places, &http, payload).await?;
            respond::<D>(&auth, &toll, auth_token, body, &http).await
        }
        Err(error) => Err(error),
    };
    Ok(with_limits(answered, counted.allowed, D::ENDPOINT))
}

async fn read<D: Dialect>(
    auth: &Auth,
    auth_token: TokenDigest,
    places: &LargeBodies,
    http: &HttpRequest,
    payload: web::Payload,
) -> Result<Arrived<Large<D::Body>>> {
    let large_for = if large_body::may_be_large(http) {
        // The user must be known first: only a valid auth token may make the server read so much.
        Some(auth.current_user(auth_token).await?.user.id)
    } else {
        None
    };
    Arrived::new(large_body::json(http, payload, places, large_for, D::MOST_VALUES).await)
}

async fn respond<D: Dialect>(
    auth: &Auth,
    toll: &Toll,
    auth_token: TokenDigest,
    body: Arrived<Large<D::Body>>,
    http: &HttpRequest,
) -> Result<HttpResponse> {
    let asked = body.admit(auth, auth_token, http, |body| parse::<D>(auth_token, body, http)).await?;
    let answer = answer(auth, toll, asked.request, asked.in_parts).await?;
    let mut response = HttpResponse::Ok();
    Ok(match answer {
        ChatAnswer::Whole(receipt) => {
            add_receipt(&mut response, &receipt);
            asked.dialect.whole(response, receipt)
        }
        ChatAnswer::InParts(opened) => {
            add_start(&mut response, &opened.stream.started);
            let events = asked.dialect.events(&opened.stream.started);
            event_stream::respond(response, opened, D::KEEP_ALIVE, events)
        }
    })
}

struct Asked<D> {
    dialect: D,
    request: ChatRequest,
    in_parts: bool,
}

fn parse<D: Dialect>(auth_token: TokenDigest, body: Large<D::Body>, http: &HttpRequest) -> Result<Asked<D>> {
    let mut parsed = D::parse(body.json.map_err(Error::Invalid)?, http)?;
    let key = key_of(http)?.map(|key| (key, parsed.fingerprint));
    let request = ChatRequest {
        endpoint: D::ENDPOINT,
        auth_token,
        message: parsed.message,
        prompt: Prompt::Whole(Box::new(parsed.question)),
        key,
        notes: RequestNotes::of(http),
        chain: parsed.dialect.take_chain(),
        memory: body.memory,
    };
    Ok(Asked { dialect: parsed.dialect, request, in_parts: parsed.in_parts })
}
