//! A charge and its verdict.

use std::time::Duration;

use chrono::NaiveDateTime;

use crate::domain::{Endpoint, Fingerprint, IdempotencyKey, OperationId, TokenDigest};
use crate::models::Chat;

/// A chat to be charged.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The auth token of the user who pays.
    pub auth_token: TokenDigest,
    /// The text of the message.
    pub message: String,
    /// The name of the model that answers.
    pub model: String,
    /// The endpoint that the message came through.
    pub endpoint: Endpoint,
    /// The tokens to debit now: the price, or the most that the chat can cost.
    pub price: i64,
    /// The answer, if it is known already: then the chat is complete at once. Without it the charge
    /// is a hold.
    pub response: Option<String>,
    /// The time after which the sweeper refunds the hold.
    pub hold_for: Duration,
    /// The most simultaneous holds of a user without an individual limit.
    pub concurrent_chats: i64,
    /// The conversation that the message belongs to, if any.
    pub conversation_id: Option<i64>,
    /// The request's idempotency key, with the fingerprint of the request.
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    /// Identifies the charge, so that a repeated run finds it.
    pub operation_id: OperationId,
    /// The time on this node, which SQLite stores. PostgreSQL uses its own clock.
    pub now: NaiveDateTime,
}

/// The outcome of a charge. All but [`Verdict::Charged`] have written nothing.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The balance was debited and the chat was written.
    Charged(Charged),
    /// The auth token is unknown, revoked or expired, or its user is deactivated.
    Unauthorized,
    /// The balance is less than the price.
    Insufficient {
        /// The balance, in tokens.
        balance: i64,
    },
    /// The user has the most simultaneous holds that the limit allows.
    TooManyHolds,
    /// A chat with this idempotency key has ended.
    Replay {
        /// That chat, which is the response to this request, too.
        chat: Box<Chat>,
        /// The balance now, in tokens.
        balance: i64,
    },
    /// The first request with this idempotency key is still being answered.
    InFlight,
    /// The idempotency key belongs to a request with different content.
    KeyReused,
}

/// A charge that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The chat that was written.
    pub chat_id: i64,
    /// The user who paid.
    pub user_id: i64,
    /// The balance after the charge, in tokens.
    pub balance: i64,
    /// The time of the charge, on PostgreSQL by the database's clock.
    pub created_at: NaiveDateTime,
}

impl Charge {
    /// Returns whether the charge is a hold: a chat without an answer yet.
    pub(super) fn is_hold(&self) -> bool {
        self.response.is_none()
    }
}
