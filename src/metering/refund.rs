//! A refund: an administrator returns what a chat cost, with a reason, once.

use chrono::NaiveDateTime;
use diesel::QueryResult;

use super::entry::NewEntry;
use super::hold::give_back;
use super::operation::{Earlier, look_up};
use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::models::{Chat, ChatState, EntryKind, LedgerEntry};

/// A refund of one chat.
#[derive(Clone, Debug)]
pub struct Refund {
    /// The chat whose cost is refunded.
    pub chat_id: i64,
    /// The reason. The user sees it on the statement.
    pub note: String,
    /// The administrator. A refund of an answered chat always has one.
    pub actor_id: i64,
    /// Identifies the refund, so that a repeated run finds it.
    pub operation_id: OperationId,
    /// The time of the ledger entry on SQLite. PostgreSQL uses its own clock.
    pub now: NaiveDateTime,
}

/// The outcome of [`refund`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refunded {
    /// The cost was refunded, now or by an earlier run.
    Done {
        /// The user who got the tokens.
        user_id: i64,
        /// The refund, in tokens.
        amount: i64,
        /// The user's balance afterwards, in tokens.
        balance: i64,
        /// `false` if an earlier run of the same operation has refunded it.
        is_new: bool,
    },
    /// The operation id belongs to another operation. Nothing was written.
    OtherOperation,
    /// The chat was refunded before. Nothing was written.
    AlreadyRefunded,
    /// The chat is a hold, which must be released instead.
    Pending,
    /// The chat cost nothing, or its whole cost was refunded.
    NothingToRefund,
    /// There is no chat with this id.
    NoSuchChat,
}

/// Refunds what a chat has cost until now. The chat, its answer and its idempotency key stay as
/// they are: the answer was given, and a retry gets it again. A second run of the same operation
/// finds what the first one did.
pub fn refund(conn: &mut DbConnection, refund: &Refund) -> QueryResult<Refunded> {
    let is_same = |entry: &LedgerEntry| entry.chat_id == Some(refund.chat_id) && entry.note == refund.note;
    match look_up(conn, refund.operation_id, is_same)? {
        Earlier::Nothing => {}
        Earlier::Same(entry) => {
            let (user_id, amount, balance) = (entry.user_id, entry.amount, entry.balance_after);
            return Ok(Refunded::Done { user_id, amount, balance, is_new: false });
        }
        Earlier::Other => return Ok(Refunded::OtherOperation),
    }
    let Some(chat) = Chat::find_cut(conn, refund.chat_id, 0)? else { return Ok(Refunded::NoSuchChat) };
    if chat.state == ChatState::Pending {
        return Ok(Refunded::Pending);
    }
    let entries = LedgerEntry::of_chat(conn, chat.id)?;
    if entries.iter().any(|entry| entry.kind == EntryKind::Refund) {
        return Ok(Refunded::AlreadyRefunded);
    }
    let cost: i64 = entries.iter().map(|entry| -entry.amount).sum();
    if cost <= 0 {
        return Ok(Refunded::NothingToRefund);
    }
    let balance = give_back(conn, chat.user_id, cost)?;
    NewEntry {
        user_id: chat.user_id,
        amount: cost,
        balance_after: balance,
        kind: EntryKind::Refund,
        chat_id: Some(chat.id),
        actor_id: Some(refund.actor_id),
        note: &refund.note,
        operation_id: refund.operation_id,
        now: refund.now,
    }
    .insert(conn)?;
    Ok(Refunded::Done { user_id: chat.user_id, amount: cost, balance, is_new: true })
}
