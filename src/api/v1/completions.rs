//! `POST /v1/chat/completions`.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use super::request::CompletionRequest;
use super::write::{Chunks, completion};
use crate::api::admit::{Arrived, auth_token};
use crate::api::answer::{ChatAnswer, answer};
use crate::api::event_stream;
use crate::api::idempotency::key_of;
use crate::api::large_body::{self, Large, LargeBodies};
use crate::api::receipt::{add_receipt, add_start};
use crate::auth::{Auth, Credentials};
use crate::chat::{ChatRequest, Prompt, Toll};
use crate::client_address::client_of;
use crate::domain::TokenDigest;
use crate::error::{Error, Result};
use crate::http::request_id_of;
use crate::throttle::Allowed;

/// `POST /v1/chat/completions`: charges a request and returns its answer.
pub(in crate::api) async fn create(
    auth: web::Data<Auth>,
    toll: web::Data<Toll>,
    places: web::Data<LargeBodies>,
    credentials: Credentials,
    http: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let auth_token = auth_token(&auth, credentials, || None, &http)?;
    let counted = auth.count_message(auth_token, client_of(&http)).await?;
    let answered = match counted.verdict {
        Ok(()) => {
            let body = read(&auth, auth_token, &places, &http, payload).await?;
            complete(&auth, &toll, auth_token, body, &http).await
        }
        Err(error) => Err(error),
    };
    Ok(with_limits(answered, counted.allowed))
}

type CompletionBody = Large<Map<String, Value>>;

async fn read(
    auth: &Auth,
    auth_token: TokenDigest,
    places: &LargeBodies,
    http: &HttpRequest,
    payload: web::Payload,
) -> Result<Arrived<CompletionBody>> {
    let large_for = if large_body::may_be_large(http) {
        // The user must be known first: only a valid auth token may make the server read so much.
        Some(auth.current_user(auth_token).await?.user.id)
    } else {
        None
    };
    Arrived::new(large_body::json(http, payload, places, large_for).await)
}

async fn complete(
    auth: &Auth,
    toll: &Toll,
    auth_token: TokenDigest,
    body: Arrived<CompletionBody>,
    http: &HttpRequest,
) -> Result<HttpResponse> {
    let parsed = body.admit(auth, auth_token, |body| parse(auth_token, body, http)).await?;
    let answer = answer(auth, toll, parsed.request, parsed.in_parts).await?;
    Ok(respond(answer, parsed.include_usage))
}

struct Parsed {
    request: ChatRequest,
    in_parts: bool,
    /// Whether a stream ends with the usage.
    include_usage: bool,
}

fn parse(auth_token: TokenDigest, body: CompletionBody, http: &HttpRequest) -> Result<Parsed> {
    let request = CompletionRequest::parse(body.json.map_err(Error::Invalid)?)?;
    let key = key_of(http)?.map(|key| (key, request.fingerprint()));
    let CompletionRequest { question, message, in_parts, include_usage } = request;
    let prompt = Prompt::Whole(Box::new(question));
    let request_id = request_id_of(http);
    let request = ChatRequest { auth_token, message, prompt, key, request_id, memory: body.memory };
    Ok(Parsed { request, in_parts, include_usage })
}

fn respond(answer: ChatAnswer, include_usage: bool) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    match answer {
        ChatAnswer::Whole(receipt) => {
            add_receipt(&mut response, &receipt);
            response.json(completion(&receipt))
        }
        ChatAnswer::InParts(opened) => {
            add_start(&mut response, &opened.stream.started);
            let mut chunks = Chunks::new(&opened.stream.started, include_usage);
            event_stream::respond(response, opened, move |event| chunks.write(event))
        }
    }
}

/// Adds the headers by which clients of the protocol pace themselves. `allowed` is `None` if there
/// are no limits.
fn with_limits(answered: Result<HttpResponse>, allowed: Option<Allowed>) -> HttpResponse {
    let mut response = answered.unwrap_or_else(HttpResponse::from_error);
    let Some(allowed) = allowed else { return response };
    let values = [
        ("x-ratelimit-limit-requests", allowed.limit.to_string()),
        ("x-ratelimit-remaining-requests", allowed.remaining.to_string()),
        ("x-ratelimit-reset-requests", span(allowed.reset)),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Writes a duration as Go does, which the protocol prescribes: `12ms`, `1.64s`, `6m0s`.
fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = match rest % 1000 {
        0 => format!("{}", rest / 1000),
        part => format!("{}.{}", rest / 1000, format!("{part:03}").trim_end_matches('0')),
    };
    match (millis, minutes) {
        (..1000, _) => format!("{millis}ms"),
        (_, 0) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_go_does() {
        for (millis, text) in
            [(0, "0ms"), (12, "12ms"), (1000, "1s"), (1640, "1.64s"), (60_000, "1m0s"), (366_005, "6m6.005s")]
        {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
