//! `POST /chat/`: what Tollgate is for.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::Body;
use crate::auth::{Auth, Credentials};
use crate::domain::{Fingerprint, IdempotencyKey, Invalid, Message, TokenDigest};
use crate::error::{Error, Result};
use crate::metering::{ChatRequest, Toll};

/// A value of a wrong type must not hide the other field: the contract has an order of checks.
#[derive(Default, Deserialize)]
struct Request {
    message: Option<Value>,
    token: Option<Value>,
}

#[derive(Serialize)]
struct Answer<'a> {
    message: &'a str,
    response: &'a str,
}

pub(super) async fn create(
    auth: web::Data<Auth>,
    toll: web::Data<Toll>,
    credentials: Credentials,
    body: Body,
    http: HttpRequest,
) -> Result<HttpResponse> {
    let body = body.json::<Request>();
    let in_body = || match &body {
        Ok(Some(Request { token: Some(Value::String(token)), .. })) => TokenDigest::of(token),
        _ => None,
    };
    let auth_token = credentials.or(in_body)?;
    if let Err(error @ Error::BodyCutShort) = body {
        // actix drops a handler at its next await when the body breaks: now is the only moment to answer.
        return Err(error);
    }
    let request = match parse(auth_token, body, &http) {
        Ok(request) => request,
        // 401 comes before every other refusal.
        Err(error) => return Err(auth.current_user(auth_token).await.err().unwrap_or(error)),
    };
    let receipt = toll.chat(request).await?;
    auth.used(auth_token);
    let mut response = HttpResponse::Created();
    response
        .insert_header(("X-Tokens-Charged", receipt.charged))
        .insert_header(("X-Tokens-Remaining", receipt.remaining))
        .insert_header(("X-Chat-Id", receipt.chat_id));
    if receipt.replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    Ok(response.json(Answer { message: &receipt.message, response: &receipt.response }))
}

fn parse(auth_token: TokenDigest, body: Result<Option<Request>>, http: &HttpRequest) -> Result<ChatRequest> {
    let Some(Value::String(message)) = body?.unwrap_or_default().message else {
        return Err(Error::InvalidMessage(Invalid::new("message", "give JSON with \"message\" as text")));
    };
    let message = Message::parse(message).map_err(Error::InvalidMessage)?;
    let fingerprint = Fingerprint::of("/chat/", &[("message", message.as_str())]);
    let key = idempotency_key(http)?.map(|key| (key, fingerprint));
    Ok(ChatRequest { auth_token, message, key })
}

fn idempotency_key(http: &HttpRequest) -> Result<Option<IdempotencyKey>> {
    let invalid = || {
        Error::Invalid(Invalid::new("Idempotency-Key", "give it once, as 1 to 255 visible ASCII characters"))
    };
    let mut values = http.headers().get_all("idempotency-key");
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let key = value.to_str().ok().and_then(|key| IdempotencyKey::parse(key).ok());
            key.map(Some).ok_or_else(invalid)
        }
        _ => Err(invalid()),
    }
}
