//! An upstream that speaks the OpenAI protocol: one address, one key, and what keeps its troubles from becoming ours.
//!
//! A call takes three steps: [`Upstream::admit`] before anything is charged, [`Upstream::ask`], and then
//! [`Answering::next`] again and again. Dropping whatever one has at any step ends the call.

mod answering;
mod breaker;
mod call;
mod chunk;
mod gate;
mod key;
mod probe;
mod prompt;
mod retry;
mod sse;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDateTime;
use url::Url;

pub use answering::Answering;
pub use breaker::BreakerState;
pub use call::OutputLimit;
pub use key::UpstreamKey;
pub use prompt::PromptMark;

use super::{Failure, Question};
use crate::domain::Reason;
use breaker::{Breaker, Moment, Pass, Seen};
use call::Caller;
use gate::{Gate, Place};

/// Where the upstream is, and how much is expected of it.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// Ends in `/v1`; calls go to `chat/completions` below it.
    pub base_url: Url,
    /// What it knows us by; a local one often needs none.
    pub key: Option<UpstreamKey>,
    /// What bounds an answer.
    pub output_limit: OutputLimit,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long all may take until the first byte of an answer, retries included.
    pub first_byte_timeout: Duration,
    /// How long it may be silent in between.
    pub idle_timeout: Duration,
    /// How long an answer may take in all. Whoever asks keeps to it.
    pub total_timeout: Duration,
    /// How many calls may be in flight, at least one.
    pub calls: usize,
    /// How many may wait for a place among them.
    pub waiting: usize,
    /// How long one waits for a place.
    pub patience: Duration,
}

/// An upstream. Its clones share its connections, its bounds and what has been seen of it.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

struct Inner {
    caller: Caller,
    gate: Gate,
    /// The breakers of the models that were called, by model. Only models on offer are called.
    breakers: Mutex<BTreeMap<String, Arc<Breaker>>>,
    idle_timeout: Duration,
    total_timeout: Duration,
}

/// Leave to make one call, and the place for it. Dropping it makes room for another.
pub struct Permit {
    pass: Pass,
    upstream: Arc<Inner>,
    prompt: PromptMark,
    _place: Place,
}

/// How the upstream is, as far as calls have shown.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether calls are made: the worst state of its models.
    pub state: BreakerState,
    /// Failures since the last good answer: the largest number of its models.
    pub failures_in_a_row: u32,
    /// When and why the last call failed; a refused request does not count.
    pub last_failure: Option<(NaiveDateTime, Reason)>,
    /// When the last answer came to its good end.
    pub last_success: Option<NaiveDateTime>,
    /// The models that are not called, each with its state.
    pub resting: Vec<(String, BreakerState)>,
    /// Calls in flight.
    pub in_flight: usize,
    /// Those that wait for a place.
    pub waiting: usize,
}

impl Upstream {
    /// Gets ready to call it; nothing is sent yet. What is wrong with the settings is said without the key.
    pub fn new(settings: UpstreamSettings) -> Result<Upstream, String> {
        if settings.calls == 0 {
            return Err("at least one call of the upstream must be allowed at a time".to_owned());
        }
        let inner = Inner {
            caller: Caller::new(&settings)?,
            gate: Gate::new(settings.calls, settings.waiting, settings.patience),
            breakers: Mutex::default(),
            idle_timeout: settings.idle_timeout,
            total_timeout: settings.total_timeout,
        };
        Ok(Upstream { inner: Arc::new(inner) })
    }

    /// Permits a call of a model for a user: at once, after waiting for a place, or not at all. Only call it
    /// with models on offer, because it remembers each model.
    pub async fn admit(&self, user_id: i64, model: &str) -> Result<Permit, Failure> {
        let breaker = self.inner.breaker(model);
        breaker.check(Moment::now().instant)?;
        let place = self.inner.gate.enter(user_id).await?;
        // Things may have changed while it waited.
        let pass = breaker.admit(user_id, Moment::now().instant)?;
        Ok(Permit { pass, upstream: self.inner.clone(), prompt: PromptMark::default(), _place: place })
    }

    /// Asks, and waits until the answer begins. Dropping the future ends the call.
    pub async fn ask(&self, permit: Permit, question: &Question) -> Result<Answering, Failure> {
        match self.inner.caller.call(question, &permit.prompt).await {
            Ok(begun) => Ok(Answering::new(begun, permit, self.inner.idle_timeout, question.max_output)),
            Err(failure) => {
                permit.failed(failure);
                Err(failure)
            }
        }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let now = Moment::now().instant;
        let seen: Vec<(String, Seen)> = self.inner.seen(now);
        let resting = seen.iter().filter(|(_, seen)| seen.state != BreakerState::Closed);
        Health {
            state: seen.iter().map(|(_, seen)| seen.state).max().unwrap_or(BreakerState::Closed),
            failures_in_a_row: seen.iter().map(|(_, seen)| seen.failures_in_a_row).max().unwrap_or(0),
            last_failure: seen.iter().filter_map(|(_, seen)| seen.last_failure).max_by_key(|(at, _)| *at),
            last_success: seen.iter().filter_map(|(_, seen)| seen.last_success).max(),
            resting: resting.map(|(model, seen)| (model.clone(), seen.state)).collect(),
            in_flight: self.inner.gate.in_flight(),
            waiting: self.inner.gate.waiting(),
        }
    }

    /// How long an answer may take in all.
    pub fn time_limit(&self) -> Duration {
        self.inner.total_timeout
    }
}

impl Inner {
    fn breaker(&self, model: &str) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = breakers.get(model) {
            return breaker.clone();
        }
        let breaker = Arc::new(Breaker::new(model));
        breakers.insert(model.to_owned(), breaker.clone());
        breaker
    }

    fn seen(&self, now: std::time::Instant) -> Vec<(String, Seen)> {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.values().map(|breaker| (breaker.model().to_owned(), breaker.seen(now))).collect()
    }
}

impl Permit {
    /// Returns a mark that shows, during the call, whether the upstream has the prompt.
    pub fn prompt_mark(&self) -> PromptMark {
        self.prompt.clone()
    }

    fn succeeded(self) {
        self.pass.succeeded(Moment::now());
    }

    fn failed(self, failure: Failure) {
        let breaker = self.pass.breaker();
        let watch = self.pass.failed(failure, Moment::now());
        probe::watch(&self.upstream, breaker, watch);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("pass", &self.pass).finish_non_exhaustive()
    }
}

impl fmt::Debug for Upstream {
    /// Its address may have a secret in it, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("health", &self.health()).finish_non_exhaustive()
    }
}
