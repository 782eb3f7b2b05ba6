//! An upstream that speaks the OpenAI protocol: one address, one key, and limits that keep its
//! problems from becoming ours.
//!
//! A call takes three steps: [`Upstream::admit`] before anything is charged, [`Upstream::ask`], and
//! then [`ResponseStream::next`] until the end. Dropping the result of any step ends the call.

mod breaker;
mod call;
mod check;
mod complaint;
mod embeddings;
mod events;
mod fault;
mod gate;
mod key;
mod measures;
mod openai;
mod output_limit;
mod probe;
mod prompt;
mod reported;
mod request_form;
mod retry;
mod stream;
mod translation;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDateTime;
use url::Url;

pub use breaker::{BreakerState, ModelHealth};
pub use check::{UpstreamCheck, http_date};
pub use embeddings::EmbeddingsStream;
pub use fault::OperatorFault;
pub use key::UpstreamKey;
pub use measures::CallMeasures;
pub use output_limit::OutputLimit;
pub use prompt::PromptMark;
pub use reported::ReportedProperties;
pub use stream::ResponseStream;

use super::{Failure, Inputs, Question};
use crate::domain::FailureReason;
use crate::throttle::{MemoryBudget, MemoryShare};
use breaker::{Breaker, Moment, Pass};
use call::{Begun, Caller};
use gate::{CallPlace, Gate};
use measures::MeasuredCall;

/// The most models that are measured, and the name under which all others are.
const MOST_MEASURED: usize = 200;
const OTHER_MODELS: &str = "other";

/// The address of the upstream, and limits for its use.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// The base URL, which ends in `/v1`. Calls go to `chat/completions`, `completions` and
    /// `embeddings` below it.
    pub base_url: Url,
    /// The API key. A local upstream often needs none.
    pub key: Option<UpstreamKey>,
    /// The field of the protocol that limits an answer.
    pub output_limit: OutputLimit,
    /// Time limit for connecting.
    pub connect_timeout: Duration,
    /// Time limit until the first byte of an answer, retries included.
    pub first_byte_timeout: Duration,
    /// Time limit between two arrivals.
    pub idle_timeout: Duration,
    /// Time limit for a whole answer. The caller enforces it.
    pub total_timeout: Duration,
    /// The number of calls that may be in flight, at least one.
    pub calls: usize,
    /// The number of calls that may wait for a place.
    pub waiting: usize,
    /// How long a call waits for a place.
    pub patience: Duration,
    /// The memory for answers with vectors.
    pub memory: MemoryBudget,
}

impl UpstreamSettings {
    /// Returns whether calls are made in the same way, whatever the limits on them are.
    fn calls_like(&self, other: &UpstreamSettings) -> bool {
        let times = |it: &UpstreamSettings| {
            (it.connect_timeout, it.first_byte_timeout, it.idle_timeout, it.total_timeout)
        };
        (&self.base_url, &self.key, self.output_limit) == (&other.base_url, &other.key, other.output_limit)
            && times(self) == times(other)
    }
}

/// An upstream. Its clones share its connections, its limits and its observed state.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

/// The calls of the models, by name, at most [`MOST_MEASURED`].
type AllMeasures = Mutex<BTreeMap<String, Arc<CallMeasures>>>;

struct Inner {
    caller: Caller,
    /// Shared with the upstream before a change of the settings, whose calls still take places.
    gate: Arc<Gate>,
    /// The breakers of the models that were called, by name. Only models on offer are called.
    breakers: Mutex<BTreeMap<String, Arc<Breaker>>>,
    /// Shared like the gate, because counters never go back.
    measures: Arc<AllMeasures>,
    /// What the upstream's list says of the models on offer, by name.
    reported: Mutex<BTreeMap<String, ReportedProperties>>,
    settings: UpstreamSettings,
}

/// The permission to make one call, and its place among the calls in flight. Dropping it makes room
/// for another.
pub struct Permit {
    pass: Pass,
    upstream: Arc<Inner>,
    prompt: PromptMark,
    call: MeasuredCall,
    _place: CallPlace,
}

/// The upstream's health, as seen by this node.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether calls are made: the worst state of any model.
    pub state: BreakerState,
    /// Failures since the last good answer: the largest number of any model.
    pub failures_in_a_row: u32,
    /// When and why the last call failed. Rejected requests do not count.
    pub last_failure: Option<(NaiveDateTime, FailureReason)>,
    /// When the last answer was completed.
    pub last_success: Option<NaiveDateTime>,
    /// Each model that was called, by name.
    pub models: Vec<ModelHealth>,
    /// Calls in flight.
    pub in_flight: usize,
    /// Calls that wait for a place.
    pub waiting: usize,
}

impl Upstream {
    /// Prepares calls. Nothing is sent yet.
    ///
    /// # Errors
    /// A text that says which setting is wrong. It does not contain the key.
    pub fn new(settings: UpstreamSettings) -> Result<Upstream, String> {
        if settings.calls == 0 {
            return Err("at least one call of the upstream must be allowed at a time".to_owned());
        }
        let gate = Arc::new(Gate::new(settings.calls, settings.waiting, settings.patience));
        Upstream::behind(gate, Arc::default(), settings)
    }

    fn behind(
        gate: Arc<Gate>,
        measures: Arc<AllMeasures>,
        settings: UpstreamSettings,
    ) -> Result<Upstream, String> {
        let caller = Caller::new(&settings)?;
        let (breakers, reported) = Default::default();
        Ok(Upstream { inner: Arc::new(Inner { caller, gate, breakers, measures, reported, settings }) })
    }

    /// Returns an upstream with other settings, in which nothing has failed yet. Its calls and
    /// those that still run count together, so the limits on both stay as they are. If calls would
    /// be made in the same way, it is this one.
    ///
    /// # Errors
    /// As for [`Upstream::new`].
    pub fn changed_to(&self, settings: UpstreamSettings) -> Result<Upstream, String> {
        if self.inner.settings.calls_like(&settings) {
            return Ok(self.clone());
        }
        Upstream::behind(self.inner.gate.clone(), self.inner.measures.clone(), settings)
    }

    /// Permits a call of a model for a user, at once or after waiting for a place. Only call it
    /// with models on offer, because it remembers each model.
    ///
    /// # Errors
    /// [`Failure::Busy`], [`Failure::TooManyOfUser`] and [`Failure::CircuitOpen`].
    pub async fn admit(&self, user_id: i64, model: &str) -> Result<Permit, Failure> {
        let measures = self.inner.measures(model);
        self.try_admit(user_id, model, &measures).await.inspect_err(|failure| measures.refuse(*failure))
    }

    async fn try_admit(
        &self,
        user_id: i64,
        model: &str,
        measures: &Arc<CallMeasures>,
    ) -> Result<Permit, Failure> {
        let breaker = self.inner.breaker(model);
        breaker.check(Moment::now().instant)?;
        let place = self.inner.gate.enter(user_id).await?;
        // The breaker may have opened during the wait.
        let pass = breaker.admit(user_id, Moment::now().instant)?;
        let call = MeasuredCall::new(measures.clone(), self.inner.settings.total_timeout);
        Ok(Permit { pass, upstream: self.inner.clone(), prompt: PromptMark::default(), call, _place: place })
    }

    /// Returns the calls of a model since the start.
    pub fn measures(&self, model: &str) -> Arc<CallMeasures> {
        self.inner.measures(model)
    }

    /// Asks for text, and waits until the answer begins. Dropping the future ends the call.
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub async fn ask(&self, permit: Permit, question: &Question) -> Result<ResponseStream, Failure> {
        let (begun, permit) = self.call(permit, question).await?;
        Ok(ResponseStream::new(begun, permit, self.inner.settings.idle_timeout, question))
    }

    /// Asks for the vectors of these inputs, which are those of the question, and waits until the
    /// answer begins. Dropping the future ends the call.
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub async fn ask_for_embeddings(
        &self,
        permit: Permit,
        question: &Question,
        inputs: &Inputs,
    ) -> Result<EmbeddingsStream, Failure> {
        let (begun, permit) = self.call(permit, question).await?;
        Ok(EmbeddingsStream::new(begun, permit, self.inner.settings.idle_timeout, question, inputs))
    }

    async fn call(&self, mut permit: Permit, question: &Question) -> Result<(Begun, Permit), Failure> {
        permit.call.begin();
        match self.inner.caller.call(question, &permit.prompt).await {
            Ok(begun) => Ok((begun, permit)),
            Err(miss) => {
                if let Some(fault) = miss.fault {
                    permit.note(fault);
                }
                permit.failed(miss.failure);
                Err(miss.failure)
            }
        }
    }

    /// Returns the upstream's health, as seen by this node.
    pub fn health(&self) -> Health {
        let now = Moment::now().instant;
        let models = self.inner.models(now);
        Health {
            state: models.iter().map(|model| model.state).max().unwrap_or(BreakerState::Closed),
            failures_in_a_row: models.iter().map(|model| model.failures_in_a_row).max().unwrap_or(0),
            last_failure: models.iter().filter_map(|model| model.last_failure).max_by_key(|(at, _)| *at),
            last_success: models.iter().filter_map(|model| model.last_success).max(),
            models,
            in_flight: self.inner.gate.in_flight(),
            waiting: self.inner.gate.waiting(),
        }
    }

    /// Asks for the list of models, and remembers what it says of these. If there is no list, what
    /// was known before stays.
    pub async fn learn(&self, models: &[String]) {
        match self.inner.caller.list(models).await {
            Ok(found) => {
                *self.inner.reported.lock().unwrap_or_else(PoisonError::into_inner) = found;
            }
            Err(why) => log::debug!("nothing was learnt from the upstream's list of models: {why}"),
        }
    }

    /// Returns what the upstream reports of a model, as far as this node knows.
    pub fn reported(&self, model: &str) -> ReportedProperties {
        let reported = self.inner.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.get(model).copied().unwrap_or_default()
    }

    /// Returns the time limit for a whole answer.
    pub fn time_limit(&self) -> Duration {
        self.inner.settings.total_timeout
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

    /// Returns the measures of a model. Only models on offer are called. If there are very many,
    /// the last ones share theirs.
    fn measures(&self, model: &str) -> Arc<CallMeasures> {
        let mut all = self.measures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(measures) = all.get(model) {
            return measures.clone();
        }
        let name = if all.len() < MOST_MEASURED { model } else { OTHER_MODELS };
        all.entry(name.to_owned()).or_default().clone()
    }

    fn models(&self, now: std::time::Instant) -> Vec<ModelHealth> {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let health = |breaker: &Arc<Breaker>| {
            let health = breaker.health(now);
            let of_form = || self.caller.fault_of_form(&health.name);
            ModelHealth { fault: health.fault.or_else(of_form), ..health }
        };
        breakers.values().map(health).collect()
    }
}

impl Permit {
    /// Returns a mark that shows, during the call, whether the upstream has the prompt.
    pub fn prompt_mark(&self) -> PromptMark {
        self.prompt.clone()
    }

    /// Returns a share of the memory for answers, which counts towards its user's.
    fn memory_share(&self) -> MemoryShare {
        let mut share = self.upstream.settings.memory.share(None);
        share.belong_to(self.pass.user_id());
        share
    }

    /// Notes that a part of the answer has arrived.
    fn note_part(&mut self) {
        self.call.note_part();
    }

    fn succeeded(mut self) {
        self.call.end(Ok(()));
        self.pass.succeeded(Moment::now());
    }

    /// Notes what the operator must fix before calls of the model can succeed.
    fn note(&self, fault: OperatorFault) {
        self.pass.breaker().note(fault);
    }

    fn failed(mut self, failure: Failure) {
        self.call.end(Err(failure));
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
    /// Leaves out the address, which may also contain a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("health", &self.health()).finish_non_exhaustive()
    }
}
