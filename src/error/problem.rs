//! Renders an error as `application/problem+json` (RFC 9457), with the advice that `/v1` gives,
//! too.

use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::Error;
use crate::domain::Invalid;

/// An error as RFC 9457 defines it, for clients that accept `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The kind of error, `urn:tollgate:problem:` and one word. It never changes.
    r#type: String,
    /// What happened, in a few words.
    title: String,
    /// The status of the response.
    status: u16,
    /// What to do about it.
    detail: String,
    /// The fields at fault. Missing if no field is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
}

/// A field at fault.
#[derive(Debug, Serialize, ToSchema)]
struct FieldProblem {
    /// The name of the field, or of the parameter or header.
    field: &'static str,
    /// What to give instead.
    detail: String,
}

const UNCONFIRMED: &str =
    "It is not known whether this was done. Check, or send it again with the same Idempotency-Key.";

/// Returns what to do when an auth token was made by an earlier request.
fn auth_token_made(id: i64) -> String {
    format!(
        "Only its digest is stored, so it cannot be shown again. If you do not have it, revoke it by DELETE \
         /auth-tokens/{id}/ and make another one under a new Idempotency-Key."
    )
}

/// Returns the detail of a balance that is below the price.
fn too_expensive(balance: i64, price: i64, is_at_most: bool, top_up: Option<&str>) -> String {
    let costs = if is_at_most { "may cost up to" } else { "costs" };
    let fault = format!("This {costs} {price} tokens and the balance is {balance}");
    match top_up {
        None => format!("{fault}: ask for a top-up."),
        Some(top_up) => format!("{fault}. To top it up: {top_up}"),
    }
}

impl Error {
    /// All results of [`Error::slug`], in order.
    pub const SLUGS: [&'static str; 38] = [
        "answer-not-kept",
        "auth-token-made",
        "body-too-large",
        "busy",
        "context-length-exceeded",
        "head-too-large",
        "idempotency-key-in-flight",
        "idempotency-key-reused",
        "insufficient-tokens",
        "internal",
        "invalid-body",
        "invalid-credentials",
        "invalid-field",
        "invalid-message",
        "invalid-password",
        "invalid-registration",
        "invalid-username",
        "memory-full",
        "method-not-allowed",
        "model-not-found",
        "not-found",
        "password-queue-full",
        "previous-response-not-found",
        "read-too-slowly",
        "registration-closed",
        "request-refused",
        "request-timeout",
        "responder-failed",
        "too-many-chats",
        "too-many-large-bodies",
        "too-many-requests",
        "unauthorized",
        "unavailable",
        "unknown-host",
        "unreadable-body",
        "unsupported-media-type",
        "user-memory-full",
        "username-taken",
    ];

    /// Returns the last part of the problem's `type`. It is part of the contract and never changes.
    /// Metrics and the log name an error by it, too.
    pub fn slug(&self) -> &'static str {
        match self {
            Error::InvalidRegistration(_) => "invalid-registration",
            Error::UsernameTaken => "username-taken",
            Error::RegistrationClosed => "registration-closed",
            Error::InvalidUsername => "invalid-username",
            Error::InvalidPassword => "invalid-password",
            Error::InvalidCredentials => "invalid-credentials",
            Error::Unauthorized | Error::TokenNotFound => "unauthorized",
            Error::InvalidMessage(_) => "invalid-message",
            Error::InsufficientTokens { .. } => "insufficient-tokens",
            Error::Invalid(_) => "invalid-field",
            Error::UnreadableBody { .. } => "unreadable-body",
            Error::NotFound | Error::UnknownUrl(_) => "not-found",
            Error::UnknownHost => "unknown-host",
            Error::MethodNotAllowed(_) => "method-not-allowed",
            Error::BodyCutShort => "invalid-body",
            Error::RequestTimeout => "request-timeout",
            Error::KeyInFlight => "idempotency-key-in-flight",
            Error::KeyReused => "idempotency-key-reused",
            Error::AnswerNotKept => "answer-not-kept",
            Error::AuthTokenMade(_) => "auth-token-made",
            Error::BodyTooLarge(_) => "body-too-large",
            Error::UnsupportedMediaType(_) | Error::UnsupportedCoding => "unsupported-media-type",
            Error::HeadTooLarge => "head-too-large",
            Error::TooManyRequests(_) => "too-many-requests",
            Error::TooManyChats => "too-many-chats",
            Error::ModelNotFound(_) => "model-not-found",
            Error::PreviousResponseNotFound(_) => "previous-response-not-found",
            Error::Busy(_) => "busy",
            Error::MemoryFull => "memory-full",
            Error::UserMemoryFull => "user-memory-full",
            Error::TooManyLargeBodies(_) => "too-many-large-bodies",
            Error::PasswordQueueFull(_) => "password-queue-full",
            Error::RequestRefused(_) => "request-refused",
            Error::ContextTooLong => "context-length-exceeded",
            Error::ReadTooSlowly => "read-too-slowly",
            Error::ResponderFailed(_) | Error::PaidWithoutAnswer(_) => "responder-failed",
            Error::NotReady(_) | Error::IndexBehind(_) | Error::IndexWrong | Error::Unavailable(_) => {
                "unavailable"
            }
            Error::Database(_) if self.is_constraint_violation() => "internal",
            Error::Database(_) => "unavailable",
            Error::Internal(_) => "internal",
        }
    }

    /// Returns a sentence on what the client can do about the error.
    pub fn detail(&self) -> String {
        let text = match self {
            Error::InvalidRegistration(_) => {
                "Correct the fields that `errors` names and send the request again."
            }
            Error::UsernameTaken => "Choose a username that neither is another user's nor looks like it.",
            Error::RegistrationClosed => "Ask an administrator of this server for an account.",
            Error::InvalidUsername | Error::InvalidPassword | Error::InvalidCredentials => {
                "Check the username and the password; a deactivated user cannot log in."
            }
            Error::Unauthorized | Error::TokenNotFound => {
                "Send a valid auth token as `Authorization: Bearer <token>`; POST /login/ makes one."
            }
            Error::InvalidMessage(_) | Error::Invalid(_) => "Correct the field that `errors` names.",
            Error::InsufficientTokens { balance, price, is_at_most, top_up } => {
                return too_expensive(*balance, *price, *is_at_most, top_up.as_deref());
            }
            Error::UnreadableBody { .. }
            | Error::NotFound
            | Error::UnknownUrl(_)
            | Error::UnknownHost
            | Error::MethodNotAllowed(_)
            | Error::BodyCutShort
            | Error::RequestTimeout
            | Error::BodyTooLarge(_)
            | Error::UnsupportedMediaType(_)
            | Error::UnsupportedCoding
            | Error::HeadTooLarge => return self.detail_of_http(),
            Error::KeyInFlight => "Wait for the first answer, or send the same request again later.",
            Error::KeyReused => "Send the same request as before under this key, or use a new key.",
            Error::AnswerNotKept => {
                "Nothing was charged now. Embeddings of more than 256 KiB are not stored, and of a user's only the \
                 latest 64 MiB are. To make them again, and be charged again, use another Idempotency-Key or \
                 none; smaller batches are stored."
            }
            Error::AuthTokenMade(id) => return auth_token_made(*id),
            Error::ModelNotFound(_) => "Ask for one of the models that GET /v1/models lists.",
            Error::PreviousResponseNotFound(_) => {
                "It may have been deleted, or sent with \"store\": false. Send the whole conversation as input."
            }
            Error::TooManyRequests(_)
            | Error::TooManyChats
            | Error::MemoryFull
            | Error::UserMemoryFull
            | Error::TooManyLargeBodies(_)
            | Error::Busy(_)
            | Error::PasswordQueueFull(_) => return self.detail_of_limit(),
            Error::RequestRefused(_)
            | Error::ContextTooLong
            | Error::ReadTooSlowly
            | Error::ResponderFailed(_)
            | Error::PaidWithoutAnswer(_) => return self.detail_of_answer(),
            Error::NotReady(reason) => {
                return format!("This node takes no requests now ({reason}): send them to another one.");
            }
            Error::IndexBehind(rows) => {
                return format!(
                    "The index of this list is being built, and {rows} rows are not in it yet, which can take \
                     minutes. Nothing is lost, and chats go on: ask again later."
                );
            }
            Error::IndexWrong => {
                "The index of this list is being checked. Nothing is lost, and chats go on: ask again later."
            }
            Error::Unavailable(_) => UNCONFIRMED,
            Error::Database(_) if !self.is_constraint_violation() => UNCONFIRMED,
            Error::Database(_) | Error::Internal(_) => "Report the X-Request-Id to the server's operator.",
        };
        text.to_owned()
    }

    /// Returns what the client can do about an answer that failed.
    fn detail_of_answer(&self) -> String {
        let text = match self {
            Error::RequestRefused(Some(field)) => {
                return format!("Nothing was charged in the end. Change or remove the field `{field}`.");
            }
            Error::RequestRefused(None) => {
                "Nothing was charged in the end. Change or remove messages or options."
            }
            Error::ContextTooLong => {
                "This model's maximum context length is exceeded. Nothing was charged in the end. Send \
                 shorter or fewer messages, or ask for a shorter answer."
            }
            Error::ReadTooSlowly => {
                "What had arrived is charged, and is in your history. Read the stream without long pauses."
            }
            Error::ResponderFailed(reason) if reason.is_lasting() => {
                "Nothing was charged in the end. The same request would fail again: report it to the \
                 server's operator."
            }
            Error::ResponderFailed(_) => "Nothing was charged in the end. Try again later.",
            Error::PaidWithoutAnswer(reason) => {
                return format!(
                    "The upstream worked on this ({reason}): the prompt and what was written are charged, and \
                     are in your history. To ask again, use another Idempotency-Key."
                );
            }
            _ => "Try again later.",
        };
        text.to_owned()
    }

    /// Returns what the client can do about an error of the request's form, on any path.
    fn detail_of_http(&self) -> String {
        let text = match self {
            Error::UnreadableBody { fault, .. } => {
                return format!("The body could not be parsed: {}.", fault.reason);
            }
            Error::NotFound => "Check the path and the id.",
            Error::UnknownUrl(url) => return url.detail(),
            Error::UnknownHost => {
                "Pages may use this server as localhost, by an IP address, or under the host name of \
                 --public-url. For another name, name the page's origin in --cors-origins."
            }
            Error::MethodNotAllowed(allow) => return format!("Use one of these methods: {allow}."),
            Error::BodyCutShort => "Send the whole body, as Content-Length or its chunks say.",
            Error::RequestTimeout => "Send the whole body without pauses.",
            Error::BodyTooLarge(most) => return format!("Send at most {} KiB.", most / 1024),
            Error::UnsupportedMediaType(accepted) => {
                return format!("Send the body as one of these, named in its Content-Type: {accepted}.");
            }
            Error::UnsupportedCoding => "Send the body uncompressed, without Content-Encoding.",
            Error::HeadTooLarge => "Send at most 16 KiB of request line and headers.",
            _ => "Correct the request.",
        };
        text.to_owned()
    }

    /// Returns what the client can do at a limit.
    fn detail_of_limit(&self) -> String {
        let text = match self {
            Error::TooManyRequests(retry) => {
                let (seconds, bound) = (retry.seconds(), retry.bound());
                return format!("Wait {seconds} s, then try again. There were too many {bound}.");
            }
            Error::TooManyChats => "Wait for an answer to one of your chats, then try again.",
            Error::MemoryFull => {
                "Nothing was charged. Large requests and responses take all of --memory-budget. Try again \
                 later, as Retry-After says."
            }
            Error::UserMemoryFull => "Nothing was charged. Wait for your large requests, or send less.",
            Error::TooManyLargeBodies(places) => {
                return format!(
                    "Nothing was charged. At most {places} large bodies are read at once, shared out fairly \
                     among users. Try again later, as Retry-After says."
                );
            }
            Error::Busy(_) => "Nothing was charged. Try again later, as Retry-After says.",
            Error::PasswordQueueFull(_) => {
                "Too many passwords are being checked. Nothing was done: try again later, as Retry-After \
                 says."
            }
            _ => "Try again later.",
        };
        text.to_owned()
    }

    /// Returns the fields that the rules rejected.
    pub(super) fn fields(&self) -> &[Invalid] {
        match self {
            Error::InvalidRegistration(fields) => fields,
            Error::InvalidMessage(field) | Error::Invalid(field) => std::slice::from_ref(field),
            Error::UnreadableBody { fault, .. } => std::slice::from_ref(fault),
            _ => &[],
        }
    }

    /// Returns what happened, in a few words.
    pub fn title(&self) -> String {
        match self {
            // The contract's text would name a field that nobody could read.
            Error::UnreadableBody { .. } => "Unreadable body".to_owned(),
            Error::UnknownHost => "Unknown host name".to_owned(),
            _ => self.to_string(),
        }
    }

    /// Returns the response as RFC 9457 defines it, for a client that accepts
    /// `application/problem+json`.
    pub fn problem(&self) -> HttpResponse {
        let field = |fault: &Invalid| FieldProblem { field: fault.field, detail: fault.reason.clone() };
        let problem = Problem {
            r#type: format!("urn:tollgate:problem:{}", self.slug()),
            title: self.title(),
            status: self.status_code().as_u16(),
            detail: self.detail(),
            errors: self.fields().iter().map(field).collect(),
        };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        self.response().content_type("application/problem+json").body(body)
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    /// A slug that is not in the list would be counted as `other`.
    #[test]
    fn every_slug_is_in_the_list_of_slugs() {
        let source = include_str!("problem.rs");
        let (_, function) = source.split_once("pub fn slug(&self)").unwrap();
        let (function, _) = function.split_once("\n    }\n").unwrap();
        let mut slugs: Vec<&str> = function.split('"').skip(1).step_by(2).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs, Error::SLUGS);
    }
}
