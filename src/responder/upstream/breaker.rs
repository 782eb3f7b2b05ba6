//! A circuit breaker. It stops calls of a model that is down, so that nobody waits, with tokens
//! held, for a call that will fail.
//!
//! A user can make a call fail in any way: a prompt that times out, options that crash the model, a
//! gateway that turns either into a 503. So failed calls alone do not open a breaker. They start
//! our own probe ([`super::probe`]), and the probe decides. The probe generates nothing, so it
//! cannot see every fault. So failures of many users over some time also open the breaker, for a
//! short rest.

mod pass;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{NaiveDateTime, TimeDelta};

use super::fault::OperatorFault;
use crate::clock;
use crate::domain::FailureReason;
use crate::responder::Failure;
pub(super) use pass::Pass;

/// The result of a failed probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProbeFailure {
    /// Why it failed.
    pub(super) failure: Failure,
    /// The wait that the upstream asked for.
    pub(super) asked_wait: Option<Duration>,
}

/// Failures in a row that start a probe.
const SUSPICIOUS: u32 = 5;
/// How long failures in a row count as a failing model after the last one.
const RECENT: TimeDelta = TimeDelta::minutes(10);
/// The shortest time between two probes while calls fail and probes succeed.
const BETWEEN_PROBES: Duration = Duration::from_secs(1);
/// The first rest, after the first failed probe. The rest doubles with each further one. Probes are
/// free, so rests are short.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest, unless a probe's `Retry-After` asks for more.
const LONGEST_REST: Duration = Duration::from_secs(15);
/// The longest rest that a probe's `Retry-After` may ask for.
const LONGEST_ASKED_REST: Duration = Duration::from_secs(60);
/// While probes succeed, only failures of this many users, over [`LONG`], without one answer, open
/// the breaker.
const MANY_USERS: usize = 5;
/// How long failures of [`MANY_USERS`] must go on before they open the breaker.
const LONG: Duration = Duration::from_secs(10);
/// The rest after failures of many users.
const REST_FOR_MANY: Duration = Duration::from_secs(5);
/// After this many failed probes in a row, one user's call may try in each rest: some servers
/// answer calls but fail probes.
const PROBES_ALONE: u32 = 5;

/// Whether calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakerState {
    /// All calls are made.
    Closed,
    /// The rest is over, and the probe that may close the breaker is in progress.
    HalfOpen,
    /// No call is made.
    Open,
}

impl BreakerState {
    /// Returns the name that the panel and the health check show.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

/// A moment by two clocks: one to calculate with, one to show.
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

/// The health of one model, as seen by this node.
#[derive(Clone, Debug)]
pub struct ModelHealth {
    /// The model's name.
    pub name: String,
    /// Whether calls are made.
    pub state: BreakerState,
    /// Failures since the last good answer.
    pub failures_in_a_row: u32,
    /// When and why the last call or probe failed. Rejected requests do not count.
    pub last_failure: Option<(NaiveDateTime, FailureReason)>,
    /// When the last answer was completed.
    pub last_success: Option<NaiveDateTime>,
    /// What the operator must fix. `None` if nothing is known, or a call has succeeded since.
    pub fault: Option<OperatorFault>,
}

impl ModelHealth {
    /// Returns the health of a model that was not called yet.
    pub fn not_called(name: &str) -> ModelHealth {
        Breaker::new(name).health(Instant::now())
    }

    /// Returns whether calls fail now: none is made, or several have failed in a row lately. Old
    /// failures mean only that nobody has called the model since.
    pub fn is_failing(&self, now: NaiveDateTime) -> bool {
        let is_recent = self.last_failure.is_some_and(|(at, _)| now - at < RECENT);
        self.state != BreakerState::Closed || (self.failures_in_a_row >= SUSPICIOUS && is_recent)
    }
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    since: Instant,
    length: Duration,
    /// The number of failed probes since the breaker opened. 0 if the failures of many users opened
    /// it.
    failed_probes: u32,
    /// Whether a user's call has already tried during this rest.
    is_tried: bool,
}

impl Rest {
    fn remaining(&self, now: Instant) -> Duration {
        self.length.saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// Failures since the model last answered.
#[derive(Debug, Default)]
struct Streak {
    failures: u32,
    /// The different users whose calls failed, at most [`MANY_USERS`].
    users: Vec<i64>,
    since: Option<Instant>,
}

impl Streak {
    fn add(&mut self, user_id: i64, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.since.get_or_insert(now);
        if self.users.len() < MANY_USERS && !self.users.contains(&user_id) {
            self.users.push(user_id);
        }
    }

    /// Returns whether these are too many users, over too long a time, to be caused by one person.
    fn is_of_many(&self, now: Instant) -> bool {
        let has_lasted = self.since.is_some_and(|since| now.saturating_duration_since(since) >= LONG);
        has_lasted && self.users.len() >= MANY_USERS
    }
}

#[derive(Debug, Default)]
struct Memory {
    rest: Option<Rest>,
    streak: Streak,
    /// Whether a task probes until the breaker is closed.
    is_watched: bool,
    last_probe: Option<Instant>,
    last_failure: Option<(NaiveDateTime, FailureReason)>,
    last_success: Option<NaiveDateTime>,
    fault: Option<OperatorFault>,
}

/// The breaker of one model.
#[derive(Debug)]
pub(super) struct Breaker {
    model: String,
    memory: Mutex<Memory>,
}

/// Whether a failure starts a probe. The caller must then probe after that time and report to
/// [`Breaker::probed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    No,
    After(Duration),
}

impl Breaker {
    /// Makes a closed breaker.
    pub(super) fn new(model: &str) -> Breaker {
        Breaker { model: model.to_owned(), memory: Mutex::default() }
    }

    /// Checks whether a call would be made, before the caller waits for a place.
    ///
    /// # Errors
    /// [`Failure::CircuitOpen`], with the time that is left.
    pub(super) fn check(&self, now: Instant) -> Result<(), Failure> {
        match self.memory().rest {
            Some(rest) if !rest.may_be_tried() => Err(Failure::CircuitOpen(rest.remaining(now))),
            _ => Ok(()),
        }
    }

    /// Permits a call for a user.
    ///
    /// # Errors
    /// [`Failure::CircuitOpen`], with the time that is left.
    pub(super) fn admit(self: &Arc<Breaker>, user_id: i64, now: Instant) -> Result<Pass, Failure> {
        let mut memory = self.memory();
        let is_trial = match &mut memory.rest {
            None => false,
            Some(rest) if rest.may_be_tried() => {
                rest.is_tried = true;
                true
            }
            Some(rest) => return Err(Failure::CircuitOpen(rest.remaining(now))),
        };
        Ok(Pass::new(self.clone(), user_id, is_trial))
    }

    /// Takes the result of a probe. Returns when to probe again. `None` means only after the next
    /// failure.
    pub(super) fn probed(&self, result: Result<(), ProbeFailure>, now: Moment) -> Option<Duration> {
        let mut memory = self.memory();
        memory.last_probe = Some(now.instant);
        let remaining = memory.rest.map(|rest| rest.remaining(now.instant));
        if let (Ok(()), Some(remaining)) = (result, remaining)
            && !remaining.is_zero()
        {
            // Failures of many users opened the breaker during the probe.
            return Some(remaining);
        }
        let (rest, probe) = match (memory.rest, result) {
            (_, Ok(())) => {
                if memory.rest.take().is_some() {
                    memory.streak = Streak::default();
                    log::info!("model {}: the upstream has recovered, calls are made as before", self.model);
                }
                memory.is_watched = false;
                return None;
            }
            // A user got an answer during the probe.
            (None, Err(_)) if memory.streak.failures == 0 => {
                memory.is_watched = false;
                return None;
            }
            (rest, Err(probe)) => (rest, probe),
        };
        let failed_probes = rest.map_or(0, |rest| rest.failed_probes);
        let usual = FIRST_REST.saturating_mul(2_u32.saturating_pow(failed_probes)).min(LONGEST_REST);
        let length = usual.max(probe.asked_wait.unwrap_or_default().min(LONGEST_ASKED_REST));
        let failed_probes = failed_probes.saturating_add(1);
        memory.last_failure = Some((now.time, probe.failure.reason()));
        self.rest(&mut memory, Rest { since: now.instant, length, failed_probes, is_tried: false });
        Some(length)
    }

    fn rest(&self, memory: &mut Memory, rest: Rest) {
        let (model, seconds, failures) = (&self.model, rest.length.as_secs(), memory.streak.failures);
        let why = memory.last_failure.map_or("", |(_, reason)| reason.text());
        log::warn!("model {model}: no calls for {seconds} s, as {failures} failed in a row and {why}");
        memory.rest = Some(rest);
    }

    /// Whether the last failure was that our key was rejected.
    pub(super) fn key_is_doubted(&self) -> bool {
        let last = self.memory().last_failure;
        last.is_some_and(|(_, reason)| reason == Failure::KeyRejected.reason())
    }

    /// Returns the health of the model.
    pub(super) fn health(&self, now: Instant) -> ModelHealth {
        let memory = self.memory();
        let state = match memory.rest {
            None => BreakerState::Closed,
            Some(rest) if rest.remaining(now).is_zero() => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        };
        ModelHealth {
            name: self.model.clone(),
            state,
            failures_in_a_row: memory.streak.failures,
            last_failure: memory.last_failure,
            last_success: memory.last_success,
            fault: memory.fault,
        }
    }

    /// Notes what the operator must fix, until a call succeeds.
    pub(super) fn note(&self, fault: OperatorFault) {
        self.memory().fault = Some(fault);
    }

    /// A poisoned lock is safe to use: nothing under it can leave the memory half changed.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest {
    fn may_be_tried(&self) -> bool {
        self.failed_probes >= PROBES_ALONE && !self.is_tried
    }
}

impl Memory {
    /// Notes that a call has shown that the model works. A call from before the rest does not end
    /// the rest.
    fn note_success(&mut self, is_trial: bool) {
        if is_trial {
            self.rest = None;
        }
        if self.rest.is_none() {
            self.streak = Streak::default();
        }
    }

    fn note_failure(&mut self, breaker: &Breaker, user_id: i64, now: Instant) -> Watch {
        // A call from before the rest says nothing new. A call that tried must not prolong the
        // rest.
        if self.rest.is_some() {
            return Watch::No;
        }
        self.streak.add(user_id, now);
        let was_watched = self.is_watched;
        if self.streak.is_of_many(now) {
            let rest = Rest { since: now, length: REST_FOR_MANY, failed_probes: 0, is_tried: false };
            breaker.rest(self, rest);
            self.is_watched = true;
            return if was_watched { Watch::No } else { Watch::After(REST_FOR_MANY) };
        }
        let is_soon = |probe| now.saturating_duration_since(probe) < BETWEEN_PROBES;
        if was_watched || self.streak.failures < SUSPICIOUS || self.last_probe.is_some_and(is_soon) {
            return Watch::No;
        }
        self.is_watched = true;
        Watch::After(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests;
