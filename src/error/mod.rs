//! The one error type. A function that a request can reach returns [`Result`]; each variant's text is what the
//! client reads, word for word what the contract says; [`problem`] has the form of RFC 9457, and [`openai`] that of `/v1`.
//! What went wrong inside is logged once, at the edge (`error_response`), and never shown.

mod openai;
mod problem;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::domain::{Invalid, NoRandomness};
use crate::throttle::{Exhausted, RetryAfter};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Registration: a name or password that the rules refuse, or an unreadable body.
    #[error("Invalid username or password")]
    InvalidRegistration(Vec<Invalid>),
    #[error("Username already exists")]
    UsernameTaken,
    /// `--registration closed`.
    #[error("Registration is closed")]
    RegistrationClosed,
    /// Log-in: no such user, or no readable name.
    #[error("Invalid username")]
    InvalidUsername,
    /// Log-in: the wrong password, or a user who is deactivated.
    #[error("Invalid password")]
    InvalidPassword,
    /// Log-in under `--login-errors unified`: either of the two.
    #[error("Invalid username or password")]
    InvalidCredentials,
    #[error("Unauthorized")]
    Unauthorized,
    /// The text that `GET /tokens/` has for the same.
    #[error("Unauthorized Token Not Found")]
    TokenNotFound,
    #[error("Invalid message")]
    InvalidMessage(Invalid),
    #[error("Insufficient tokens")]
    InsufficientTokens { balance: i64, price: i64 },
    /// A field of any other request that the rules refuse.
    #[error("Invalid {}", .0.field)]
    Invalid(Invalid),
    #[error("Not found")]
    NotFound,
    /// Holds the value of the `Allow` header.
    #[error("Method not allowed")]
    MethodNotAllowed(String),
    /// The body ended before its end, or its chunks are broken.
    #[error("Invalid body")]
    BodyCutShort,
    /// The body did not arrive in time.
    #[error("Request timeout")]
    RequestTimeout,
    /// An `Idempotency-Key` whose first request has not been answered yet.
    #[error("A request with this Idempotency-Key is still being answered")]
    KeyInFlight,
    #[error("This Idempotency-Key was used for another request")]
    KeyReused,
    /// Holds how many bytes it may have.
    #[error("Request body too large")]
    BodyTooLarge(usize),
    #[error("Unsupported media type")]
    UnsupportedMediaType,
    #[error("Request header fields too large")]
    HeadTooLarge,
    /// A limit was reached. Holds the limit and when to retry.
    #[error("Too many requests")]
    TooManyRequests(RetryAfter),
    /// The user has as many chats under way as may be.
    #[error("Too many requests")]
    TooManyChats,
    /// No model of this name is on offer.
    #[error("Model not found")]
    ModelNotFound(String),
    /// What answers messages has no place for another call, or rests; nothing was charged, or it went back. Holds
    /// `Retry-After` in seconds.
    #[error("Too busy")]
    Busy(u64),
    /// `--memory-budget` has no memory left for a large body.
    #[error("Too many large requests")]
    MemoryFull,
    /// The user's large requests take as much memory as one user may have.
    #[error("Too many requests")]
    UserMemoryFull,
    /// There is no place left for a large body. Holds the number of places.
    #[error("Too many large requests")]
    TooManyLargeBodies(usize),
    /// Too many passwords wait to be hashed. Nothing was done. Holds `Retry-After` in seconds.
    #[error("Too busy")]
    PasswordQueueFull(u64),
    /// What answers messages did not accept the request; the charge went back before this is sent.
    #[error("The model did not accept the request")]
    RequestRefused,
    /// The client took nothing of its stream for so long that the answer was ended; what had arrived is charged.
    #[error("The answer was read too slowly")]
    ReadTooSlowly,
    /// What answers messages failed; the charge went back before this is sent.
    #[error("The message could not be answered")]
    ResponderFailed(&'static str),
    /// This node accepts no requests now. Holds one fixed word for the reason.
    #[error("Service unavailable")]
    NotReady(&'static str),
    /// The message got no answer, but the upstream has worked on it: the prompt and what was
    /// written are charged.
    #[error("The message could not be answered")]
    PaidWithoutAnswer(&'static str),
    /// Not confirmed: the work may or may not have been done. The text inside goes to the log.
    #[error("Service unavailable")]
    Unavailable(String),
    /// A query failed. Inside a job a constraint violation is the job's own failure, anything else ends the batch.
    #[error("Service unavailable")]
    Database(#[from] DieselError),
    /// A defect of ours. The text inside goes to the log.
    #[error("Internal server error")]
    Internal(String),
}

/// The limit that was reached, in words.
const BOUND: HeaderName = HeaderName::from_static("x-ratelimit-bound");

/// How long a client should wait before it tries again after a 503, in seconds.
const RETRY_AFTER_UNAVAILABLE: u64 = 2;
/// How long a client should wait when large bodies take all places or all memory, in seconds.
const RETRY_AFTER_LARGE: u64 = 5;
/// And after as many chats as may be, as one of them may end at any moment.
const RETRY_AFTER_CHATS: u64 = 1;

impl Error {
    /// Whether a query failed because the row broke a rule of the schema: the only database error that is the
    /// doing of one job, so that the others of its batch can go on.
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

    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Error::Database(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)))
    }

    /// Status and headers, which both forms of body share.
    fn response(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Error::Unauthorized | Error::TokenNotFound => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"tollgate\""));
            }
            Error::MethodNotAllowed(allow) => {
                response.insert_header((header::ALLOW, allow.as_str()));
            }
            Error::TooManyRequests(retry) => {
                response.insert_header((header::RETRY_AFTER, retry.seconds().to_string()));
                response.insert_header((BOUND, retry.bound()));
            }
            Error::Busy(seconds) | Error::PasswordQueueFull(seconds) => {
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            Error::TooManyChats => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER_CHATS.to_string()));
                response.insert_header((BOUND, "chats of one user at once"));
            }
            Error::UserMemoryFull => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER_LARGE.to_string()));
                response.insert_header((BOUND, "bytes of one user's large requests at once"));
            }
            Error::MemoryFull | Error::TooManyLargeBodies(_) => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER_LARGE.to_string()));
            }
            Error::BodyCutShort | Error::RequestTimeout | Error::BodyTooLarge(_) | Error::HeadTooLarge => {
                response.force_close();
            }
            _ if self.status_code() == StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER_UNAVAILABLE.to_string()));
            }
            _ => {}
        }
        response
    }

    /// What the operator has to know, if anything.
    pub fn log(&self) {
        match self {
            Error::Unavailable(why) => log::warn!("answered 503: {why}"),
            Error::NotReady(why) => log::info!("not ready: {why}"),
            Error::Database(error) if !self.is_constraint_violation() => log::warn!("answered 503: {error}"),
            Error::Database(error) => log::error!("answered 500: {error}"),
            Error::Internal(why) => log::error!("answered 500: {why}"),
            Error::ResponderFailed(why) | Error::PaidWithoutAnswer(why) => {
                log::warn!("the responder failed: {why}")
            }
            Error::Busy(_)
            | Error::MemoryFull
            | Error::TooManyLargeBodies(_)
            | Error::PasswordQueueFull(_) => log::warn!("answered 503: {}", self.detail()),
            _ => {}
        }
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
            | Error::RequestRefused
            | Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Unauthorized | Error::TokenNotFound => StatusCode::UNAUTHORIZED,
            Error::RegistrationClosed => StatusCode::FORBIDDEN,
            Error::NotFound | Error::ModelNotFound(_) => StatusCode::NOT_FOUND,
            Error::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::RequestTimeout | Error::ReadTooSlowly => StatusCode::REQUEST_TIMEOUT,
            Error::KeyInFlight => StatusCode::CONFLICT,
            Error::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Error::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
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
            | Error::Unavailable(_)
            | Error::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = serde_json::json!({ "error": self.to_string() });
        if let Error::NotReady(reason) = self {
            body["reason"] = (*reason).into();
        }
        self.response().json(body)
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
