//! Renders an error for clients of Anthropic's protocol: `{"type": "error", "error": {"type",
//! "message", "param", "code"}, "request_id"}`. `param` and `code` are those of the OpenAI
//! protocol: Anthropic's does not have them.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Error, RetryContext};
use crate::domain::{Endpoint, RequestId};

/// An error in the form of Anthropic's protocol.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnthropicError)]
pub struct AnthropicBody {
    /// Always `error`.
    r#type: &'static str,
    /// The id of the request, as in `X-Request-Id`.
    #[schema(required)]
    request_id: Option<String>,
    error: AnthropicFault,
}

/// What is wrong, for clients of Anthropic's protocol.
#[derive(Debug, Serialize, ToSchema)]
struct AnthropicFault {
    /// The kind of error, which the protocol prescribes for each status.
    r#type: &'static str,
    /// What is wrong, and what to do about it.
    message: String,
    /// The field at fault. `null` if no field is. Anthropic's own errors do not have this.
    #[schema(required)]
    param: Option<&'static str>,
    /// A code that never changes. Anthropic's own errors do not have this.
    code: String,
}

impl Error {
    /// Returns the response to a request under `/v1/messages`.
    pub fn anthropic_response(&self, context: RetryContext) -> HttpResponse {
        let mut response = self.protocol_response(context);
        response.insert_header((header::CONTENT_TYPE, "application/json"));
        response.body(self.anthropic_body(context.request_id).to_string())
    }

    /// Returns the body, which also ends a stream that broke.
    pub fn anthropic_body(&self, request_id: Option<RequestId>) -> Value {
        let error = AnthropicFault {
            r#type: self.anthropic_type(),
            message: self.anthropic_message(),
            param: self.openai_param(Some(Endpoint::Messages)),
            code: self.openai_code(),
        };
        let request_id = request_id.map(|id| id.to_string());
        // Texts can always be written.
        serde_json::to_value(AnthropicBody { r#type: "error", request_id, error }).unwrap_or_default()
    }

    /// Returns the message. Claude Code knows by these words that it must shorten the conversation.
    fn anthropic_message(&self) -> String {
        let message = self.openai_message();
        if matches!(self, Error::ContextTooLong) { format!("prompt is too long: {message}") } else { message }
    }

    /// Returns the type. Anthropic prescribes one for each status.
    fn anthropic_type(&self) -> &'static str {
        if matches!(self, Error::InsufficientTokens { .. }) {
            return "billing_error";
        }
        match self.status_code() {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "api_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureReason;

    #[test]
    fn a_conversation_that_is_too_long_has_the_words_that_clients_look_for() {
        let body = Error::ContextTooLong.anthropic_body(None);
        assert!(body["error"]["message"].as_str().unwrap().starts_with("prompt is too long: "));
    }

    #[test]
    fn an_error_has_the_type_that_its_status_prescribes() {
        let empty = Error::InsufficientTokens { balance: 3, price: 100, is_at_most: false, top_up: None };
        for (error, status, kind) in [
            (empty, 402, "billing_error"),
            (Error::Unauthorized, 401, "authentication_error"),
            (Error::ModelNotFound("claude-9".to_owned()), 404, "not_found_error"),
            (Error::ContextTooLong, 400, "invalid_request_error"),
            (Error::BodyTooLarge(5), 413, "request_too_large"),
            (Error::TooManyChats, 429, "rate_limit_error"),
            (Error::ResponderFailed(FailureReason::ServerError), 502, "api_error"),
            (Error::Busy(2), 503, "overloaded_error"),
        ] {
            let response = error.anthropic_response(RetryContext::default());
            assert_eq!(response.status().as_u16(), status, "{error:?}");
            assert_eq!(error.anthropic_body(None)["error"]["type"], kind, "{error:?}");
        }
    }
}
