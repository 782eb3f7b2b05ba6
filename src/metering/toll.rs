//! The life of a chat: charge, answer, settle.
//!
//! Where the responder has its answer at once, the chat is charged and complete in one transaction. Else the
//! charge is a hold, and a task that outlives the connection waits for the answer and ends the hold ([`super::answering`]).
//! Nobody ever waits for a responder inside a transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::charge::{Charge, Charged, Verdict};
use super::chat_stream::{ChatStream, Client};
use super::prepare::Prepared;
use super::receipt::Receipt;
use crate::clock;
use crate::db::{Db, Scope};
use crate::domain::{Fingerprint, IdempotencyKey, OperationId, TokenDigest};
use crate::error::{Error, Result};
use crate::models::{ChatState, Model};
use crate::responder::{Answer, DUMMY, Health, Question, Responder, Usage};
use crate::throttle::MemoryShare;

/// What things cost, and how much of them one user may have at once.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    /// Tokens for a message, where a model has no price of its own.
    pub chat: i64,
    /// How many chats of one user may be answered at once, where the user has no limit of their own.
    pub concurrent_chats: i64,
}

/// What somebody wants answered.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    pub auth_token: TokenDigest,
    /// What is stored as the chat's message.
    pub message: String,
    pub prompt: Prompt,
    /// With the digest of the request, by which another request under the same key is told apart.
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    /// The memory that a large prompt takes until the answer has ended.
    pub memory: Option<Arc<MemoryShare>>,
}

/// What the responder is to read.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// The message alone.
    Message,
    /// The message, after what was said before it in this conversation.
    Conversation(i64),
    /// All of this. Its `max_output` is what the client wants at most; 0: as much as there may be.
    Whole(Question),
}

/// How long a hold lasts beyond the responder's own time limit, before the sweeper takes it for lost.
const GRACE: Duration = Duration::from_secs(120);

/// Takes the toll, then lets the message through to the responder. Cheap to clone.
#[derive(Clone)]
pub struct Toll {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub db: Db,
    pub responder: Responder,
    pub prices: Prices,
    /// Holds are settled here: on a runtime that outlives the server's workers.
    runtime: Handle,
    holds: TaskTracker,
    /// Cancelled when the server was told to stop and can wait no longer.
    pub hurry: CancellationToken,
}

/// How a request was let in.
pub(super) enum Entry {
    /// It is paid for and answered, now or before.
    Answered(Box<Receipt>),
    /// It is paid for, and waits for its answer.
    Held(Charged),
}

impl Toll {
    pub fn new(db: Db, responder: Responder, prices: Prices, runtime: Handle) -> Toll {
        let (holds, hurry) = (TaskTracker::new(), CancellationToken::new());
        Toll { inner: Arc::new(Inner { db, responder, prices, runtime, holds, hurry }) }
    }

    /// Charges the message and answers it. Whoever gives up waiting changes nothing: the answer is finished, stored, and
    /// found in the history or by the key.
    ///
    /// # Errors
    /// The contract's refusals, which have charged nothing; [`Error::ResponderFailed`] and its like when it was refunded;
    /// [`Error::Unavailable`] when it is not known what was done.
    pub async fn chat(&self, request: ChatRequest) -> Result<Receipt> {
        if let Some(charge) = self.inner.charge_with_answer(&request) {
            return match self.inner.charge(charge).await? {
                Entry::Answered(receipt) => Ok(*receipt),
                Entry::Held(_) => Err(Error::Internal("a chat with its answer became a hold".to_owned())),
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
        if self.inner.charge_with_answer(&request).is_some() {
            return self.chat(request).await.map(ChatStream::of);
        }
        let (client, opening) = Client::streaming();
        self.begin(request, client);
        opening.opened().await
    }

    /// From before the charge until the hold has ended it is the task's work.
    fn begin(&self, request: ChatRequest, client: Client) {
        let inner = self.inner.clone();
        self.inner.holds.spawn_on(async move { inner.serve(request, client).await }, &self.inner.runtime);
    }

    /// The names of the models on offer, the one that answers `POST /chat/` first.
    pub async fn models(&self) -> Result<Vec<String>> {
        match &self.inner.responder {
            Responder::Dummy(_) => Ok(vec![DUMMY.to_owned()]),
            Responder::Upstream(offer) => {
                let on_offer = self.inner.on_offer(offer).await?;
                Ok(on_offer.into_iter().map(|model| model.name).collect())
            }
        }
    }

    /// Notes the models that the settings name, so that administrators can give them a price.
    pub async fn note_models(&self) -> Result<()> {
        let names = self.inner.responder.models().to_vec();
        if names.is_empty() {
            return Ok(());
        }
        self.inner.db.write(Scope::none(), move |conn| Ok(Model::add_missing(conn, &names)?)).await
    }

    /// How the upstream does; `None`: the dummy answers.
    pub fn upstream_health(&self) -> Option<Health> {
        self.inner.responder.health()
    }

    /// Waits until `served`, the last request's end, and then until no hold is open, `patience` at most in all;
    /// the holds left then, and those that begin later still, are refunded at once. A request that is arriving
    /// when the server is told to stop may yet begin a hold, so none can be waited for on their own.
    pub async fn drain(&self, patience: Duration, served: impl Future<Output = ()>) {
        let drained = async {
            served.await;
            self.inner.holds.close();
            self.inner.holds.wait().await;
        };
        tokio::pin!(drained);
        if tokio::time::timeout(patience, &mut drained).await.is_err() {
            self.inner.hurry.cancel();
            drained.await;
        }
    }
}

impl Inner {
    /// The charge, where the answer takes no waiting and nothing has to be looked up first.
    fn charge_with_answer(&self, request: &ChatRequest) -> Option<Charge> {
        if matches!(request.prompt, Prompt::Conversation(_)) {
            return None;
        }
        let response = self.responder.answer_at_once(&request.message)?;
        // The charge itself finds the user.
        let prepared = Prepared::dummy(0, self.prices.chat);
        Some(Charge { response: Some(response), ..self.new_charge(request, &prepared) })
    }

    pub(super) fn new_charge(&self, request: &ChatRequest, prepared: &Prepared) -> Charge {
        Charge {
            auth_token: request.auth_token,
            message: request.message.clone(),
            model: prepared.question.model.clone(),
            price: prepared.price.hold(&prepared.question),
            response: None,
            hold_for: self.responder.time_limit() + GRACE,
            concurrent_chats: self.prices.concurrent_chats,
            conversation_id: prepared.conversation_id,
            key: request.key.clone(),
            operation_id: OperationId::generate(),
            now: clock::now(),
        }
    }

    /// Charges; what comes of it is an entry or one of the contract's refusals.
    pub(super) async fn charge(&self, charge: Charge) -> Result<Entry> {
        let (message, model, price) = (charge.message.clone(), charge.model.clone(), charge.price);
        let response = charge.response.clone();
        match self.db.write_set(charge).await? {
            Verdict::Charged(charged) => {
                let Some(response) = response else { return Ok(Entry::Held(charged)) };
                let answer = Answer::of_text(&response);
                Ok(Entry::Answered(Box::new(Receipt {
                    chat_id: charged.chat_id,
                    model,
                    usage: Usage::counted(&message, &answer),
                    message,
                    answer,
                    charged: price,
                    remaining: charged.balance,
                    replayed: false,
                    state: ChatState::Complete,
                    created_at: charged.created_at,
                })))
            }
            Verdict::Unauthorized => Err(Error::Unauthorized),
            Verdict::Insufficient { balance } => Err(Error::InsufficientTokens { balance, price }),
            Verdict::TooManyHolds => Err(Error::TooManyChats),
            Verdict::InFlight => Err(Error::KeyInFlight),
            Verdict::KeyReused => Err(Error::KeyReused),
            Verdict::Replay { chat, balance } => {
                let charged = self.cost_of(chat.id).await?;
                Ok(Entry::Answered(Box::new(Receipt::replayed(*chat, charged, balance)?)))
            }
        }
    }
}
