//! Gives an upstream a rest that fails again and again, so that nobody waits, and pays a hold, for another failure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;

use crate::clock;
use crate::responder::{Failure, Reason};

/// So many failures in a row open it.
const FAILURES: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Nobody knows how long a probe takes: who comes meanwhile is told to come back after this.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// Whether calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls are made.
    Closed,
    /// None is made.
    Open,
    /// The rest is over: one call at a time finds out whether the upstream is well again.
    HalfOpen,
}

impl BreakerState {
    /// As the panel and the health check show it.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

/// A moment by both clocks: one to reckon with, one to show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) time: NaiveDateTime,
}

impl Moment {
    pub(super) fn now() -> Moment {
        Moment { instant: Instant::now(), time: clock::now() }
    }
}

/// What has been seen of the upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) state: BreakerState,
    pub(super) failures_in_a_row: u32,
    pub(super) last_failure: Option<(NaiveDateTime, Reason)>,
    pub(super) last_success: Option<NaiveDateTime>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    since: Instant,
    length: Duration,
    /// A probe is on its way.
    probing: bool,
}

impl Rest {
    fn remaining(&self, now: Instant) -> Duration {
        self.length.saturating_sub(now.saturating_duration_since(self.since))
    }
}

#[derive(Debug, Default)]
struct Memory {
    rest: Option<Rest>,
    failures_in_a_row: u32,
    last_failure: Option<(NaiveDateTime, Reason)>,
    last_success: Option<NaiveDateTime>,
}

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<Memory>);

/// Leave to make one call. Dropped without a word on how the call ended, it says nothing about the upstream.
#[derive(Debug)]
pub(super) struct Pass {
    breaker: Arc<Breaker>,
    is_probe: bool,
}

impl Breaker {
    /// Whether a call would be made. Who is refused need not wait for a place first.
    pub(super) fn check(&self, now: Instant) -> Result<(), Failure> {
        match self.memory().rest {
            None => Ok(()),
            Some(rest) if !rest.remaining(now).is_zero() => Err(Failure::Resting(rest.remaining(now))),
            Some(rest) if rest.probing => Err(Failure::Resting(WHILE_PROBING)),
            Some(_) => Ok(()),
        }
    }

    /// Leave to make a call; after a rest, it is the probe.
    pub(super) fn admit(self: &Arc<Breaker>, now: Instant) -> Result<Pass, Failure> {
        let mut memory = self.memory();
        let is_probe = match &mut memory.rest {
            None => false,
            Some(rest) if !rest.remaining(now).is_zero() => {
                return Err(Failure::Resting(rest.remaining(now)));
            }
            Some(rest) if rest.probing => return Err(Failure::Resting(WHILE_PROBING)),
            Some(rest) => {
                rest.probing = true;
                true
            }
        };
        Ok(Pass { breaker: self.clone(), is_probe })
    }

    pub(super) fn seen(&self, now: Instant) -> Seen {
        let memory = self.memory();
        let state = match memory.rest {
            None => BreakerState::Closed,
            Some(rest) if rest.remaining(now).is_zero() => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        };
        Seen {
            state,
            failures_in_a_row: memory.failures_in_a_row,
            last_failure: memory.last_failure,
            last_success: memory.last_success,
        }
    }

    /// A poisoned lock is used as it is: nothing under it can leave the memory half changed.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// The upstream is well: by the word of a probe, or of any call while there is no rest. A call from before the rest
    /// is no proof that it is over.
    fn well(&mut self, is_probe: bool) {
        if is_probe && self.rest.take().is_some() {
            log::info!("the upstream answers again: calls are made as before");
        }
        if self.rest.is_none() {
            self.failures_in_a_row = 0;
        }
    }

    fn ill(&mut self, is_probe: bool, reason: Reason, now: Instant) {
        let length = match self.rest {
            None => FIRST_REST,
            Some(rest) if is_probe => (rest.length * 2).min(LONGEST_REST),
            // A call from before the rest: what it says is known already.
            Some(_) => return,
        };
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if is_probe || self.failures_in_a_row >= FAILURES {
            let (failures, seconds) = (self.failures_in_a_row, length.as_secs());
            log::warn!(
                "{failures} calls of the upstream failed in a row, now since {reason}: none is made for {seconds} s"
            );
            self.rest = Some(Rest { since: now, length, probing: false });
        }
    }
}

impl Pass {
    /// The answer has begun. Where it is a probe's, that is enough for other calls to be made again, or they would wait
    /// for the end of an answer that may take minutes; if it fails after all, the rest goes on.
    pub(super) fn began(&mut self) {
        if !self.is_probe {
            return;
        }
        self.is_probe = false;
        let mut memory = self.breaker.memory();
        memory.well(true);
        memory.failures_in_a_row = FAILURES - 1;
    }

    /// The answer came to its end.
    pub(super) fn succeeded(self, now: Moment) {
        let mut memory = self.breaker.memory();
        memory.last_success = Some(now.time);
        memory.well(self.is_probe);
    }

    /// There is no answer, or none to its end.
    pub(super) fn failed(self, failure: Failure, now: Moment) {
        let mut memory = self.breaker.memory();
        match failure {
            // What is wrong is the request.
            Failure::RequestRefused => memory.well(self.is_probe),
            // One request may do that to one answer, and must not close the way for everybody.
            Failure::Endless => memory.last_failure = Some((now.time, failure.reason())),
            Failure::RateLimited => memory.last_failure = Some((now.time, failure.reason())),
            Failure::Unreachable
            | Failure::ConnectionLost
            | Failure::NoFirstByte
            | Failure::Stalled
            | Failure::CutShort
            | Failure::Unreadable
            | Failure::ErrorInAnswer
            | Failure::NoStream
            | Failure::KeyRefused
            | Failure::Misconfigured
            | Failure::ServerError => {
                memory.last_failure = Some((now.time, failure.reason()));
                memory.ill(self.is_probe, failure.reason(), now.instant);
            }
            // Our own doing.
            Failure::ToldToFail
            | Failure::TooLong
            | Failure::Busy
            | Failure::Resting(_)
            | Failure::Stopped => {}
        }
    }
}

impl Drop for Pass {
    /// However the probe ended, its place is free; where its word opened or closed the breaker, it already was.
    fn drop(&mut self) {
        if self.is_probe
            && let Some(rest) = &mut self.breaker.memory().rest
        {
            rest.probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
