//! Reasons why there is no answer.

use std::time::Duration;

use crate::domain::Reason;
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
    ToldToFail,
    /// No connection could be made.
    Unreachable,
    /// The connection broke before the answer began.
    ConnectionLost,
    /// Nothing arrived within the time limit for the first byte.
    NoFirstByte,
    /// Nothing more arrived within the time limit between two parts.
    Stalled,
    /// The answer was not finished within the total time limit.
    TooLong,
    /// The connection broke, or the stream ended, before the answer did.
    CutShort,
    /// A part was not JSON, or not of the protocol.
    Unreadable,
    /// The upstream reported an error during the answer.
    ErrorInAnswer,
    /// The status was a success, but the response was not a stream of events.
    NoStream,
    /// The answer exceeded its limits.
    Endless,
    /// 401 or 403: our key is not accepted.
    KeyRefused,
    /// 402, 404, 405 or 410: no credit, no such model, no such address.
    Misconfigured,
    /// Another 4xx: the request was rejected, for example because it is too long for the model.
    RequestRefused,
    /// 429.
    RateLimited,
    /// 5xx.
    ServerError,
    /// The model ended its answer without writing anything.
    WroteNothing,
    /// All calls that may be in flight are, and no place became free in time.
    Busy,
    /// Too many calls of this user already wait for a place.
    TooManyOfUser,
    /// The circuit breaker is open. The duration is the time until the next attempt.
    Resting(Duration),
    /// This server is stopping.
    Stopped,
}

impl Failure {
    /// Returns the reason that is stored and shown.
    pub fn reason(self) -> Reason {
        match self {
            Failure::ToldToFail => "the dummy was told to fail",
            Failure::Unreachable => "the model could not be reached",
            Failure::ConnectionLost => "the connection to the model was lost",
            Failure::NoFirstByte => "the model did not begin to answer in time",
            Failure::Stalled => "the model fell silent",
            Failure::TooLong => "it took too long",
            Failure::CutShort => "the answer was cut short",
            Failure::Unreadable => "the answer could not be read",
            Failure::ErrorInAnswer => "the model told of an error",
            Failure::NoStream => "what came was not an answer",
            Failure::Endless => "the answer had no end",
            Failure::KeyRefused => "the model did not accept this server",
            Failure::Misconfigured => "the model is not there for this server",
            Failure::RequestRefused => "the model did not accept the request",
            Failure::RateLimited => "the model has too many requests",
            Failure::ServerError => "the model had an error",
            Failure::WroteNothing => "the model wrote nothing",
            Failure::Busy => "too many calls are in flight",
            Failure::TooManyOfUser => "too many of the user's calls wait",
            Failure::Resting(_) => "the model failed too often and is given a rest",
            Failure::Stopped => "the server was stopped",
        }
    }
}

/// The error that the client gets.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Busy => Error::Busy(RETRY_AFTER_BUSY),
            Failure::Resting(rest) => Error::Busy(rest.as_secs() + 1),
            Failure::TooManyOfUser => Error::TooManyChats,
            Failure::RateLimited => Error::Busy(RETRY_AFTER_LIMITED),
            Failure::RequestRefused => Error::RequestRefused,
            failure => Error::ResponderFailed(failure.reason()),
        }
    }
}
