//! Renders an error for clients of the OpenAI protocol: `{"error": {"message", "type", "param",
//! "code"}}`.
//!
//! Their libraries decide by the status whether to retry; `x-should-retry` overrules it.

use actix_web::http::header::HeaderName;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Error;
use crate::domain::{Endpoint, FailureReason, RequestId};

/// Tells OpenAI's own libraries whether to retry.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An error in the form of OpenAI's protocol.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiError)]
pub struct OpenAiBody {
    error: OpenAiFault,
}

/// What is wrong, for clients of OpenAI's protocol.
#[derive(Debug, Serialize, ToSchema)]
struct OpenAiFault {
    /// What is wrong, and what to do about it.
    message: String,
    /// The kind of error, as the protocol has it.
    r#type: &'static str,
    /// The field at fault. `null` if no field is.
    #[schema(required)]
    param: Option<&'static str>,
    /// A code that never changes.
    code: String,
}

/// What is known of a request that decides whether a retry helps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryContext {
    /// It has an `Idempotency-Key`, so that a retry cannot charge twice.
    pub has_key: bool,
    /// It is a retry itself (`x-stainless-retry-count`).
    pub is_retry: bool,
    /// The endpoint, if it is one that charges.
    pub endpoint: Option<Endpoint>,
    /// The id of the request.
    pub request_id: Option<RequestId>,
}

impl Error {
    /// Returns the response to a request under `/v1`.
    pub fn openai_response(&self, context: RetryContext) -> HttpResponse {
        let mut response = self.protocol_response(context);
        response.insert_header((header::CONTENT_TYPE, "application/json"));
        response.body(self.openai_body(context.endpoint).to_string())
    }

    /// Begins the response to a client of another protocol: its status, and whether to retry.
    pub(super) fn protocol_response(&self, context: RetryContext) -> HttpResponseBuilder {
        let mut response = self.response();
        response.status(self.openai_status());
        let is_for_good = match self {
            Error::InsufficientTokens { .. }
            | Error::RequestRefused(_)
            | Error::ContextTooLong
            | Error::AnswerNotKept
            | Error::PaidWithoutAnswer(_) => true,
            // What failed twice in this way would fail a third time.
            Error::ResponderFailed(reason) => {
                reason.is_lasting() || (context.is_retry && *reason == FailureReason::ServerError)
            }
            // It may have been done, and a library that retries by itself would have it done twice.
            Error::Unavailable(_) | Error::Database(_) => !context.has_key,
            // A proxy in between would try again, or take this server for broken.
            Error::UnknownUrl(_)
            | Error::ModelNotFound(_)
            | Error::PreviousResponseNotFound(_)
            | Error::MethodNotAllowed(_) => true,
            _ => false,
        };
        if is_for_good {
            response.insert_header((SHOULD_RETRY, "false"));
        }
        response
    }

    /// Returns the body, which also ends a stream that broke.
    pub fn openai_body(&self, endpoint: Option<Endpoint>) -> Value {
        let error = OpenAiFault {
            message: self.openai_message(),
            r#type: self.openai_type(),
            param: self.openai_param(endpoint),
            code: self.openai_code(),
        };
        // Texts can always be written.
        serde_json::to_value(OpenAiBody { error }).unwrap_or_default()
    }

    /// Returns the status of the protocol where the old contract has another one. None of the
    /// clients that we tried retries a 402.
    fn openai_status(&self) -> StatusCode {
        match self {
            Error::InsufficientTokens { .. } => StatusCode::PAYMENT_REQUIRED,
            _ => self.status_code(),
        }
    }

    pub(super) fn openai_message(&self) -> String {
        let fields = self.fields().iter().map(|field| format!("{}: {}.", field.field, field.reason));
        match self {
            Error::Invalid(_) | Error::InvalidMessage(_) => fields.collect::<Vec<_>>().join(" "),
            Error::ModelNotFound(name) => format!("The model `{name}` does not exist. {}", self.detail()),
            Error::UnknownUrl(_) => format!("Unknown request URL. {}", self.detail()),
            _ => format!("{self}. {}", self.detail()),
        }
    }

    fn openai_type(&self) -> &'static str {
        match self {
            Error::InsufficientTokens { .. } => "insufficient_quota",
            Error::Unauthorized | Error::TokenNotFound => "authentication_error",
            Error::TooManyRequests(_) | Error::TooManyChats | Error::UserMemoryFull => "rate_limit_error",
            _ if self.status_code().is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// Returns the field at fault, by the name that it has at the endpoint.
    pub(super) fn openai_param(&self, endpoint: Option<Endpoint>) -> Option<&'static str> {
        let field = match self {
            Error::Invalid(field) => field.field,
            Error::RequestRefused(field) => (*field)?,
            Error::ContextTooLong => "messages",
            Error::ModelNotFound(_) => "model",
            Error::PreviousResponseNotFound(_) => "previous_response_id",
            _ => return None,
        };
        Some(endpoint.map_or(field, |endpoint| endpoint.field(field)))
    }

    pub(super) fn openai_code(&self) -> String {
        match self {
            Error::InsufficientTokens { .. } => "insufficient_quota".to_owned(),
            Error::Unauthorized | Error::TokenNotFound => "invalid_api_key".to_owned(),
            Error::TooManyRequests(_) | Error::TooManyChats => "rate_limit_exceeded".to_owned(),
            Error::UnknownUrl(_) => "unknown_url".to_owned(),
            // Our own code, where the protocol has none.
            _ => self.slug().replace('-', "_"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_balance_is_402_and_not_to_be_tried_again() {
        let error = Error::InsufficientTokens { balance: 3, price: 100, is_at_most: false, top_up: None };
        let response = error.openai_response(RetryContext::default());
        assert_eq!(response.status(), 402);
        assert_eq!(response.headers().get("x-should-retry").unwrap(), "false");
        assert!(response.headers().get("retry-after").is_none());
    }

    #[test]
    fn what_is_not_confirmed_is_tried_again_only_under_a_key() {
        let error = Error::Unavailable("a test".to_owned());
        for (has_key, told) in [(true, None), (false, Some("false"))] {
            let response = error.openai_response(RetryContext { has_key, ..RetryContext::default() });
            let header = response.headers().get("x-should-retry").map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), header), (503, told));
        }
        assert!(
            Error::Busy(2).openai_response(RetryContext::default()).headers().get("x-should-retry").is_none()
        );
    }

    #[test]
    fn what_failed_twice_or_would_fail_again_is_not_tried_again() {
        for (reason, is_retry, told) in [
            (FailureReason::ServerError, false, None),
            (FailureReason::ServerError, true, Some("false")),
            (FailureReason::Stalled, true, None),
            (FailureReason::KeyRejected, false, Some("false")),
        ] {
            let context = RetryContext { is_retry, ..RetryContext::default() };
            let response = Error::ResponderFailed(reason).openai_response(context);
            let header = response.headers().get("x-should-retry").map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), header), (502, told), "{reason:?} {is_retry}");
        }
    }

    #[test]
    fn a_model_that_is_not_there_is_named() {
        let body = Error::ModelNotFound("gpt-9".to_owned()).openai_body(None);
        assert_eq!(body["error"]["code"], "model_not_found");
        assert_eq!(body["error"]["param"], "model");
        assert!(body["error"]["message"].as_str().unwrap().starts_with("The model `gpt-9` does not exist."));
    }
}
