//! What is the same for every request: an id, a bound on the head, security headers, errors in the shape that the
//! client asked for, and one line in the log. The line never holds a password, an auth token or a message.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpResponse, ResponseError};
use rand::RngExt;

use crate::api::{Scheme, client_of};
use crate::error::Error;

/// The longest request line and headers together, in bytes.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// Characters of a path segment that are shown in the log: an auth token that somebody put there is longer.
const SHOWN_SEGMENT: usize = 16;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware around everything.
pub async fn manners<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let id = format!("{:016x}", rand::rng().random::<u64>());
    let wants_problem = wants_problem(request.headers());
    let https = request.app_data::<Data<Scheme>>().is_some_and(|scheme| scheme.https);
    let mut response = if head_bytes(&request) > MOST_HEAD_BYTES {
        request.into_response(HttpResponse::from_error(Error::HeadTooLarge)).map_into_boxed_body()
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    if let Some(error) = response.response().error() {
        response = shaped(response.request().clone(), error, wants_problem).unwrap_or(response);
    }
    add_headers(response.headers_mut(), &id, https);
    write_line(&response, &id, started);
    Ok(response)
}

/// Logs what the operator has to know of an error, and gives it the shape that the client asked for. `None`: it
/// has that shape already.
fn shaped(
    request: actix_web::HttpRequest,
    error: &actix_web::Error,
    wants_problem: bool,
) -> Option<ServiceResponse<BoxBody>> {
    match error.as_error::<Error>() {
        Some(ours) => {
            ours.log();
            wants_problem.then(|| ServiceResponse::new(request, ours.problem()))
        }
        // An error of actix itself: its own body is plain text, and may say more than it should.
        None => {
            let ours = match error.as_response_error().status_code() {
                StatusCode::NOT_FOUND => Error::NotFound,
                StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge,
                status if status.is_client_error() => {
                    Error::Invalid(crate::domain::Invalid::new("request", "correct its form"))
                }
                _ => Error::Internal(error.to_string()),
            };
            ours.log();
            let body = if wants_problem { ours.problem() } else { ours.error_response() };
            Some(ServiceResponse::new(request, body))
        }
    }
}

fn wants_problem(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT);
    accepts
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("application/problem+json"))
}

/// The size of the request's head as it came, nearly: names and values with their separators.
fn head_bytes(request: &ServiceRequest) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    request.method().as_str().len() + request.uri().to_string().len() + 12 + headers.sum::<usize>()
}

/// Answers hold balances and messages: nothing may keep them, frame them or guess at their type.
fn add_headers(headers: &mut HeaderMap, id: &str, https: bool) {
    let fixed = |value: &'static str| HeaderValue::from_static(value);
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(header::REFERRER_POLICY, fixed("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, fixed("default-src 'none'; frame-ancestors 'none'"));
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, fixed("max-age=31536000"));
    }
}

fn write_line(response: &ServiceResponse<BoxBody>, id: &str, started: Instant) {
    if !log::log_enabled!(log::Level::Info) {
        return;
    }
    let request = response.request();
    log::info!(
        "{} {} {} {:.1} ms, from {}, id {id}",
        request.method(),
        shown_path(request.path()),
        response.status().as_u16(),
        started.elapsed().as_secs_f64() * 1000.0,
        client_of(request),
    );
}

/// The path without its query, cut so that neither a secret nor a forged line gets into the log.
fn shown_path(path: &str) -> String {
    let mut shown = String::new();
    for segment in path.split_inclusive('/').take(6) {
        let clean = segment.chars().all(|c| c.is_ascii_graphic());
        if clean && segment.len() <= SHOWN_SEGMENT {
            shown.push_str(segment);
        } else {
            shown.push_str("(…)/");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_what_may_be_a_secret() {
        assert_eq!(shown_path("/auth-tokens/17/"), "/auth-tokens/17/");
        assert_eq!(shown_path("/chat/tg_0123456789abcdefghij"), "/chat/(…)/");
        assert_eq!(shown_path("/a\u{1b}[31m"), "/(…)/");
        assert_eq!(shown_path(&"/x".repeat(100)), "/x/x/x/x/x/");
    }
}
