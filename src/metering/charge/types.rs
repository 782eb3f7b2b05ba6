//! A charge and its verdict.

use std::time::Duration;

use chrono::NaiveDateTime;

use crate::domain::{Fingerprint, IdempotencyKey, OperationId, TokenDigest};
use crate::models::Chat;

/// A chat to be charged.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Whose auth token it is pays.
    pub auth_token: TokenDigest,
    pub message: String,
    pub model: String,
    /// Tokens taken now: the price, or the most that it can cost.
    pub price: i64,
    /// The answer, where there is one already: then the chat is complete at once. Else it is a hold.
    pub response: Option<String>,
    /// How long a hold may last before the sweeper refunds it.
    pub hold_for: Duration,
    /// How many holds a user may have who has no limit of their own.
    pub concurrent_chats: i64,
    pub conversation_id: Option<i64>,
    pub key: Option<(IdempotencyKey, Fingerprint)>,
    pub operation_id: OperationId,
    /// This node's time. PostgreSQL uses its own.
    pub now: NaiveDateTime,
}

/// What came of a charge. All but [`Verdict::Charged`] have written nothing.
#[derive(Clone, Debug)]
pub enum Verdict {
    Charged(Charged),
    /// The auth token is unknown, revoked or expired, or its user is deactivated.
    Unauthorized,
    Insufficient {
        balance: i64,
    },
    /// The user has as many holds as may be.
    TooManyHolds,
    /// The idempotency key has an answer already.
    Replay {
        chat: Box<Chat>,
        balance: i64,
    },
    /// The first request with this idempotency key is still being answered.
    InFlight,
    /// The idempotency key was used for another request.
    KeyReused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    pub chat_id: i64,
    pub user_id: i64,
    /// The balance after the charge.
    pub balance: i64,
    /// The time of the charge, on PostgreSQL by the database's clock.
    pub created_at: NaiveDateTime,
}

impl Charge {
    /// Whether it has no answer yet.
    pub(super) fn is_hold(&self) -> bool {
        self.response.is_none()
    }
}
