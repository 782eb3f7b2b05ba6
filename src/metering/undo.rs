//! Undoing a ledger entry: an adjustment with the opposite sign. The ledger is append-only, so the
//! entry itself stays.

use chrono::NaiveDateTime;
use diesel::QueryResult;

use super::adjust::{Adjusted, Adjustment, adjust};
use crate::db::DbConnection;
use crate::domain::{FailureReason, OperationId};
use crate::models::{Chat, EntryKind, LedgerEntry};

/// The undoing of one adjustment or refund.
#[derive(Clone, Debug)]
pub struct Undo {
    /// The operation that has written the entry.
    pub undone: OperationId,
    /// The reason. The user sees it on the statement.
    pub note: String,
    /// The administrator.
    pub actor_id: Option<i64>,
    /// The time of the new ledger entry on SQLite. PostgreSQL uses its own clock.
    pub now: NaiveDateTime,
}

/// The outcome of [`undo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// A counter-entry was written.
    Done {
        /// The user whose balance changed.
        user_id: i64,
        /// The amount of the counter-entry, in tokens.
        amount: i64,
        /// The user's balance afterwards, in tokens.
        balance: i64,
    },
    /// The entry was undone before. Nothing was written.
    Before,
    /// The balance would fall below 0, because the tokens are spent, or rise above
    /// [`MOST_TOKENS`](super::MOST_TOKENS). Nothing was written.
    OutOfRange {
        /// The balance as it is, in tokens.
        balance: i64,
    },
    /// The operation has written no entry, or one that cannot be undone.
    NothingToUndo,
}

/// Returns whether an entry can be undone: it is an adjustment, or a refund by an administrator.
pub fn can_be_undone(entry: &LedgerEntry) -> bool {
    match entry.kind {
        EntryKind::Adjustment => true,
        EntryKind::Refund => entry.actor_id.is_some(),
        EntryKind::Opening | EntryKind::Charge | EntryKind::Settlement => false,
    }
}

/// Returns whether an entry has returned the charge of a released hold. Such a chat has no answer,
/// so it must not be charged again.
fn is_of_a_release(conn: &mut DbConnection, entry: &LedgerEntry) -> QueryResult<bool> {
    let (EntryKind::Refund, Some(chat_id)) = (entry.kind, entry.chat_id) else { return Ok(false) };
    let chat = Chat::find(conn, chat_id)?;
    Ok(chat.is_some_and(|chat| chat.failure.as_deref() == Some(FailureReason::Released.code())))
}

/// Undoes the entry of an operation. Its counter-entry has an operation id that is derived from the
/// entry's own, and operation ids are unique: of two attempts at once, on any node, one succeeds.
pub fn undo(conn: &mut DbConnection, undo: &Undo) -> QueryResult<Undone> {
    let Some(entry) = LedgerEntry::find_by_operation(conn, undo.undone.as_bytes())?.filter(can_be_undone)
    else {
        return Ok(Undone::NothingToUndo);
    };
    if is_of_a_release(conn, &entry)? {
        return Ok(Undone::NothingToUndo);
    }
    let operation_id = OperationId::of_undo(&undo.undone);
    if LedgerEntry::find_by_operation(conn, operation_id.as_bytes())?.is_some() {
        return Ok(Undone::Before);
    }
    let (user_id, amount) = (entry.user_id, -entry.amount);
    let note = undo.note.clone();
    let adjustment =
        Adjustment { user_id, amount, note, actor_id: undo.actor_id, operation_id, now: undo.now };
    Ok(match adjust(conn, &adjustment)? {
        Adjusted::Done { balance, .. } => Undone::Done { user_id, amount, balance },
        Adjusted::OutOfRange { balance } => Undone::OutOfRange { balance },
        Adjusted::OtherOperation | Adjusted::NoSuchUser => Undone::NothingToUndo,
    })
}
