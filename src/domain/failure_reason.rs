//! Why a chat failed or was cancelled: a code for the database and for programs, and a text for
//! people.

/// Why a chat has no answer, or only part of one. Never an upstream's own text.
///
/// The codes are stored and part of the API: they never change. The texts may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The dummy failed, as configured.
    DummyFailed,
    /// No connection to the upstream could be made.
    Unreachable,
    /// The connection broke before the answer began.
    ConnectionLost,
    /// Nothing arrived within the time limit for the first byte.
    FirstByteTimeout,
    /// Nothing more arrived within the time limit between two parts.
    Stalled,
    /// The answer was not finished within the total time limit. What arrived is charged if the
    /// price is by usage.
    TotalTimeout,
    /// The connection broke, or the stream ended, before the answer did.
    CutShort,
    /// A part of the answer was not JSON, or not of the protocol.
    Unreadable,
    /// The upstream reported an error during the answer.
    ErrorInAnswer,
    /// The upstream's status was a success, but its response was not a stream of events.
    NotAnAnswer,
    /// The answer exceeded its limits.
    TooLarge,
    /// The upstream rejected our key.
    KeyRejected,
    /// The upstream has no such model, no such address, or no credit left.
    ModelUnavailable,
    /// The upstream rejected the request.
    RequestRejected,
    /// The upstream has no endpoint for the question, or not for this model.
    EndpointMissing,
    /// The conversation is too long for the model.
    ContextTooLong,
    /// The upstream rejected a field that this server sets.
    SettingRejected,
    /// The upstream had too many requests.
    RateLimited,
    /// The upstream answered with a 5xx status.
    ServerError,
    /// The model ended its answer without writing anything. The prompt is charged if the price is
    /// by usage.
    EmptyAnswer,
    /// No place among the calls in flight became free in time.
    Busy,
    /// Too many calls of this user already waited for a place.
    TooManyOfUser,
    /// No memory was left for the answer.
    MemoryFull,
    /// The circuit breaker was open.
    CircuitOpen,
    /// This server was stopped.
    ServerStopped,
    /// The hold was not ended before its deadline, for example because the server crashed.
    DeadlinePassed,
    /// An administrator released the hold.
    Released,
    /// The client disconnected before the end of the answer.
    ClientDisconnected,
}

impl FailureReason {
    /// All reasons, in the order in which the panel offers them.
    pub const ALL: [FailureReason; 28] = [
        FailureReason::Unreachable,
        FailureReason::ConnectionLost,
        FailureReason::FirstByteTimeout,
        FailureReason::Stalled,
        FailureReason::TotalTimeout,
        FailureReason::CutShort,
        FailureReason::Unreadable,
        FailureReason::ErrorInAnswer,
        FailureReason::NotAnAnswer,
        FailureReason::TooLarge,
        FailureReason::EmptyAnswer,
        FailureReason::KeyRejected,
        FailureReason::ModelUnavailable,
        FailureReason::RequestRejected,
        FailureReason::EndpointMissing,
        FailureReason::ContextTooLong,
        FailureReason::SettingRejected,
        FailureReason::RateLimited,
        FailureReason::ServerError,
        FailureReason::CircuitOpen,
        FailureReason::Busy,
        FailureReason::TooManyOfUser,
        FailureReason::MemoryFull,
        FailureReason::ServerStopped,
        FailureReason::DeadlinePassed,
        FailureReason::Released,
        FailureReason::ClientDisconnected,
        FailureReason::DummyFailed,
    ];

    /// Returns the code, as the database stores it and the API sends it.
    pub const fn code(self) -> &'static str {
        match self {
            FailureReason::DummyFailed => "dummy_failed",
            FailureReason::Unreachable => "unreachable",
            FailureReason::ConnectionLost => "connection_lost",
            FailureReason::FirstByteTimeout => "first_byte_timeout",
            FailureReason::Stalled => "stalled",
            FailureReason::TotalTimeout => "total_timeout",
            FailureReason::CutShort => "cut_short",
            FailureReason::Unreadable => "unreadable",
            FailureReason::ErrorInAnswer => "error_in_answer",
            FailureReason::NotAnAnswer => "not_an_answer",
            FailureReason::TooLarge => "too_large",
            FailureReason::KeyRejected => "key_rejected",
            FailureReason::ModelUnavailable => "model_unavailable",
            FailureReason::RequestRejected => "request_rejected",
            FailureReason::EndpointMissing => "endpoint_missing",
            FailureReason::ContextTooLong => "context_too_long",
            FailureReason::SettingRejected => "setting_rejected",
            FailureReason::RateLimited => "rate_limited",
            FailureReason::ServerError => "server_error",
            FailureReason::EmptyAnswer => "empty_answer",
            FailureReason::Busy => "busy",
            FailureReason::TooManyOfUser => "too_many_of_user",
            FailureReason::MemoryFull => "memory_full",
            FailureReason::CircuitOpen => "circuit_open",
            FailureReason::ServerStopped => "server_stopped",
            FailureReason::DeadlinePassed => "deadline_passed",
            FailureReason::Released => "released",
            FailureReason::ClientDisconnected => "client_disconnected",
        }
    }

    /// Returns the text for users and administrators. It can end a sentence.
    pub const fn text(self) -> &'static str {
        match self {
            FailureReason::DummyFailed => "the dummy was told to fail",
            FailureReason::Unreachable => "the model could not be reached",
            FailureReason::ConnectionLost => "the connection to the model was lost",
            FailureReason::FirstByteTimeout => "the model did not begin to answer in time",
            FailureReason::Stalled => "the model stopped sending",
            FailureReason::TotalTimeout => "the answer took too long",
            FailureReason::CutShort => "the answer was cut short",
            FailureReason::Unreadable => "the answer could not be read",
            FailureReason::ErrorInAnswer => "the model reported an error",
            FailureReason::NotAnAnswer => "the model's response was not an answer",
            FailureReason::TooLarge => "the answer exceeded the length limit",
            FailureReason::KeyRejected => "the model did not accept this server",
            FailureReason::ModelUnavailable => "the model is not available to this server",
            FailureReason::RequestRejected => "the model did not accept the request",
            FailureReason::EndpointMissing => "the model does not do what it was asked to do",
            FailureReason::ContextTooLong => "the conversation is too long for the model",
            FailureReason::SettingRejected => "the model did not accept a field that this server sets",
            FailureReason::RateLimited => "the model has too many requests",
            FailureReason::ServerError => "the model had an error",
            FailureReason::EmptyAnswer => "the model wrote nothing",
            FailureReason::Busy => "too many calls are in flight",
            FailureReason::TooManyOfUser => "too many of the user's calls are waiting",
            FailureReason::MemoryFull => "this server had no memory left for the answer",
            FailureReason::CircuitOpen => "the model failed repeatedly and is not called for a while",
            FailureReason::ServerStopped => "the server was stopped",
            FailureReason::DeadlinePassed => "no answer before the deadline",
            FailureReason::Released => "released by an administrator",
            FailureReason::ClientDisconnected => "the client disconnected",
        }
    }

    /// Returns the text that 0.1.0 stored instead of the code. A node of 0.1.0 may still store it
    /// after the migration, and bookmarks of 0.1.0 have it in their address.
    pub const fn old_text(self) -> &'static str {
        match self {
            FailureReason::DummyFailed => "the dummy was told to fail",
            FailureReason::Unreachable => "the model could not be reached",
            FailureReason::ConnectionLost => "the connection to the model was lost",
            FailureReason::FirstByteTimeout => "the model did not begin to answer in time",
            FailureReason::Stalled => "the model fell silent",
            FailureReason::TotalTimeout => "it took too long",
            FailureReason::CutShort => "the answer was cut short",
            FailureReason::Unreadable => "the answer could not be read",
            FailureReason::ErrorInAnswer => "the model told of an error",
            FailureReason::NotAnAnswer => "what came was not an answer",
            FailureReason::TooLarge => "the answer had no end",
            FailureReason::KeyRejected => "the model did not accept this server",
            FailureReason::ModelUnavailable => "the model is not there for this server",
            FailureReason::RequestRejected => "the model did not accept the request",
            // Since 0.2.0.
            FailureReason::ContextTooLong
            | FailureReason::SettingRejected
            | FailureReason::EndpointMissing
            | FailureReason::MemoryFull => self.text(),
            FailureReason::RateLimited => "the model has too many requests",
            FailureReason::ServerError => "the model had an error",
            FailureReason::EmptyAnswer => "the model wrote nothing",
            FailureReason::Busy => "too many calls are in flight",
            FailureReason::TooManyOfUser => "too many of the user's calls wait",
            FailureReason::CircuitOpen => "the model failed too often and is given a rest",
            FailureReason::ServerStopped => "the server was stopped",
            FailureReason::DeadlinePassed => "no answer before the deadline",
            FailureReason::Released => "released by an administrator",
            FailureReason::ClientDisconnected => "the client left",
        }
    }

    /// Returns the reason with this code, or with this text of 0.1.0. `None` if there is none, as
    /// for a code of a newer version.
    pub fn from_code(code: &str) -> Option<FailureReason> {
        FailureReason::ALL.into_iter().find(|reason| [reason.code(), reason.old_text()].contains(&code))
    }

    /// Returns whether the same request would fail again, so that a retry costs time and nothing
    /// else.
    pub const fn is_lasting(self) -> bool {
        matches!(
            self,
            FailureReason::TooLarge
                | FailureReason::NotAnAnswer
                | FailureReason::KeyRejected
                | FailureReason::ModelUnavailable
                | FailureReason::RequestRejected
                | FailureReason::EndpointMissing
                | FailureReason::ContextTooLong
                | FailureReason::SettingRejected
        )
    }

    /// Returns the text for administrators, who know the server's settings. Users get
    /// [`FailureReason::text`].
    pub const fn administrators_text(self) -> &'static str {
        match self {
            FailureReason::DummyFailed => "test failure (--dummy-failures)",
            reason => reason.text(),
        }
    }

    /// Returns the text for administrators of a stored code. A code that this version does not know
    /// is its own text.
    pub fn administrators_text_of(code: &str) -> &str {
        FailureReason::from_code(code).map_or(code, |reason| reason.administrators_text())
    }

    /// Returns the text of a stored code. A code that this version does not know is its own text.
    pub fn text_of(code: &str) -> &str {
        FailureReason::from_code(code).map_or(code, |reason| reason.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::FailureReason;

    #[test]
    fn each_reason_has_a_code_and_a_text_of_its_own() {
        let codes: HashSet<_> = FailureReason::ALL.map(FailureReason::code).into();
        let texts: HashSet<_> = FailureReason::ALL.map(FailureReason::text).into();
        assert_eq!((codes.len(), texts.len()), (FailureReason::ALL.len(), FailureReason::ALL.len()));
        for reason in FailureReason::ALL {
            let code = reason.code();
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            assert_eq!(FailureReason::from_code(code), Some(reason));
            assert_eq!(FailureReason::from_code(reason.old_text()), Some(reason));
        }
    }

    #[test]
    fn an_unknown_code_is_its_own_text() {
        assert_eq!(FailureReason::text_of("stalled"), "the model stopped sending");
        assert_eq!(FailureReason::text_of("of_a_newer_version"), "of_a_newer_version");
        assert_eq!(FailureReason::text_of("the model fell silent"), "the model stopped sending");
    }
}
