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
mod retry;
mod sse;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use url::Url;

pub use answering::Answering;
pub use breaker::BreakerState;
pub use call::OutputLimit;
pub use key::UpstreamKey;

use super::{Failure, Question, Reason};
use breaker::{Breaker, Moment, Pass};
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
    breaker: Arc<Breaker>,
    idle_timeout: Duration,
    total_timeout: Duration,
}

/// Leave to make one call, and the place for it. Dropping it makes room for another.
#[derive(Debug)]
pub struct Permit {
    pass: Pass,
    _place: Place,
}

/// How the upstream is, as far as calls have shown.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether calls are made.
    pub state: BreakerState,
    /// Failures since the last good answer.
    pub failures_in_a_row: u32,
    /// When and why the last call failed; a refused request does not count.
    pub last_failure: Option<(NaiveDateTime, Reason)>,
    /// When the last answer came to its good end.
    pub last_success: Option<NaiveDateTime>,
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
            breaker: Arc::default(),
            idle_timeout: settings.idle_timeout,
            total_timeout: settings.total_timeout,
        };
        Ok(Upstream { inner: Arc::new(inner) })
    }

    /// Leave to make a call: at once, after waiting for a place, or not at all.
    pub async fn admit(&self) -> Result<Permit, Failure> {
        self.inner.breaker.check(Moment::now().instant)?;
        let place = self.inner.gate.enter().await?;
        // Things may have changed while it waited.
        let pass = self.inner.breaker.admit(Moment::now().instant)?;
        Ok(Permit { pass, _place: place })
    }

    /// Asks, and waits until the answer begins. Dropping the future ends the call.
    pub async fn ask(&self, permit: Permit, question: &Question) -> Result<Answering, Failure> {
        match self.inner.caller.call(question).await {
            Ok(begun) => Ok(Answering::new(begun, permit, self.inner.idle_timeout, question.max_output)),
            Err(failure) => {
                permit.failed(failure);
                Err(failure)
            }
        }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let seen = self.inner.breaker.seen(Moment::now().instant);
        Health {
            state: seen.state,
            failures_in_a_row: seen.failures_in_a_row,
            last_failure: seen.last_failure,
            last_success: seen.last_success,
            in_flight: self.inner.gate.in_flight(),
            waiting: self.inner.gate.waiting(),
        }
    }

    /// How long an answer may take in all.
    pub fn time_limit(&self) -> Duration {
        self.inner.total_timeout
    }
}

impl Permit {
    fn began(&mut self) {
        self.pass.began();
    }

    fn succeeded(self) {
        self.pass.succeeded(Moment::now());
    }

    fn failed(self, failure: Failure) {
        self.pass.failed(failure, Moment::now());
    }
}

impl fmt::Debug for Upstream {
    /// Its address may have a secret in it, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("health", &self.health()).finish_non_exhaustive()
    }
}
