//! Does what every request needs: an id, a limit on the head, security headers, errors in the
//! format that the client asked for, a place in the metrics, and one line in the log. The line
//! never contains a password, an auth token or a message.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use actix_cors::CorsError;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, ResponseError};

use super::connections::Exchange;
use super::forwarders::UntrustedForwarders;
use super::traffic::Traffic;
use crate::client_address::client_of;
use crate::domain::Endpoint;
use crate::error::{Error, RetryContext};
use crate::http::{
    KnownPath, MOST_BYTES, Readiness, RoutePath, Site, check_host, is_https, request_id_of, speaks_anthropic,
    speaks_openai,
};
use crate::logging::RequestNotes;
use crate::panel::{PageError, error_page};

/// The longest request line and headers together, in bytes.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// The policy of responses that are no pages: whatever a browser takes them for, nothing in them
/// acts.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name under which clients of Anthropic's protocol look for the id.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Runs a request inside the outermost middleware.
pub async fn middleware<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let exchange = Exchange::begin(&request);
    let notes = RequestNotes::begin();
    request.extensions_mut().insert(notes.clone());
    let id = notes.id().to_string();
    let site = Site::of(request.request());
    let strict_transport = site.strict_transport.clone().filter(|_| is_https(request.request(), &site));
    if let Some(forwarders) = request.app_data::<Data<UntrustedForwarders>>() {
        forwarders.note(request.request());
    }
    // A connection that is kept open would be closed in the middle of its next request.
    let drains = request.app_data::<Data<Readiness>>().is_some_and(|readiness| readiness.is_draining());
    let mut response = if head_bytes(&request) > MOST_HEAD_BYTES {
        request.error_response(Error::HeadTooLarge)
    } else if let Err(error) = check_host(request.request(), &site) {
        refuse(request, error)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let reason = match response.response().error() {
        Some(error) => reason_of(error),
        None => reason_of_page(response.status()),
    };
    if let Some(error) = response.response().error()
        && let Some(mut formatted) = formatted(response.request().clone(), error).await
    {
        keep_headers(response.headers(), formatted.headers_mut());
        response = formatted;
    }
    add_headers(response.headers_mut(), &id, strict_transport);
    if speaks_anthropic(response.request())
        && let Ok(id) = HeaderValue::from_str(&id)
    {
        response.headers_mut().insert(ANTHROPIC_REQUEST_ID, id);
    }
    if drains {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let line = Line { response: &response, notes: &notes, reason, duration: started.elapsed() };
    line.count();
    line.log();
    Ok(exchange.respond(response))
}

/// Returns the reason of a refusal, for metrics and the log. `None` if it is no refusal.
fn reason_of(error: &actix_web::Error) -> Option<&'static str> {
    match (error.as_error::<PageError>(), error.as_error::<Error>()) {
        (Some(page), _) => page.reason(),
        (None, Some(ours)) => Some(ours.slug()),
        (None, None) => Some(ours_of(error).slug()),
    }
}

/// Returns the reason of a page of the panel that says what is wrong with a form. `None` for all
/// other responses: handlers return their refusals as errors.
fn reason_of_page(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::FORBIDDEN => Some("forbidden"),
        StatusCode::CONFLICT => Some("conflict"),
        StatusCode::TOO_MANY_REQUESTS => Some("too-many-requests"),
        status if status.is_client_error() => Some("invalid-form"),
        _ => None,
    }
}

/// Returns our own error in place of one of actix-web's, whose body is plain text and may reveal
/// more than it should.
fn ours_of(error: &actix_web::Error) -> Error {
    if matches!(error.as_error(), Some(CorsError::OriginNotAllowed)) {
        let reason = "ask the operator to name the origin of your page in --cors-origins";
        return Error::Invalid(crate::domain::Invalid::new("origin", reason));
    }
    match error.as_response_error().status_code() {
        StatusCode::NOT_FOUND => Error::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge(MOST_BYTES),
        status if status.is_client_error() => {
            Error::Invalid(crate::domain::Invalid::new("request", "correct its form"))
        }
        _ => Error::Internal(error.to_string()),
    }
}

/// The format of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorFormat {
    /// The old contract's format, which [`Error`] produces itself.
    Contract,
    /// RFC 9457.
    Problem,
    /// The format of the OpenAI protocol, on all of its paths.
    OpenAi(RetryContext),
    /// The format of Anthropic's protocol, on its own paths.
    Anthropic(RetryContext),
}

impl ErrorFormat {
    fn of(request: &HttpRequest) -> ErrorFormat {
        if speaks_openai(request.path()) {
            let headers = request.headers();
            let count = headers.get("x-stainless-retry-count").and_then(|value| value.to_str().ok());
            let is_retry = count.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > 0);
            let endpoint = Endpoint::of_path(request.path());
            let has_key = headers.contains_key("idempotency-key");
            let request_id = Some(request_id_of(request));
            let context = RetryContext { has_key, is_retry, endpoint, request_id };
            match speaks_anthropic(request) {
                true => ErrorFormat::Anthropic(context),
                false => ErrorFormat::OpenAi(context),
            }
        } else if wants_problem(request.headers()) {
            ErrorFormat::Problem
        } else {
            ErrorFormat::Contract
        }
    }

    fn response(self, error: &Error) -> actix_web::HttpResponse {
        match self {
            ErrorFormat::Contract => error.error_response(),
            ErrorFormat::Problem => error.problem(),
            ErrorFormat::OpenAi(context) => error.openai_response(context),
            ErrorFormat::Anthropic(context) => error.anthropic_response(context),
        }
    }
}

/// Logs what the operator has to know of an error, and returns it in the format that the client
/// asked for. Returns `None` if it has that format already.
async fn formatted(request: HttpRequest, error: &actix_web::Error) -> Option<ServiceResponse<BoxBody>> {
    let (format, id) = (ErrorFormat::of(&request), request_id_of(&request));
    if let Some(page) = error.as_error::<PageError>() {
        page.log(id);
        let response = error_page(page, &request).await;
        return Some(ServiceResponse::new(request, response.map_into_boxed_body()));
    }
    match error.as_error::<Error>() {
        Some(ours) => {
            ours.log(Some(id));
            (format != ErrorFormat::Contract).then(|| ServiceResponse::new(request, format.response(ours)))
        }
        None => {
            let ours = ours_of(error);
            ours.log(Some(id));
            Some(ServiceResponse::new(request, format.response(&ours)))
        }
    }
}

/// Returns a response to a request that no handler gets. People who opened the panel get a page.
fn refuse(request: ServiceRequest, error: Error) -> ServiceResponse<BoxBody> {
    if request.path() == "/admin" || request.path().starts_with("/admin/") {
        return request.error_response(PageError::from(error));
    }
    request.error_response(error)
}

/// Copies the CORS headers, without which a page of another origin could not read the error, and
/// the headers on rate limits.
fn keep_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        let name_text = name.as_str();
        let is_kept = ["access-control-", "x-ratelimit-", "anthropic-ratelimit-"]
            .iter()
            .any(|prefix| name_text.starts_with(prefix));
        if is_kept || name == header::VARY {
            to.append(name.clone(), value.clone());
        }
    }
}

fn wants_problem(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT);
    accepts
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("application/problem+json"))
}

/// Returns the approximate size of the request's head in bytes: names and values with their
/// separators.
fn head_bytes(request: &ServiceRequest) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    request.method().as_str().len() + request.uri().to_string().len() + 12 + headers.sum::<usize>()
}

/// Adds headers to the response. It may contain balances and messages, so nothing may store it,
/// frame it or guess its type.
fn add_headers(headers: &mut HeaderMap, id: &str, strict_transport: Option<HeaderValue>) {
    let fixed = |value: &'static str| HeaderValue::from_static(value);
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
    // Not `no-referrer`, not even for the first-run page, whose address is a secret: browsers would
    // then send its form with `Origin: null`. The referrer is never sent to another origin.
    headers.insert(header::REFERRER_POLICY, fixed("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, fixed(CONTENT_SECURITY_POLICY));
    }
    if let Some(value) = strict_transport {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// A request that was answered: what the log says of it, and what the metrics count.
struct Line<'a> {
    response: &'a ServiceResponse<BoxBody>,
    notes: &'a RequestNotes,
    /// Why it was refused. `None` if it was not.
    reason: Option<&'static str>,
    /// The time until its response began.
    duration: Duration,
}

impl Line<'_> {
    fn count(&self) {
        let request = self.response.request();
        let Some(traffic) = request.app_data::<Data<Traffic>>() else { return };
        let route = request.app_data::<RoutePath>().copied();
        traffic.count(route, request.method(), self.response.status(), self.duration);
        if let Some(reason) = self.reason {
            traffic.refuse(reason);
        }
    }

    fn log(&self) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        let (request, notes, reason) = (self.response.request(), self.notes, self.reason);
        let (id, method, from) = (notes.id(), shown_method(request.method()), client_of(request));
        let path = match request.app_data::<RoutePath>() {
            Some(route) => shown_path(request.path(), Some(route.0)),
            None => shown_path(request.path(), request.match_pattern().as_deref()),
        };
        let status = self.response.status().as_u16();
        let millis = (self.duration.as_secs_f64() * 10_000.0).round() / 10.0;
        let why = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
        log::info!(
            request_id = id, user_id = notes.user_id(), chat_id = notes.chat_id(), reason = reason,
            method = method, path = &*path, status = status, duration_ms = millis, from:% = from;
            "{method} {path} {status} {millis:.1} ms, from {from}{notes}{why}, id {id}"
        );
    }
}

/// Returns the method, unless the client has made it up: it may be anything.
fn shown_method(method: &Method) -> &str {
    let is_known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
        .iter()
        .chain([Method::OPTIONS, Method::TRACE, Method::CONNECT].iter())
        .any(|known| known == method);
    if is_known { method.as_str() } else { "(unknown method)" }
}

/// Returns the path's pattern from the table of routes, with the numeric ids. Other segments, and
/// paths that do not exist, may contain a secret that was put in the wrong place, or a forged log
/// line. Of those, only names that clients of language models are known to use are shown.
fn shown_path<'a>(path: &'a str, pattern: Option<&str>) -> Cow<'a, str> {
    let Some(pattern) = pattern else {
        let known = KnownPath::of(path).map(|known| format!("{} (no such path)", known.name));
        return known.map_or(Cow::Borrowed("(no such path)"), Cow::Owned);
    };
    let end = if path.ends_with('/') && !pattern.ends_with('/') { "/" } else { "" };
    // Nearly all requests are for a path without parameters.
    if path.strip_suffix(end) == Some(pattern) {
        return Cow::Borrowed(path);
    }
    let is_number = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let segments = pattern
        .split('/')
        .zip(path.split('/'))
        .map(|(known, segment)| if known.starts_with('{') && is_number(segment) { segment } else { known });
    Cow::Owned(segments.collect::<Vec<_>>().join("/") + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_what_may_be_a_secret() {
        assert_eq!(shown_path("/auth-tokens/17/", Some("/auth-tokens/{id}/")), "/auth-tokens/17/");
        assert_eq!(shown_path("/auth-tokens/17/", Some("/auth-tokens/{id}")), "/auth-tokens/17/");
        assert_eq!(shown_path("/chat/", Some("/chat")), "/chat/");
        assert_eq!(shown_path("/", Some("")), "/");
        assert_eq!(shown_path("/%63hat", Some("/chat")), "/chat");
        assert_eq!(shown_path("/chats/my-secret", Some("/chats/{id}")), "/chats/{id}");
        assert_eq!(shown_path("/tg_0123456789abcdefghij", None), "(no such path)");
        assert_eq!(shown_path("/models/my-secret", None), "/models/… (no such path)");
    }

    #[test]
    fn a_method_that_a_client_has_made_up_is_not_shown() {
        assert_eq!(shown_method(&Method::PATCH), "PATCH");
        assert_eq!(shown_method(&Method::from_bytes(b"tg_0123456789").unwrap()), "(unknown method)");
    }
}
