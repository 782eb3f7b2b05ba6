//! `POST /v1/chat/completions`.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use super::super::event_stream;
use super::super::idempotency::key_of;
use super::super::large_body::{self, Large, LargeBodies};
use super::super::receipt::{add_receipt, add_start};
use super::request::CompletionRequest;
use super::write::{Chunks, completion};
use crate::auth::{Auth, Credentials};
use crate::chat::{ChatRequest, Prompt, Toll};
use crate::client_address::client_of;
use crate::domain::{Invalid, TokenDigest};
use crate::error::{Error, Result};
use crate::throttle::Allowed;

pub(in crate::api) async fn create(
    auth: web::Data<Auth>,
    toll: web::Data<Toll>,
    places: web::Data<LargeBodies>,
    credentials: Credentials,
    http: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let from = client_of(&http);
    let Ok(auth_token) = credentials.or(|| None) else { return Err(auth.refuse(None, from)) };
    let counted = auth.count_message(auth_token, from).await?;
    let mut large_for = None;
    if counted.verdict.is_ok() && large_body::may_be_large(&http) {
        // Who it is comes first: nobody else may make the server read so much.
        large_for = Some(auth.current_user(auth_token).await?.user.id);
    }
    let answered = match counted.verdict {
        Ok(()) => {
            let body = large_body::json(&http, payload, &places, large_for).await;
            if let Err(error @ Error::BodyCutShort) = body {
                // actix drops a handler at its next await when the body breaks: now is the only moment to answer.
                return Err(error);
            }
            match body.and_then(|body| parse(auth_token, body, &http)) {
                Ok(request) => answer(&toll, request).await,
                // 401 comes before every other refusal.
                Err(error) => Err(auth.current_user(auth_token).await.err().unwrap_or(error)),
            }
        }
        Err(error) => Err(error),
    };
    if answered.is_ok() {
        auth.used(auth_token);
    }
    let mut response = answered.unwrap_or_else(HttpResponse::from_error);
    if let Some(allowed) = counted.allowed {
        add_limits(&mut response, allowed);
    }
    Ok(response)
}

type Parsed = (ChatRequest, bool, bool);

fn parse(auth_token: TokenDigest, body: Large<Map<String, Value>>, http: &HttpRequest) -> Result<Parsed> {
    let unreadable = || Error::Invalid(Invalid::new("body", "give a JSON object"));
    let request = CompletionRequest::parse(body.json.ok_or_else(unreadable)?)?;
    let key = key_of(http)?.map(|key| (key, request.fingerprint()));
    let CompletionRequest { question, message, in_parts, include_usage } = request;
    let prompt = Prompt::Whole(question);
    let request = ChatRequest { auth_token, message, prompt, key, memory: body.memory };
    Ok((request, in_parts, include_usage))
}

async fn answer(toll: &Toll, (request, in_parts, include_usage): Parsed) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    if in_parts {
        let opened = event_stream::open(toll, request).await?;
        add_start(&mut response, &opened.stream.started);
        let mut chunks = Chunks::new(&opened.stream.started, include_usage);
        return Ok(event_stream::respond(response, opened, move |event| chunks.write(event)));
    }
    let receipt = toll.chat(request).await?;
    add_receipt(&mut response, &receipt);
    Ok(response.json(completion(&receipt)))
}

/// The headers by which clients of the protocol pace themselves.
fn add_limits(response: &mut HttpResponse, allowed: Allowed) {
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
}

/// A duration as Go writes it, which is how the protocol has it: `12ms`, `1.64s`, `6m0s`.
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
