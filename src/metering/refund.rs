//! A refund: an administrator gives back what a chat cost, with a reason, once.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::entry::NewEntry;
use super::operation::{Earlier, look_up};
use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::models::{Chat, ChatState, EntryKind, LedgerEntry};
use crate::schema::users;

#[derive(Clone, Debug)]
pub struct Refund {
    pub chat_id: i64,
    /// The reason. The user sees it on the statement.
    pub note: String,
    /// The administrator; a refund of an answered chat has one.
    pub actor_id: i64,
    pub operation_id: OperationId,
    pub now: NaiveDateTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refunded {
    Done {
        /// Whose tokens they are.
        user_id: i64,
        /// What went back, in tokens.
        amount: i64,
        balance: i64,
        /// `false`: an earlier run of the same operation has done it.
        is_new: bool,
    },
    /// The operation id stands for another operation; nothing was written.
    OtherOperation,
    /// It had gone back before; nothing was written.
    AlreadyRefunded,
    /// It is a hold: release it instead.
    Pending,
    /// It cost nothing, or all of it has gone back.
    NothingToRefund,
    NoSuchChat,
}

/// Gives back what a chat has cost until now. The chat and its answer stay as they are, and so does its idempotency
/// key: the answer was given, and a retry gets it again. A second run of the same operation finds what the first did.
pub fn refund(conn: &mut DbConnection, refund: &Refund) -> QueryResult<Refunded> {
    match look_up(conn, refund.operation_id, |entry| entry.chat_id == Some(refund.chat_id))? {
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
    let balance = diesel::update(users::table.find(chat.user_id))
        .set(users::tokens.eq(users::tokens + cost))
        .returning(users::tokens)
        .get_result(conn)?;
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
