//! Reasons why there is no answer.

use std::time::Duration;

use crate::domain::{FailureReason, Invalid};
use crate::error::Error;

/// When to retry if all places are taken, in seconds.
const RETRY_AFTER_BUSY: u64 = 2;

/// When to retry if the upstream itself has too many requests and our retries did not help, in
/// seconds.
const RETRY_AFTER_LIMITED: u64 = 5;

/// Why there is no answer, or no complete one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The dummy failed, as configured.
    DummyFailed,
    /// No connection could be made.
    Unreachable,
    /// The connection broke before the answer began.
    ConnectionLost,
    /// Nothing arrived within the time limit for the first byte.
    FirstByteTimeout,
    /// Nothing more arrived within the time limit between two parts.
    Stalled,
    /// The answer was not finished within the total time limit.
    TotalTimeout,
    /// The connection broke, or the stream ended, before the answer did.
    CutShort,
    /// A part was not JSON, or not of the protocol.
    Unreadable,
    /// The upstream reported an error during the answer.
    ErrorInAnswer,
    /// The status was a success, but the response was not a stream of events.
    NotAnAnswer,
    /// The answer exceeded its limits.
    TooLarge,
    /// 401 or 403: our key is not accepted.
    KeyRejected,
    /// 402, 404, 405 or 410: no credit, no such model, no such address.
    ModelUnavailable,
    /// Another 4xx: the request was rejected. Names the field of the protocol that is at fault, if
    /// the upstream does.
    RequestRejected(Option<&'static str>),
    /// The upstream has no endpoint for the question, or not for this model. Names the field that
    /// stands in the way of asking otherwise.
    EndpointMissing(&'static str),
    /// The conversation is too long for the model.
    ContextTooLong,
    /// The upstream rejected a field that this server sets.
    SettingRejected(&'static str),
    /// 429.
    RateLimited,
    /// 5xx.
    ServerError,
    /// The model ended its answer without writing anything.
    EmptyAnswer,
    /// The limit of calls in flight was reached, and no place became free in time.
    Busy,
    /// Too many calls of this user already wait for a place.
    TooManyOfUser,
    /// No memory was left for the answer.
    MemoryFull,
    /// The circuit breaker is open. The duration is the time until the next attempt.
    CircuitOpen(Duration),
    /// This server is stopping.
    ServerStopped,
}

impl Failure {
    /// Returns the reason that is stored and shown.
    pub fn reason(self) -> FailureReason {
        match self {
            Failure::DummyFailed => FailureReason::DummyFailed,
            Failure::Unreachable => FailureReason::Unreachable,
            Failure::ConnectionLost => FailureReason::ConnectionLost,
            Failure::FirstByteTimeout => FailureReason::FirstByteTimeout,
            Failure::Stalled => FailureReason::Stalled,
            Failure::TotalTimeout => FailureReason::TotalTimeout,
            Failure::CutShort => FailureReason::CutShort,
            Failure::Unreadable => FailureReason::Unreadable,
            Failure::ErrorInAnswer => FailureReason::ErrorInAnswer,
            Failure::NotAnAnswer => FailureReason::NotAnAnswer,
            Failure::TooLarge => FailureReason::TooLarge,
            Failure::KeyRejected => FailureReason::KeyRejected,
            Failure::ModelUnavailable => FailureReason::ModelUnavailable,
            Failure::RequestRejected(_) => FailureReason::RequestRejected,
            Failure::EndpointMissing(_) => FailureReason::EndpointMissing,
            Failure::ContextTooLong => FailureReason::ContextTooLong,
            Failure::SettingRejected(_) => FailureReason::SettingRejected,
            Failure::RateLimited => FailureReason::RateLimited,
            Failure::ServerError => FailureReason::ServerError,
            Failure::EmptyAnswer => FailureReason::EmptyAnswer,
            Failure::Busy => FailureReason::Busy,
            Failure::TooManyOfUser => FailureReason::TooManyOfUser,
            Failure::MemoryFull => FailureReason::MemoryFull,
            Failure::CircuitOpen(_) => FailureReason::CircuitOpen,
            Failure::ServerStopped => FailureReason::ServerStopped,
        }
    }
}

/// The error that the client gets.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Busy => Error::Busy(RETRY_AFTER_BUSY),
            Failure::CircuitOpen(rest) => Error::Busy(rest.as_secs() + 1),
            Failure::TooManyOfUser => Error::TooManyChats,
            Failure::RateLimited => Error::Busy(RETRY_AFTER_LIMITED),
            Failure::RequestRejected(field) => Error::RequestRefused(field),
            Failure::EndpointMissing(field) => Error::Invalid(Invalid::new(field, instead_of(field))),
            Failure::ContextTooLong => Error::ContextTooLong,
            Failure::MemoryFull => Error::MemoryFull,
            failure => Error::ResponderFailed(failure.reason()),
        }
    }
}

/// Returns what to do if the upstream has no endpoint for a question with this field.
fn instead_of(field: &str) -> &'static str {
    match field {
        "suffix" => {
            "leave it out, or name another model: the upstream takes only conversations for this one, which \
             have no suffix"
        }
        "prompt" => {
            "give one text, or name another model: the upstream takes only conversations for this one"
        }
        _ => "name another model: the upstream does not do this with this one",
    }
}
