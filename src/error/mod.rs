//! The only error type of the server. A function that a request can reach returns [`Result`]. Each
//! variant's text is the one in the API's contract, word for word. [`problem`] renders it as RFC
//! 9457, [`openai`] in the form of `/v1`, and [`anthropic`] in that of `/v1/messages`. The cause is
//! logged once, in `error_response`, and never shown.

mod anthropic;
mod openai;
mod problem;
mod unknown_url;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use log::Level;
use rand::RngExt;
use serde::Serialize;
use utoipa::ToSchema;

pub use anthropic::AnthropicBody;
pub use openai::{OpenAiBody, RetryContext};
pub use problem::Problem;
pub use unknown_url::UnknownUrl;

use crate::domain::{FailureReason, Invalid, NoRandomness, RequestId};
use crate::logging::About;
use crate::throttle::{Exhausted, RetryAfter};

/// The result of a function that a request can reach.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed. The text of a variant is what the client reads.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Registration: the rules reject the name or the password, or the body cannot be parsed.
    #[error("Invalid username or password")]
    InvalidRegistration(Vec<Invalid>),
    /// Registration: a user has this name already.
    #[error("Username already exists")]
    UsernameTaken,
    /// Registration: `--registration closed` is set.
    #[error("Registration is closed")]
    RegistrationClosed,
    /// Log-in: no user has this name, or the body has no readable name.
    #[error("Invalid username")]
    InvalidUsername,
    /// Log-in: the password is wrong, or the user is deactivated.
    #[error("Invalid password")]
    InvalidPassword,
    /// Log-in under `--login-errors unified`: the name or the password is wrong.
    #[error("Invalid username or password")]
    InvalidCredentials,
    /// The request has no valid auth token or session.
    #[error("Unauthorized")]
    Unauthorized,
    /// `GET /tokens/`: the request has no valid auth token. The old contract has a text of its own
    /// for it.
    #[error("Unauthorized Token Not Found")]
    TokenNotFound,
    /// A chat: the rules reject the message.
    #[error("Invalid message")]
    InvalidMessage(Invalid),
    /// A chat: the balance is less than the price.
    #[error("Insufficient tokens")]
    InsufficientTokens {
        /// The user's balance, in tokens.
        balance: i64,
        /// What the message would cost, in tokens.
        price: i64,
        /// Whether it may cost less, because the price is by usage.
        is_at_most: bool,
        /// The operator's text on how to get more tokens.
        top_up: Option<Arc<str>>,
    },
    /// The rules reject a field of any other request.
    #[error("Invalid {}", .0.field)]
    Invalid(Invalid),
    /// The body cannot be parsed. `text` is the one that the contract has for it on this path.
    #[error("{text}")]
    UnreadableBody {
        /// What the client reads.
        text: String,
        /// Why the body cannot be parsed.
        fault: Invalid,
    },
    /// There is no such object that the user may see.
    #[error("Not found")]
    NotFound,
    /// There is no such path.
    #[error("Not found")]
    UnknownUrl(UnknownUrl),
    /// A page uses a host name that this server does not know: its owner may have pointed that name
    /// at this server, to make the browser take both for the same site (DNS rebinding).
    #[error("Unknown host name: if it is this server's own, its operator must set --public-url to it")]
    UnknownHost,
    /// The path does not have this method. Contains the value of the `Allow` header.
    #[error("Method not allowed")]
    MethodNotAllowed(String),
    /// The body ended early, or its chunked encoding is invalid.
    #[error("Invalid body")]
    BodyCutShort,
    /// The body did not arrive in time.
    #[error("Request timeout")]
    RequestTimeout,
    /// The first request with this `Idempotency-Key` is still being answered.
    #[error("A request with this Idempotency-Key is still being answered")]
    KeyInFlight,
    /// The `Idempotency-Key` belongs to a request with different content.
    #[error("This Idempotency-Key was used for another request")]
    KeyReused,
    /// The request was a repeat, under the same `Idempotency-Key`, of one whose answer was too
    /// large to be stored. Nothing was charged now.
    #[error("The answer was too large to be stored")]
    AnswerNotKept,
    /// The request was a repeat, under the same `Idempotency-Key`, of the one that made the auth
    /// token with this id.
    #[error("This auth token was made already, with the id {0}. For another one, use a new Idempotency-Key")]
    AuthTokenMade(i64),
    /// The body is too long. Contains the most bytes that it may have.
    #[error("Request body too large")]
    BodyTooLarge(usize),
    /// The request has a `Content-Type` that the path does not accept. Contains those that it does,
    /// as the header `Accept` lists them.
    #[error("Unsupported media type")]
    UnsupportedMediaType(&'static str),
    /// The body is compressed.
    #[error("Unsupported media type")]
    UnsupportedCoding,
    /// The request line and the headers are too long.
    #[error("Request header fields too large")]
    HeadTooLarge,
    /// A rate limit was reached. Contains the limit and when to retry.
    #[error("Too many requests")]
    TooManyRequests(RetryAfter),
    /// The user has the most chats in progress that the limit allows.
    #[error("Too many requests")]
    TooManyChats,
    /// A response: the one that it continues is not stored for this user. Contains the chat's id.
    #[error("Previous response with id 'resp_{0}' not found")]
    PreviousResponseNotFound(i64),
    /// A chat: no model of this name is on offer.
    #[error("Model not found")]
    ModelNotFound(String),
    /// The responder has no capacity for another call, or its circuit breaker is open. Nothing was
    /// charged, or the charge was returned. Contains `Retry-After` in seconds.
    #[error("Too busy")]
    Busy(u64),
    /// `--memory-budget` has no memory left for a large body.
    #[error("Too many large requests")]
    MemoryFull,
    /// The user's large requests use all the memory that one user may use.
    #[error("Too many requests")]
    UserMemoryFull,
    /// All places for large bodies are taken. Contains the number of places.
    #[error("Too many large requests")]
    TooManyLargeBodies(usize),
    /// Too many passwords wait to be hashed. Nothing was done. Contains `Retry-After` in seconds.
    #[error("Too busy")]
    PasswordQueueFull(u64),
    /// The responder rejected the request. The charge was returned before this is sent. Names the
    /// field that is at fault, if that is known.
    #[error("The model did not accept the request")]
    RequestRefused(Option<&'static str>),
    /// The conversation is too long for the model. The charge was returned before this is sent.
    #[error("The conversation is too long for the model")]
    ContextTooLong,
    /// The client read its stream so slowly that the answer was ended. What had arrived is charged.
    #[error("The answer was read too slowly")]
    ReadTooSlowly,
    /// The responder failed. The charge was returned before this is sent. Contains the reason.
    #[error("The message could not be answered")]
    ResponderFailed(FailureReason),
    /// This node accepts no requests now. Contains one fixed word for the reason.
    #[error("Service unavailable")]
    NotReady(&'static str),
    /// The message got no answer, but the upstream has worked on it: the prompt and the text that
    /// it wrote are charged. Contains the reason's text.
    #[error("The message could not be answered")]
    PaidWithoutAnswer(&'static str),
    /// A list cannot be read in full, because the index that it is found by is being built.
    /// Contains the number of rows that are not in it yet.
    #[error("Service unavailable")]
    IndexBehind(i64),
    /// A list cannot be read, because the index that it is found by names rows that are not of this
    /// list. It is being checked.
    #[error("Service unavailable")]
    IndexWrong,
    /// The outcome is unknown: the work may or may not have been done. The text inside goes to the
    /// log.
    #[error("Service unavailable")]
    Unavailable(String),
    /// A query failed. Inside a job, a constraint violation fails that job only; any other error
    /// ends the batch.
    #[error("Service unavailable")]
    Database(#[from] DieselError),
    /// A defect of this server. The text inside goes to the log.
    #[error("Internal server error")]
    Internal(String),
}

/// An error in the form of the old contract.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ContractBody {
    /// What is wrong. Clients may compare this text: it never changes.
    error: String,
    /// Why this node takes no requests. Only `GET /readyz` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
}

/// The header that names the limit that was reached.
const BOUND: HeaderName = HeaderName::from_static("x-ratelimit-bound");

/// How long a client should wait before it retries after a 503, in seconds.
const RETRY_AFTER_UNAVAILABLE: u64 = 2;
/// How long a client should wait while the index is being built, in seconds.
const RETRY_AFTER_INDEX: u64 = 5;
/// How long a client should wait when large bodies take all places or all memory, in seconds.
const RETRY_AFTER_LARGE: u64 = 5;
/// How long a client should wait at its limit of simultaneous chats, in seconds. It has already
/// waited, so its chats take long.
const RETRY_AFTER_CHATS: u64 = 2;

/// Returns a `Retry-After` of at least so many seconds. It differs from response to response, so
/// that clients that were rejected together do not all come back together.
fn spread(seconds: u64) -> String {
    let most = seconds.saturating_mul(2).saturating_add(2);
    rand::rng().random_range(seconds..=most).to_string()
}

impl Error {
    /// Returns whether another transaction has held a lock for too long, or PostgreSQL has ended
    /// this one to resolve a deadlock. A retry may well succeed.
    pub fn is_locked(&self) -> bool {
        const LOCKED: [&str; 3] =
            ["database is locked", "canceling statement due to lock timeout", "deadlock detected"];
        matches!(self, Error::Database(DieselError::DatabaseError(_, information))
                 if LOCKED.contains(&information.message()))
    }

    /// Returns the text for the log, with the cause.
    pub fn in_full(&self) -> String {
        match self {
            Error::Unavailable(why) | Error::Internal(why) => why.clone(),
            Error::Database(error) => error.to_string(),
            error => error.to_string(),
        }
    }

    /// Returns whether a query failed because a row violated a constraint of the schema. It is the
    /// only database error that a single job can cause, so the other jobs of its batch can go on.
    pub fn is_constraint_violation(&self) -> bool {
        use DatabaseErrorKind::*;
        matches!(
            self,
            Error::Database(DieselError::DatabaseError(
                UniqueViolation | ForeignKeyViolation | NotNullViolation | CheckViolation | RestrictViolation,
                _
            ))
        )
    }

    /// Returns whether a query failed because a value exists already that must be unique.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Error::Database(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)))
    }

    /// Returns the error of a body that cannot be parsed, on a path where the contract has this
    /// error's text for it.
    pub fn of_unreadable_body(self, fault: Invalid) -> Error {
        Error::UnreadableBody { text: self.to_string(), fault }
    }

    /// Returns the status and the headers, which all forms of the body share.
    fn response(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Error::Unauthorized | Error::TokenNotFound => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"tollgate\""));
            }
            Error::MethodNotAllowed(allow) => {
                response.insert_header((header::ALLOW, allow.as_str()));
            }
            // RFC 9110, 15.5.16.
            Error::UnsupportedMediaType(accepted) => {
                response.insert_header((header::ACCEPT, *accepted));
            }
            Error::UnsupportedCoding => {
                response.insert_header((header::ACCEPT_ENCODING, "identity"));
            }
            Error::TooManyRequests(retry) => {
                response.insert_header((header::RETRY_AFTER, retry.seconds().to_string()));
                response.insert_header((BOUND, retry.bound()));
            }
            Error::IndexBehind(_) | Error::IndexWrong => {
                response.insert_header((header::RETRY_AFTER, spread(RETRY_AFTER_INDEX)));
            }
            Error::Busy(seconds) | Error::PasswordQueueFull(seconds) => {
                response.insert_header((header::RETRY_AFTER, spread(*seconds)));
            }
            Error::TooManyChats => {
                response.insert_header((header::RETRY_AFTER, spread(RETRY_AFTER_CHATS)));
                response.insert_header((BOUND, "chats of one user at once"));
            }
            Error::UserMemoryFull => {
                response.insert_header((header::RETRY_AFTER, spread(RETRY_AFTER_LARGE)));
                response.insert_header((BOUND, "bytes of one user's large requests at once"));
            }
            Error::MemoryFull | Error::TooManyLargeBodies(_) => {
                response.insert_header((header::RETRY_AFTER, spread(RETRY_AFTER_LARGE)));
            }
            Error::BodyCutShort | Error::RequestTimeout | Error::BodyTooLarge(_) | Error::HeadTooLarge => {
                response.force_close();
            }
            _ if self.status_code() == StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, spread(RETRY_AFTER_UNAVAILABLE)));
            }
            _ => {}
        }
        response
    }

    /// Logs what the operator has to know, if anything. `request` is the request that failed.
    pub fn log(&self, request: Option<RequestId>) {
        if let Some((level, text)) = self.told() {
            let (reason, about) = (self.slug(), About(request));
            log::log!(level, request_id = request, reason = reason; "{text}{about}");
        }
    }

    /// Returns what the operator has to know, and how urgent it is.
    fn told(&self) -> Option<(Level, String)> {
        let refused = |why: &str| format!("answered 503: {why}");
        Some(match self {
            Error::Unavailable(why) => (Level::Warn, refused(why)),
            Error::NotReady(why) => (Level::Info, format!("not ready: {why}")),
            Error::IndexBehind(rows) => {
                let why = format!("{rows} rows are not in the index yet, which is being built");
                (Level::Info, refused(&why))
            }
            Error::IndexWrong => {
                (Level::Warn, refused("the index names rows of others, and is being checked"))
            }
            Error::Database(error) if !self.is_constraint_violation() => {
                (Level::Warn, refused(&error.to_string()))
            }
            Error::Database(error) => (Level::Error, format!("answered 500: {error}")),
            Error::Internal(why) => (Level::Error, format!("answered 500: {why}")),
            Error::UnknownHost => {
                let what = "rejected a page's request to a host name that is not ours";
                (Level::Warn, format!("{what}: {}", self.detail()))
            }
            Error::ResponderFailed(reason) => {
                (Level::Warn, format!("the responder failed: {}", reason.text()))
            }
            Error::PaidWithoutAnswer(why) => (Level::Warn, format!("the responder failed: {why}")),
            Error::Busy(_)
            | Error::MemoryFull
            | Error::TooManyLargeBodies(_)
            | Error::PasswordQueueFull(_) => (Level::Warn, refused(&self.detail())),
            _ => return None,
        })
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Error::InvalidRegistration(_)
            | Error::UsernameTaken
            | Error::InvalidUsername
            | Error::InvalidPassword
            | Error::InvalidCredentials
            | Error::InvalidMessage(_)
            | Error::InsufficientTokens { .. }
            | Error::BodyCutShort
            | Error::RequestRefused(_)
            | Error::ContextTooLong
            | Error::PreviousResponseNotFound(_)
            | Error::UnreadableBody { .. }
            | Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Unauthorized | Error::TokenNotFound => StatusCode::UNAUTHORIZED,
            Error::RegistrationClosed => StatusCode::FORBIDDEN,
            Error::NotFound | Error::UnknownUrl(_) | Error::ModelNotFound(_) => StatusCode::NOT_FOUND,
            Error::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Error::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::RequestTimeout | Error::ReadTooSlowly => StatusCode::REQUEST_TIMEOUT,
            Error::KeyInFlight | Error::AnswerNotKept | Error::AuthTokenMade(_) => StatusCode::CONFLICT,
            Error::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Error::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::UnsupportedMediaType(_) | Error::UnsupportedCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Error::TooManyRequests(_) | Error::TooManyChats | Error::UserMemoryFull => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Error::ResponderFailed(_) | Error::PaidWithoutAnswer(_) => StatusCode::BAD_GATEWAY,
            Error::Database(_) if self.is_constraint_violation() => StatusCode::INTERNAL_SERVER_ERROR,
            Error::MemoryFull
            | Error::TooManyLargeBodies(_)
            | Error::Busy(_)
            | Error::PasswordQueueFull(_)
            | Error::NotReady(_)
            | Error::IndexBehind(_)
            | Error::IndexWrong
            | Error::Unavailable(_)
            | Error::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let reason = match self {
            Error::NotReady(reason) => Some(*reason),
            _ => None,
        };
        self.response().json(ContractBody { error: self.to_string(), reason })
    }
}

impl From<Exhausted> for Error {
    fn from(error: Exhausted) -> Self {
        match error {
            Exhausted::Budget => Error::MemoryFull,
            Exhausted::User => Error::UserMemoryFull,
        }
    }
}

impl From<NoRandomness> for Error {
    fn from(error: NoRandomness) -> Self {
        Error::Unavailable(error.to_string())
    }
}

/// Returns the innermost cause of an error of another library, for operators. The outer ones often
/// only repeat a URL.
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
