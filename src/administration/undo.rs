//! Undoing what administrators have done, by counter-entries. What was done is never deleted.

use std::sync::Arc;

use super::balances::reused;
use super::bulk::{Bulk, BulkRequest, insert};
use super::bulk_kind::BulkKind;
use super::edit::By;
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{OperationId, REASON_LENGTH, Reason};
use crate::error::Result;
use crate::metering::{self, Undo, Undone, can_be_undone};
use crate::models::{BulkOperation, BulkUndo, Change, LedgerEntry};

/// The outcome of [`undo_entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryUndone {
    /// The counter-entry was written, now or by an attempt at the same time.
    Done {
        /// Its amount, in tokens.
        amount: i64,
        /// The user's balance afterwards, in tokens.
        balance: i64,
    },
    /// It was undone before. Nothing was written.
    Before,
    /// The balance would leave its range: the tokens to take back are spent, or there would be too
    /// many. Nothing was written.
    OutOfRange {
        /// The balance as it is, in tokens.
        balance: i64,
        /// The amount that the counter-entry would have, in tokens.
        amount: i64,
    },
    /// The user has no such entry that can be undone.
    NothingToUndo,
}

/// Returns the reason for undoing what was done for a reason, which may be empty.
pub fn undo_reason(reason: &str) -> String {
    if reason.is_empty() {
        return "Undo".to_owned();
    }
    format!("Undo: {reason}").chars().take(REASON_LENGTH).collect()
}

/// Undoes an adjustment of a user's balance, or a refund to it, once. `undone` is the operation
/// that has made it.
pub async fn undo_entry(db: &Db, actor: &Actor, user_id: i64, undone: OperationId) -> Result<EntryUndone> {
    let counter = OperationId::of_undo(&undone);
    let read = move |conn: &mut DbConnection| {
        let entry = LedgerEntry::find_by_operation(conn, undone.as_bytes())?;
        let is_undone = LedgerEntry::find_by_operation(conn, counter.as_bytes())?.is_some();
        Ok((entry.filter(|entry| entry.user_id == user_id && can_be_undone(entry)), is_undone))
    };
    let (Some(entry), is_undone) = db.read_few(read).await? else { return Ok(EntryUndone::NothingToUndo) };
    if is_undone {
        return Ok(EntryUndone::Before);
    }
    let (actor, now, reason, amount) = (actor.clone(), clock::now(), undo_reason(&entry.note), -entry.amount);
    let job = move |conn: &mut DbConnection| {
        let by = By { actor: &actor, reason: &reason, now };
        Ok(match undo_and_record(conn, &by, undone)? {
            Undone::Done { amount, balance, .. } => EntryUndone::Done { amount, balance },
            // Since the look above, this form was sent twice, or this job runs again.
            Undone::Before => match LedgerEntry::find_by_operation(conn, counter.as_bytes())? {
                Some(entry) => EntryUndone::Done { amount: entry.amount, balance: entry.balance_after },
                None => EntryUndone::NothingToUndo,
            },
            Undone::OutOfRange { balance } => EntryUndone::OutOfRange { balance, amount },
            Undone::NothingToUndo => EntryUndone::NothingToUndo,
        })
    };
    db.write(Scope::user(user_id), job).await
}

/// Undoes the ledger entry of an operation and records it as an adjustment, in the caller's
/// transaction, which has locked the user.
pub(crate) fn undo_and_record(conn: &mut DbConnection, by: &By<'_>, undone: OperationId) -> Result<Undone> {
    let undo = Undo { undone, note: by.reason.to_owned(), actor_id: by.actor.user_id, now: by.now };
    let outcome = metering::undo(conn, &undo)?;
    if let Undone::Done { user_id, amount, balance } = outcome {
        let changes = [Change::new("tokens", balance - amount, balance)];
        let event =
            Event { changes: &changes, note: by.reason, ..Event::about_user(Action::Adjust, user_id) };
        by.actor.record(conn, &event, by.now)?;
    }
    Ok(outcome)
}

/// Whether a bulk operation can be undone, or why it can not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undoability {
    /// It can, by an operation of this kind.
    Possible(BulkKind),
    /// The operation with this id has undone it.
    Undone(i64),
    /// It is not finished yet.
    NotFinished,
    /// It did nothing: all of its rows have failed.
    NothingDone,
    /// It undoes the operation with this id itself.
    IsUndo(i64),
    /// Nothing undoes this kind of operation.
    Never,
    /// An older version of Tollgate has finished it, and has not kept its rows.
    RowsUnknown,
}

/// Returns whether a bulk operation can be undone.
pub fn undoability(conn: &mut DbConnection, operation: &BulkOperation) -> Result<Undoability> {
    let Some(kind) = BulkKind::of(operation) else { return Ok(Undoability::Never) };
    if let Some(undone) = BulkUndo::undone(conn, operation.id)? {
        return Ok(Undoability::IsUndo(undone.id));
    }
    let Some(undo) = kind.undo() else { return Ok(Undoability::Never) };
    if let Some(undoing) = BulkUndo::undoing(conn, operation.id)? {
        return Ok(Undoability::Undone(undoing));
    }
    if operation.finished_at.is_none() {
        return Ok(Undoability::NotFinished);
    }
    if operation.failed >= operation.total {
        return Ok(Undoability::NothingDone);
    }
    let has_ids = BulkOperation::has_ids(conn, operation.id)?;
    Ok(if has_ids { Undoability::Possible(undo) } else { Undoability::RowsUnknown })
}

/// The outcome of [`undo_bulk_operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoStarted {
    /// The bulk operation with this id undoes it.
    Started(i64),
    /// It cannot be undone. Nothing was started.
    Refused(Undoability),
    /// There is no bulk operation with this id.
    NoSuchOperation,
}

/// Starts the operation that undoes what another one has done, once. Rows that have failed are left
/// out. `seed` is the id that was made with the form.
pub async fn undo_bulk_operation(
    db: &Db,
    bulk: &Bulk,
    actor: &Actor,
    id: i64,
    seed: OperationId,
    reason: &Reason,
) -> Result<UndoStarted> {
    // A finished operation's rows never change, and they may be a million: reading them must not
    // keep charges waiting.
    let done = Arc::new(db.read(move |conn| Ok(BulkOperation::finished_ids(conn, id)?)).await?);
    let (actor, now, reason) = (actor.clone(), clock::now(), reason.clone());
    let job = move |conn: &mut DbConnection| {
        let Some(operation) = BulkOperation::find(conn, id)? else {
            return Ok(UndoStarted::NoSuchOperation);
        };
        if let Some(started) = BulkOperation::find_by_seed(conn, seed.as_bytes())? {
            // The same form was sent again, or this job runs again.
            let is_same = BulkUndo::undone(conn, started)?.is_some_and(|undone| undone.id == id);
            return if is_same { Ok(UndoStarted::Started(started)) } else { Err(reused()) };
        }
        let kind = match undoability(conn, &operation)? {
            Undoability::Possible(kind) => kind,
            other => return Ok(UndoStarted::Refused(other)),
        };
        // It has finished since they were read.
        let Some(ids) = &*done else { return Ok(UndoStarted::Refused(Undoability::NotFinished)) };
        let selection = format!("{} done rows of bulk operation {id}", ids.len());
        let request = BulkRequest { seed, kind, reason: reason.clone(), selection, ids: ids.clone() };
        Ok(UndoStarted::Started(insert(conn, &actor, &request, Some(&operation), now)?))
    };
    let started = match db.write_bulk(Scope::none(), job.clone()).await {
        // Somebody else has undone it at the same time. Trying again finds that.
        Err(error) if error.is_unique_violation() => db.write_bulk(Scope::none(), job).await,
        outcome => outcome,
    }?;
    bulk.wake();
    Ok(started)
}
