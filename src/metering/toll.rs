//! The life of a chat: charge, answer, settle.
//!
//! Where the responder has its answer at once, the chat is charged and complete in one transaction. Else the
//! charge is a hold, and a task that outlives the connection waits for the answer and ends the hold: a client that
//! goes away changes nothing about what is written. Nobody ever waits for a responder inside a transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::charge::{Charge, Charged, Verdict};
use super::hold::{Ended, Ending, end_hold};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Fingerprint, IdempotencyKey, Message, OperationId, TokenDigest};
use crate::error::{Error, Result};
use crate::responder::Responder;

/// What things cost, in tokens.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    pub chat: i64,
}

/// A message that somebody wants answered.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    pub auth_token: TokenDigest,
    pub message: Message,
    /// With the digest of the request, by which another request under the same key is told apart.
    pub key: Option<(IdempotencyKey, Fingerprint)>,
}

/// A chat that was paid for and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub chat_id: i64,
    pub message: String,
    pub response: String,
    /// Tokens taken for it, now or, if replayed, then.
    pub charged: i64,
    /// The balance after it; if replayed, the balance now.
    pub remaining: i64,
    /// The answer is that of an earlier request with the same idempotency key; nothing was charged now.
    pub replayed: bool,
}

/// How long a hold lasts beyond the responder's own time limit, before the sweeper takes it for lost.
const GRACE: Duration = Duration::from_secs(120);

/// The longest pause between two tries to settle while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Takes the toll, then lets the message through to the responder. Cheap to clone.
#[derive(Clone)]
pub struct Toll {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    responder: Responder,
    prices: Prices,
    /// Holds are settled here: on a runtime that outlives the server's workers.
    runtime: Handle,
    holds: TaskTracker,
    hurry: CancellationToken,
}

impl Toll {
    pub fn new(db: Db, responder: Responder, prices: Prices, runtime: Handle) -> Toll {
        let (holds, hurry) = (TaskTracker::new(), CancellationToken::new());
        Toll { inner: Arc::new(Inner { db, responder, prices, runtime, holds, hurry }) }
    }

    /// Charges the message and answers it.
    ///
    /// # Errors
    /// The contract's refusals, which have charged nothing; [`Error::ResponderFailed`] when it was refunded;
    /// [`Error::Unavailable`] when it is not known what was done.
    pub async fn chat(&self, request: ChatRequest) -> Result<Receipt> {
        let message = request.message.into_string();
        let charge = Charge {
            auth_token: request.auth_token,
            response: self.inner.responder.answer_at_once(&message),
            message,
            model: self.inner.responder.model(),
            price: self.inner.prices.chat,
            hold_for: self.inner.responder.time_limit() + GRACE,
            key: request.key,
            operation_id: OperationId::generate(),
            now: clock::now(),
        };
        if charge.response.is_some() {
            return self.inner.charge_and_answer(charge).await;
        }
        // From before the charge until the hold has ended it is the task's work: the client may leave at any moment,
        // and then the answer is found in the history or by the key.
        let (tell, told) = oneshot::channel();
        let inner = self.inner.clone();
        let task = async move { tell.send(inner.charge_and_answer(charge).await) };
        self.inner.holds.spawn_on(task, &self.inner.runtime);
        told.await.unwrap_or_else(|_| Err(Error::Unavailable("the task of a hold was lost".to_owned())))
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
    async fn charge_and_answer(&self, charge: Charge) -> Result<Receipt> {
        let (message, price, at_once) = (charge.message.clone(), charge.price, charge.response.clone());
        let charged = match self.db.write_set(charge).await? {
            Verdict::Charged(charged) => charged,
            Verdict::Unauthorized => return Err(Error::Unauthorized),
            Verdict::Insufficient { balance } => return Err(Error::InsufficientTokens { balance, price }),
            Verdict::InFlight => return Err(Error::KeyInFlight),
            Verdict::KeyReused => return Err(Error::KeyReused),
            Verdict::Replay { chat, balance } => {
                return Ok(Receipt {
                    chat_id: chat.id,
                    message: chat.message,
                    response: chat.response.unwrap_or_default(),
                    charged: chat.charge,
                    remaining: balance,
                    replayed: true,
                });
            }
        };
        let response = match at_once {
            Some(response) => response,
            None => self.answer_and_settle(charged, &message).await?,
        };
        let Charged { chat_id, balance, .. } = charged;
        Ok(Receipt { chat_id, message, response, charged: price, remaining: balance, replayed: false })
    }

    async fn answer_and_settle(&self, charged: Charged, message: &str) -> Result<String> {
        let limit = self.responder.time_limit();
        let answered = tokio::select! {
            answered = tokio::time::timeout(limit, self.responder.answer(message)) => {
                answered.unwrap_or(Err("it took too long"))
            }
            () = self.hurry.cancelled() => Err("the server was stopped"),
        };
        let ending = match &answered {
            Ok(response) => Ending::Complete { response: response.clone() },
            Err(reason) => Ending::Failed { reason },
        };
        match (self.end(charged, ending).await?, answered) {
            (Ended::AlreadyRefunded | Ended::NoSuchChat, _) => {
                Err(Error::ResponderFailed("it took too long"))
            }
            (_, Ok(response)) => Ok(response),
            (_, Err(reason)) => Err(Error::ResponderFailed(reason)),
        }
    }

    /// Ends the hold; tries again while the database is away, until the sweeper may have taken the hold for lost.
    async fn end(&self, charged: Charged, ending: Ending) -> Result<Ended> {
        let operation_id = OperationId::generate();
        let give_up = tokio::time::Instant::now() + GRACE;
        let mut pause = Duration::from_millis(100);
        loop {
            let ending = ending.clone();
            let job = move |conn: &mut DbConnection| {
                Ok(end_hold(conn, charged.chat_id, &ending, operation_id, clock::now())?)
            };
            let outcome = self.db.write(Scope::user(charged.user_id), job).await;
            let Err(error) = outcome else { return outcome };
            let out_of_time = tokio::time::Instant::now() + pause > give_up || self.hurry.is_cancelled();
            if out_of_time {
                log::error!(
                    "chat {}: its hold could not be ended and is left to the sweeper",
                    charged.chat_id
                );
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
