//! Takes the toll, then lets the message through to the responder.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::context::Context;
use super::offer::{OfferedName, fit, image_tokens, named, names};
use super::receipt::Receipt;
use super::request::{ChatRequest, Prices};
use super::slots::Slots;
use super::stream::{ChatStream, Client};
use super::task;
use crate::db::{Db, Scope};
use crate::error::{Error, Result};
use crate::live::Live;
use crate::metering::Price;
use crate::models::{DEFAULT_IMAGE_TOKENS, Model};
use crate::responder::{CallMeasures, DUMMY, Health, Question, Responder};
use crate::throttle::MemoryBudget;

/// The entry to chats: charges a message and gets its answer. Cheap to clone.
#[derive(Clone)]
pub struct Toll {
    /// A reload of the settings replaces it. Chats that have begun keep theirs.
    context: Arc<Live<Context>>,
    /// The tasks of holds run here. This runtime outlives the server's workers.
    runtime: Handle,
    holds: TaskTracker,
}

impl Toll {
    /// Puts the parts together. The tasks of chats run on `runtime`. Long chains of responses take
    /// a share of `memory`.
    pub fn new(db: Db, responder: Responder, prices: Prices, memory: MemoryBudget, runtime: Handle) -> Toll {
        let slots = Slots::new(prices.slots);
        let context = Context { db, responder, prices, slots, memory, hurry: CancellationToken::new() };
        Toll { context: Arc::new(Live::new(context)), runtime, holds: TaskTracker::new() }
    }

    /// Replaces what answers and what it costs, for chats that begin from now on. How many requests
    /// may wait for one of their user's chats stays as it was.
    pub fn change(&self, responder: Responder, prices: Prices) {
        let before = self.context.get();
        self.context.set(Context {
            db: before.db.clone(),
            responder,
            prices,
            slots: before.slots.clone(),
            memory: before.memory.clone(),
            hurry: before.hurry.clone(),
        });
    }

    /// Returns what answers now.
    pub fn responder(&self) -> Responder {
        self.context.get().responder.clone()
    }

    /// Returns whether messages are answered at once. Otherwise each chat is held while it is
    /// pending, and counts towards the limit of its user.
    pub fn is_instant(&self) -> bool {
        self.context.get().responder.is_instant()
    }

    /// Charges the message and answers it. If the caller stops waiting, the answer is still
    /// finished and stored, and can be found among the user's chats or by the key.
    ///
    /// # Errors
    /// The errors that the contract names, if nothing was charged. [`Error::ResponderFailed`] and
    /// similar ones, if the charge was refunded. [`Error::Unavailable`], if the outcome is not
    /// known.
    pub async fn chat(&self, request: ChatRequest) -> Result<Receipt> {
        let context = self.context.get();
        if let Some(charge) = context.instant_charge(&request) {
            let price = Price::Message(charge.price);
            return match context.charge(charge, price, &request.notes).await? {
                Admission::Answered(receipt) => Ok(*receipt),
                Admission::Held(_) => Err(Error::Internal("a chat with its answer became a hold".to_owned())),
            };
        }
        let (client, receipt) = Client::waiting();
        self.begin(request, client);
        receipt.await.unwrap_or_else(|_| Err(Error::Unavailable("the task of a hold was lost".to_owned())))
    }

    /// Charges the message and answers it part by part. Dropping the stream means that the client
    /// has disconnected, and cancels the call.
    ///
    /// # Errors
    /// Those of [`Toll::chat`], if they occur before the answer begins. Later errors are in the
    /// stream.
    pub async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        if self.context.get().is_instant(&request) {
            return self.chat(request).await.map(ChatStream::of);
        }
        let (client, opening) = Client::streaming();
        self.begin(request, client);
        opening.opened().await
    }

    /// Starts the task that charges, gets the answer and ends the hold.
    fn begin(&self, request: ChatRequest, client: Client) {
        // Made where it stays: it is large, and would be copied several times.
        let task = Box::pin(task::run(self.context.get(), request, client));
        self.holds.spawn_on(task, &self.runtime);
    }

    /// Returns the names of the models on offer. The first one answers `POST /chat/`.
    pub async fn models(&self) -> Result<Vec<String>> {
        let context = self.context.get();
        match &context.responder {
            Responder::Dummy(_) => Ok(vec![DUMMY.to_owned()]),
            Responder::Upstream(catalogue) => {
                let on_offer = context.on_offer(catalogue).await?;
                Ok(on_offer.into_iter().map(|model| model.name).collect())
            }
        }
    }

    /// Returns the names that clients may give: those of the models on offer, each followed by its
    /// aliases.
    pub async fn offered_names(&self) -> Result<Vec<OfferedName>> {
        let context = self.context.get();
        match &context.responder {
            Responder::Dummy(_) => Ok(vec![OfferedName { name: DUMMY.to_owned(), model: DUMMY.to_owned() }]),
            Responder::Upstream(catalogue) => Ok(names(&context.on_offer(catalogue).await?)),
        }
    }

    /// Returns the name of the model on offer that a name means: its own, or an alias.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`].
    pub async fn model_named(&self, name: &str) -> Result<String> {
        let context = self.context.get();
        match &context.responder {
            Responder::Dummy(_) if name == DUMMY => Ok(DUMMY.to_owned()),
            Responder::Dummy(_) => Err(Error::ModelNotFound(name.to_owned())),
            Responder::Upstream(catalogue) => {
                let on_offer = context.on_offer(catalogue).await?;
                Ok(named(&on_offer, name)?.name.clone())
            }
        }
    }

    /// Returns the most tokens that the prompt of a question may have, which is what a hold is made
    /// of.
    ///
    /// # Errors
    /// Those of [`Toll::chat`] about the model and what it accepts.
    pub async fn prompt_bound(&self, question: Question) -> Result<i64> {
        let context = self.context.get();
        match &context.responder {
            Responder::Dummy(_) => Ok(question.prompt_bound(DEFAULT_IMAGE_TOKENS)),
            Responder::Upstream(catalogue) => {
                let on_offer = context.on_offer(catalogue).await?;
                let model = named(&on_offer, &question.model)?;
                Ok(fit(question, model, &on_offer, catalogue)?.prompt_bound(image_tokens(model)))
            }
        }
    }

    /// Stores the models that the settings name, so that administrators can give them a price.
    pub async fn note_models(&self) -> Result<()> {
        let context = self.context.get();
        let names = context.responder.models().to_vec();
        if names.is_empty() {
            return Ok(());
        }
        context.db.write(Scope::none(), move |conn| Ok(Model::add_missing(conn, &names)?)).await
    }

    /// Learns what the upstream reports of the models on offer.
    pub async fn learn_models(&self) {
        if let Responder::Upstream(catalogue) = self.responder() {
            catalogue.upstream.learn(&catalogue.models).await;
        }
    }

    /// Returns a model with what the upstream reports of it where its own properties are not set.
    pub fn known(&self, model: &Model) -> Model {
        match &self.context.get().responder {
            Responder::Dummy(_) => model.clone(),
            Responder::Upstream(catalogue) => catalogue.known(model),
        }
    }

    /// Returns whether responses are stored for clients that ask for it.
    pub fn stores_responses(&self) -> bool {
        self.context.get().prices.stores_responses
    }

    /// Returns the calls of a model since the start. `None` if the dummy answers.
    pub fn call_measures(&self, model: &str) -> Option<Arc<CallMeasures>> {
        match &self.context.get().responder {
            Responder::Dummy(_) => None,
            Responder::Upstream(catalogue) => Some(catalogue.upstream.measures(model)),
        }
    }

    /// Returns the upstream's health. `None` if the dummy answers.
    pub fn upstream_health(&self) -> Option<Health> {
        self.context.get().responder.health()
    }

    /// Waits for `served`, the end of the last request, and then until no hold is open, but no
    /// longer than `patience`. After that, open holds and those that still begin are refunded at
    /// once. A request that is arriving when the stop begins may still make a hold, so it is not
    /// enough to wait for the present holds.
    pub async fn drain(&self, patience: Duration, served: impl Future<Output = ()>) {
        let drained = async {
            served.await;
            self.holds.close();
            self.holds.wait().await;
        };
        tokio::pin!(drained);
        if tokio::time::timeout(patience, &mut drained).await.is_err() {
            self.context.get().hurry.cancel();
            drained.await;
        }
    }
}
