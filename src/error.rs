//! The one error type. A function that a request can reach returns [`Result`]; each variant's text is what the
//! client reads, word for word what the contract says, and `detail` is the advice for `application/problem+json`.
//! What went wrong inside is logged once, at the edge (`error_response`), and never shown.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use serde::Serialize;

use crate::domain::{Invalid, NoRandomness};

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
    #[error("Request body too large")]
    BodyTooLarge,
    #[error("Unsupported media type")]
    UnsupportedMediaType,
    #[error("Request header fields too large")]
    HeadTooLarge,
    /// Throttled; `Retry-After` in seconds.
    #[error("Too many requests")]
    TooManyRequests(u64),
    /// What answers messages failed; the charge went back before this is sent.
    #[error("The message could not be answered")]
    ResponderFailed(&'static str),
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

/// How long a client should wait before it tries again after a 503, in seconds.
const RETRY_AFTER_UNAVAILABLE: u64 = 2;

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

    /// The last part of the problem's `type`: it never changes.
    fn slug(&self) -> &'static str {
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
            Error::NotFound => "not-found",
            Error::MethodNotAllowed(_) => "method-not-allowed",
            Error::BodyCutShort => "invalid-body",
            Error::RequestTimeout => "request-timeout",
            Error::KeyInFlight => "idempotency-key-in-flight",
            Error::KeyReused => "idempotency-key-reused",
            Error::BodyTooLarge => "body-too-large",
            Error::UnsupportedMediaType => "unsupported-media-type",
            Error::HeadTooLarge => "head-too-large",
            Error::TooManyRequests(_) => "too-many-requests",
            Error::ResponderFailed(_) => "responder-failed",
            Error::Unavailable(_) => "unavailable",
            Error::Database(_) if self.is_constraint_violation() => "internal",
            Error::Database(_) => "unavailable",
            Error::Internal(_) => "internal",
        }
    }

    /// What the client can do about it.
    fn detail(&self) -> String {
        let text = match self {
            Error::InvalidRegistration(_) => {
                "Correct the fields that `errors` names and send the request again."
            }
            Error::UsernameTaken => "Choose another username; letter case makes no difference.",
            Error::RegistrationClosed => "Ask an administrator of this server for an account.",
            Error::InvalidUsername | Error::InvalidPassword | Error::InvalidCredentials => {
                "Check the username and the password; a deactivated user cannot log in."
            }
            Error::Unauthorized | Error::TokenNotFound => {
                "Send a valid auth token as `Authorization: Bearer <token>`; POST /login/ makes one."
            }
            Error::InvalidMessage(_) | Error::Invalid(_) => "Correct the field that `errors` names.",
            Error::InsufficientTokens { balance, price } => {
                return format!("This costs {price} tokens and the balance is {balance}: ask for a top-up.");
            }
            Error::NotFound => "Check the path and the id.",
            Error::MethodNotAllowed(allow) => return format!("Use one of these methods: {allow}."),
            Error::BodyCutShort => "Send the whole body, as Content-Length or its chunks say.",
            Error::RequestTimeout => "Send the whole body without pauses.",
            Error::KeyInFlight => "Wait for the first answer, or send the same request again later.",
            Error::KeyReused => "Send the same request as before under this key, or use a new key.",
            Error::BodyTooLarge => "Send at most 512 KiB.",
            Error::UnsupportedMediaType => "Send JSON, uncompressed, as `Content-Type: application/json`.",
            Error::HeadTooLarge => "Send at most 16 KiB of request line and headers.",
            Error::TooManyRequests(seconds) => return format!("Wait {seconds} s, then try again."),
            Error::ResponderFailed(_) => "Nothing was charged in the end. Try again later.",
            Error::Unavailable(_) => UNCONFIRMED,
            Error::Database(_) if !self.is_constraint_violation() => UNCONFIRMED,
            Error::Database(_) | Error::Internal(_) => "Report the X-Request-Id to the server's operator.",
        };
        text.to_owned()
    }

    /// The fields at fault.
    fn fields(&self) -> &[Invalid] {
        match self {
            Error::InvalidRegistration(fields) => fields,
            Error::InvalidMessage(field) | Error::Invalid(field) => std::slice::from_ref(field),
            _ => &[],
        }
    }

    /// The error as RFC 9457 has it, for a client that asks for `application/problem+json`.
    pub fn problem(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct FieldProblem<'a> {
            field: &'a str,
            detail: &'a str,
        }
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: String,
            title: String,
            status: u16,
            detail: String,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            errors: Vec<FieldProblem<'a>>,
        }
        let errors =
            self.fields().iter().map(|f| FieldProblem { field: f.field, detail: &f.reason }).collect();
        let problem = Problem {
            r#type: format!("urn:tollgate:problem:{}", self.slug()),
            title: self.to_string(),
            status: self.status_code().as_u16(),
            detail: self.detail(),
            errors,
        };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        self.response().content_type("application/problem+json").body(body)
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
            Error::TooManyRequests(seconds) => {
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            Error::BodyCutShort | Error::RequestTimeout | Error::BodyTooLarge | Error::HeadTooLarge => {
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
            Error::Database(error) if !self.is_constraint_violation() => log::warn!("answered 503: {error}"),
            Error::Database(error) => log::error!("answered 500: {error}"),
            Error::Internal(why) => log::error!("answered 500: {why}"),
            Error::ResponderFailed(why) => log::warn!("the responder failed: {why}"),
            _ => {}
        }
    }
}

const UNCONFIRMED: &str =
    "It is not confirmed whether this was done. Look, or send it again with the same Idempotency-Key.";

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
            | Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Unauthorized | Error::TokenNotFound => StatusCode::UNAUTHORIZED,
            Error::RegistrationClosed => StatusCode::FORBIDDEN,
            Error::NotFound => StatusCode::NOT_FOUND,
            Error::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Error::KeyInFlight => StatusCode::CONFLICT,
            Error::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Error::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Error::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Error::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::ResponderFailed(_) => StatusCode::BAD_GATEWAY,
            Error::Database(_) if self.is_constraint_violation() => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Unavailable(_) | Error::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.response().json(serde_json::json!({ "error": self.to_string() }))
    }
}

impl From<NoRandomness> for Error {
    fn from(error: NoRandomness) -> Self {
        Error::Unavailable(error.to_string())
    }
}
