//! Takes the toll, then lets the message through to the responder.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::context::Context;
use super::receipt::Receipt;
use super::request::{ChatRequest, Prices};
use super::stream::{ChatStream, Client};
use super::task;
use crate::db::{Db, Scope};
use crate::error::{Error, Result};
use crate::models::Model;
use crate::responder::{DUMMY, Health, Responder};

/// Takes the toll, then lets the message through to the responder. Cheap to clone.
#[derive(Clone)]
pub struct Toll {
    context: Arc<Context>,
    /// Holds are settled here: on a runtime that outlives the server's workers.
    runtime: Handle,
    holds: TaskTracker,
}

impl Toll {
    pub fn new(db: Db, responder: Responder, prices: Prices, runtime: Handle) -> Toll {
        let context = Context { db, responder, prices, hurry: CancellationToken::new() };
        Toll { context: Arc::new(context), runtime, holds: TaskTracker::new() }
    }

    /// Charges the message and answers it. Whoever gives up waiting changes nothing: the answer is finished, stored, and
    /// found in the history or by the key.
    ///
    /// # Errors
    /// The contract's refusals, which have charged nothing; [`Error::ResponderFailed`] and its like when it was refunded;
    /// [`Error::Unavailable`] when it is not known what was done.
    pub async fn chat(&self, request: ChatRequest) -> Result<Receipt> {
        if let Some(charge) = self.context.instant_charge(&request) {
            return match self.context.charge(charge).await? {
                Admission::Answered(receipt) => Ok(*receipt),
                Admission::Held(_) => Err(Error::Internal("a chat with its answer became a hold".to_owned())),
            };
        }
        let (client, receipt) = Client::waiting();
        self.begin(request, client);
        receipt.await.unwrap_or_else(|_| Err(Error::Unavailable("the task of a hold was lost".to_owned())))
    }

    /// Charges the message and answers it part by part. Dropping the stream is leaving: it cancels the call.
    ///
    /// # Errors
    /// As [`Toll::chat`], as far as they are known before the answer begins; later ones are in the stream.
    pub async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        if self.context.is_instant(&request) {
            return self.chat(request).await.map(ChatStream::of);
        }
        let (client, opening) = Client::streaming();
        self.begin(request, client);
        opening.opened().await
    }

    /// Starts the task that charges, gets the answer and ends the hold.
    fn begin(&self, request: ChatRequest, client: Client) {
        self.holds.spawn_on(task::run(self.context.clone(), request, client), &self.runtime);
    }

    /// The names of the models on offer, the one that answers `POST /chat/` first.
    pub async fn models(&self) -> Result<Vec<String>> {
        match &self.context.responder {
            Responder::Dummy(_) => Ok(vec![DUMMY.to_owned()]),
            Responder::Upstream(offer) => {
                let on_offer = self.context.on_offer(offer).await?;
                Ok(on_offer.into_iter().map(|model| model.name).collect())
            }
        }
    }

    /// Notes the models that the settings name, so that administrators can give them a price.
    pub async fn note_models(&self) -> Result<()> {
        let names = self.context.responder.models().to_vec();
        if names.is_empty() {
            return Ok(());
        }
        self.context.db.write(Scope::none(), move |conn| Ok(Model::add_missing(conn, &names)?)).await
    }

    /// How the upstream does; `None`: the dummy answers.
    pub fn upstream_health(&self) -> Option<Health> {
        self.context.responder.health()
    }

    /// Waits until `served`, the last request's end, and then until no hold is open, `patience` at most in all;
    /// the holds left then, and those that begin later still, are refunded at once. A request that is arriving
    /// when the server is told to stop may yet begin a hold, so none can be waited for on their own.
    pub async fn drain(&self, patience: Duration, served: impl Future<Output = ()>) {
        let drained = async {
            served.await;
            self.holds.close();
            self.holds.wait().await;
        };
        tokio::pin!(drained);
        if tokio::time::timeout(patience, &mut drained).await.is_err() {
            self.context.hurry.cancel();
            drained.await;
        }
    }
}
