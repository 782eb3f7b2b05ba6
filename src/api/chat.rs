//! `POST /chat/`: sends a message and returns its answer.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::admit::{Arrived, auth_token};
use super::answer::{ChatAnswer, answer};
use super::event_stream::{self, event};
use super::form::{FormBody, Sent};
use super::idempotency::key_of;
use super::receipt::{add_receipt, add_start};
use crate::auth::{Auth, Credentials};
use crate::chat::{Chain, ChatRequest, Event, Prompt, Toll};
use crate::domain::{Endpoint, Fingerprint, Invalid, Message, TokenDigest};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;

/// The fields are of any type, because a value of a wrong type must not hide the other fields: the
/// contract prescribes the order of the checks.
#[derive(Default, Deserialize)]
struct ChatBody {
    message: Option<Value>,
    token: Option<Value>,
    conversation_id: Option<Value>,
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

#[derive(Serialize)]
struct ChatResponse<'a> {
    message: &'a str,
    response: &'a str,
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
    let no_message = || Error::InvalidMessage(Invalid::new("message", "give \"message\" as text"));
    if let Some(fault) = body.fault {
        return Err(no_message().of_unreadable_body(fault));
    }
    let request = if body.is_form { body.fields.typed() } else { body.fields };
    let Some(Value::String(message)) = request.message else { return Err(no_message()) };
    let message = Message::parse(message).map_err(Error::InvalidMessage)?;
    let in_parts = match request.stream {
        None | Some(Value::Null) => accepts_events(http),
        Some(Value::Bool(wanted)) => wanted,
        Some(_) => return Err(Error::Invalid(Invalid::new("stream", "give true or false"))),
    };
    let conversation_id = match request.conversation_id {
        None | Some(Value::Null) => None,
        Some(id) => Some(id.as_i64().ok_or_else(|| {
            Error::Invalid(Invalid::new("conversation_id", "give the id of one of your conversations"))
        })?),
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
