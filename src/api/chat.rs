//! `POST /chat/`: sends a message and returns its answer.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType};

use super::admit::{Arrived, auth_token};
use super::answer::{ChatAnswer, answer, errors_of_answers};
use super::event_stream::{self, event};
use super::form::{FormBody, MEDIA_TYPES, Sent};
use super::idempotency::{self, key_of};
use super::receipt::{self, add_receipt, add_start};
use crate::auth::{Auth, Credentials};
use crate::chat::{Chain, ChatRequest, Event, Prompt, Toll};
use crate::domain::{Endpoint, FailureReason, Fingerprint, Invalid, Message, TokenDigest};
use crate::error::{Error, Result};
use crate::http::Schema;
use crate::http::operation::{Access, Body, Content, Example, Operation, Success, Tag};
use crate::logging::RequestNotes;

/// The fields are of any type, because a value of a wrong type must not hide the other fields: the
/// contract prescribes the order of the checks.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = NewChat)]
struct ChatBody {
    /// What you say: 1 to 32,000 characters, not all of them blank.
    #[schema(value_type = String, required, min_length = 1, max_length = 32000, pattern = "\\S")]
    message: Option<Value>,
    #[schema(schema_with = any_token)]
    token: Option<Value>,
    /// The conversation that the message continues. Without one it stands alone.
    #[schema(value_type = Option<i64>)]
    conversation_id: Option<Value>,
    /// Whether the answer comes part by part. If it is missing, `Accept: text/event-stream` asks
    /// for that.
    #[schema(value_type = Option<bool>)]
    stream: Option<Value>,
}

impl ChatBody {
    /// Gives the values of a form, which are texts, the types that they have in JSON. An empty
    /// field counts as missing. Other texts stay as they are, and are rejected like a wrong type.
    fn typed(self) -> ChatBody {
        let typed = |value: Option<Value>, of: fn(&str) -> Option<Value>| match value {
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(of(text.trim()).unwrap_or(Value::String(text))),
            value => value,
        };
        let number = |text: &str| text.parse::<i64>().ok().map(Value::from);
        let flag = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" => Some(Value::Bool(true)),
            "false" | "0" | "off" => Some(Value::Bool(false)),
            _ => None,
        };
        ChatBody {
            conversation_id: typed(self.conversation_id, number),
            stream: typed(self.stream, flag),
            ..self
        }
    }
}

/// An answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Answer)]
struct ChatResponse<'a> {
    /// What you said.
    message: &'a str,
    /// What the model answered.
    response: &'a str,
}

/// Describes the field `token`. If there is a header, its value does not matter.
fn any_token() -> Object {
    let meaning = "Your auth token, if there is no Authorization header.";
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(meaning)).build()
}

/// The events of a stream.
const EVENTS: &str = "Server-sent events: `delta` for each part, then `done`, or `error` if the answer broke \
                      off. A comment after every 10 s of silence keeps the connection alive.";

/// Describes `POST /chat/`.
pub(super) fn describe_create() -> Operation {
    let hello = Example::new("hello", "A message.", json!({ "message": "Hello" }));
    let stream =
        Example::new("stream", "The answer part by part.", json!({ "message": "Hello", "stream": true }));
    let body = Body::json(Schema::of::<ChatBody>(), [hello, stream]).also_as(&MEDIA_TYPES);
    let answer = json!({ "message": "Hello", "response": "Response to Hello" });
    let whole = Success::json(201, "The whole answer.", Schema::of::<ChatResponse>(), answer);
    let delta = json!({ "text": "Response to Hello" });
    let done = json!({
        "chat_id": 5, "message": "Hello", "response": "Response to Hello", "charged": 100, "remaining": 3900,
    });
    let whole_stream = [("delta", delta.to_string()), ("done", done.to_string())];
    let broken = Error::ResponderFailed(FailureReason::ServerError);
    let broken = json!({ "error": broken.to_string(), "detail": broken.detail() });
    let parts = Success::empty(200, "The answer part by part.")
        .or(Content::events(EVENTS, &whole_stream, &[("error", broken.to_string())]))
        .with(&["X-Accel-Buffering"]);
    let unreadable = no_message().of_unreadable_body(Invalid::new("body", "it is empty"));
    let repeat =
        "For 24 hours the same request under the same key returns the stored answer, and is not charged.";
    Operation::of(create)
        .open_to(Access::TokenOrBody)
        .titled(Tag::Chats, "Send a message")
        .about("Charges the message and returns its answer. What failed is returned to your balance.")
        .with([idempotency::parameter(repeat)])
        .takes(body)
        .returns(receipt::described(whole))
        .returns(receipt::described(parts))
        .fails([no_message(), unreadable, wrong_stream(), wrong_conversation()])
        .fails(idempotency::errors())
        .fails(errors_of_answers())
}

fn no_message() -> Error {
    Error::InvalidMessage(Invalid::new("message", "give \"message\" as text"))
}

fn wrong_stream() -> Error {
    Error::Invalid(Invalid::new("stream", "give true or false"))
}

fn wrong_conversation() -> Error {
    Error::Invalid(Invalid::new("conversation_id", "give the id of one of your conversations"))
}

/// `POST /chat/`: charges a message and returns its answer.
pub(super) async fn create(
    auth: web::Data<Auth>,
    toll: web::Data<Toll>,
    credentials: Credentials,
    body: FormBody,
    http: HttpRequest,
) -> Result<HttpResponse> {
    let (request, in_parts) = admit(&auth, credentials, body, &http).await?;
    let answer = answer(&auth, &toll, request, in_parts).await?;
    Ok(respond(answer))
}

/// Returns the request, and whether the client wants the answer part by part.
async fn admit(
    auth: &Auth,
    credentials: Credentials,
    mut body: FormBody,
    http: &HttpRequest,
) -> Result<(ChatRequest, bool)> {
    let memory = body.take_memory();
    let body = body.parse::<ChatBody>();
    let in_body = || match &body {
        Ok(Sent { fields: ChatBody { token: Some(Value::String(token)), .. }, .. }) => TokenDigest::of(token),
        _ => None,
    };
    let auth_token = auth_token(auth, credentials, in_body, http)?;
    let body = Arrived::new(body)?;
    // A rejected message also counts: it costs the server a look-up, and the client nothing.
    auth.check_message(auth_token, http).await?;
    let (mut request, in_parts) =
        body.admit(auth, auth_token, http, |body| parse(auth_token, body, http)).await?;
    if let Some(mut memory) = memory {
        // The message stays in memory until it is answered, however fast its client is.
        memory.cut_by(None);
        memory.belong_to(auth.current_user(auth_token).await?.user.id);
        memory.grow(0).await?;
        request.memory = Some(Arc::new(memory));
    }
    Ok((request, in_parts))
}

fn parse(auth_token: TokenDigest, body: Sent<ChatBody>, http: &HttpRequest) -> Result<(ChatRequest, bool)> {
    if let Some(fault) = body.fault {
        return Err(no_message().of_unreadable_body(fault));
    }
    let request = if body.is_form { body.fields.typed() } else { body.fields };
    let Some(Value::String(message)) = request.message else { return Err(no_message()) };
    let message = Message::parse(message).map_err(Error::InvalidMessage)?;
    let in_parts = match request.stream {
        None | Some(Value::Null) => accepts_events(http),
        Some(Value::Bool(wanted)) => wanted,
        Some(_) => return Err(wrong_stream()),
    };
    let conversation_id = match request.conversation_id {
        None | Some(Value::Null) => None,
        Some(id) => Some(id.as_i64().ok_or_else(wrong_conversation)?),
    };
    let key = key_of(http)?.map(|key| (key, fingerprint(message.as_str(), conversation_id)));
    let prompt = conversation_id.map_or(Prompt::Message, Prompt::Conversation);
    let message = message.into_string();
    let (endpoint, chain) = (Endpoint::Chat, Chain::default());
    let notes = RequestNotes::of(http);
    let request = ChatRequest { endpoint, auth_token, message, prompt, key, notes, chain, memory: None };
    Ok((request, in_parts))
}

fn fingerprint(message: &str, conversation_id: Option<i64>) -> Fingerprint {
    match conversation_id {
        None => Fingerprint::of("/chat/", &[("message", message)]),
        Some(id) => Fingerprint::of("/chat/", &[("message", message), ("conversation_id", &id.to_string())]),
    }
}

fn accepts_events(http: &HttpRequest) -> bool {
    let mut accepted = http.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.split(',').any(is_events))
}

fn is_events(media_range: &str) -> bool {
    let essence = media_range.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("text/event-stream")
}

fn respond(answer: ChatAnswer) -> HttpResponse {
    match answer {
        ChatAnswer::Whole(receipt) => {
            let mut response = HttpResponse::Created();
            add_receipt(&mut response, &receipt);
            let text = receipt.answer.text_or_refusal().unwrap_or_default();
            response.json(ChatResponse { message: &receipt.message, response: text })
        }
        ChatAnswer::InParts(opened) => {
            let mut response = HttpResponse::Ok();
            add_start(&mut response, &opened.stream.started);
            event_stream::respond(response, opened, event_stream::COMMENT, write)
        }
    }
}

/// Writes an event: `delta` for each part, and `done` or `error` at the end.
fn write(what: Event) -> Bytes {
    match what {
        // There is one choice, unless a stored answer of `/v1` is found by its key.
        Event::Piece(piece) if piece.choice > 0 => Bytes::new(),
        Event::Piece(piece) => {
            // A refusal is the text of an answer that has no other.
            let text = [piece.text(), &piece.delta.refusal].into_iter().find(|text| !text.is_empty());
            text.map_or_else(Bytes::new, |text| event(Some("delta"), &json!({ "text": text })))
        }
        Event::Done(receipt) => event(
            Some("done"),
            &json!({
                "chat_id": receipt.chat_id,
                "message": receipt.message,
                "response": receipt.answer.text_or_refusal().unwrap_or_default(),
                "charged": receipt.charged,
                "remaining": receipt.remaining,
            }),
        ),
        Event::Failed(error) => {
            event(Some("error"), &json!({ "error": error.to_string(), "detail": error.detail() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_asked_for_by_their_media_type() {
        for yes in ["text/event-stream", "TEXT/Event-Stream; charset=utf-8"] {
            assert!(is_events(yes), "{yes}");
        }
        for no in ["*/*", "application/json", "text/event-streams"] {
            assert!(!is_events(no), "{no}");
        }
    }
}
