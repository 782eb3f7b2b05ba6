//! The permission to make one call, and what the end of the call says about the model.

use std::sync::Arc;

use super::{Breaker, Moment, Watch};
use crate::responder::Failure;

/// The permission to make one call. If it is dropped without a result, nothing is concluded about
/// the model.
#[derive(Debug)]
pub(in super::super) struct Pass {
    breaker: Arc<Breaker>,
    user_id: i64,
    /// Whether it was given during a rest.
    is_trial: bool,
}

impl Pass {
    pub(super) fn new(breaker: Arc<Breaker>, user_id: i64, is_trial: bool) -> Pass {
        Pass { breaker, user_id, is_trial }
    }

    /// Returns the user who may make the call.
    pub(in super::super) fn user_id(&self) -> i64 {
        self.user_id
    }

    /// Returns the breaker, to report a probe to it.
    pub(in super::super) fn breaker(&self) -> Arc<Breaker> {
        self.breaker.clone()
    }

    /// Reports that the answer is complete.
    pub(in super::super) fn succeeded(self, now: Moment) {
        let mut memory = self.breaker.memory();
        memory.last_success = Some(now.time);
        memory.fault = None;
        memory.note_success(self.is_trial);
    }

    /// Reports that the answer is missing or incomplete.
    #[must_use]
    pub(in super::super) fn failed(self, failure: Failure, now: Moment) -> Watch {
        let mut memory = self.breaker.memory();
        match failure {
            // The request is at fault.
            Failure::RequestRejected(_) | Failure::ContextTooLong => {
                memory.note_success(self.is_trial);
                Watch::No
            }
            // The model responds: too much, too little, or that it is busy.
            Failure::TooLarge | Failure::EmptyAnswer | Failure::RateLimited | Failure::SettingRejected(_) => {
                memory.last_failure = Some((now.time, failure.reason()));
                Watch::No
            }
            Failure::Unreachable
            | Failure::ConnectionLost
            | Failure::FirstByteTimeout
            | Failure::Stalled
            | Failure::CutShort
            | Failure::Unreadable
            | Failure::ErrorInAnswer
            | Failure::NotAnAnswer
            | Failure::KeyRejected
            | Failure::ModelUnavailable
            | Failure::ServerError => {
                memory.last_failure = Some((now.time, failure.reason()));
                memory.note_failure(&self.breaker, self.user_id, now.instant)
            }
            // It may not even have been sent.
            Failure::EndpointMissing(_) => Watch::No,
            // Caused by this server.
            Failure::DummyFailed
            | Failure::TotalTimeout
            | Failure::Busy
            | Failure::TooManyOfUser
            | Failure::CircuitOpen(_)
            | Failure::MemoryFull
            | Failure::ServerStopped => Watch::No,
        }
    }
}
