//! The queue of bulk operations, from adjusting balances to anonymising a user.
//!
//! Confirming an operation freezes the ids of the selected rows in one row. `bulk_worker` does the
//! work.

use std::sync::Arc;

use tokio::sync::Notify;

use super::bulk_kind::BulkKind;
use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{OperationId, Reason};
use crate::error::Result;
use crate::models::{BulkOperation, BulkUndo, Change, NewBulkOperation};

/// The most rows that one operation may have.
pub const MOST_ROWS: i64 = 1_000_000;

/// A bulk operation to start.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// The id that was made with the form, so that sending it twice starts one operation. The
    /// operation ids of the rows are derived from it.
    pub seed: OperationId,
    /// What to do.
    pub kind: BulkKind,
    /// Why.
    pub reason: Reason,
    /// The selection, in words.
    pub selection: String,
    /// The ids of the rows.
    pub ids: Vec<i64>,
}

/// Starts bulk operations and wakes this node's worker.
#[derive(Clone, Debug, Default)]
pub struct Bulk {
    pub(super) started: Arc<Notify>,
}

impl Bulk {
    /// Stores an operation and returns its id. The worker starts at once. If an operation with the
    /// same seed exists, returns the id of that one.
    pub async fn start(&self, db: &Db, actor: &Actor, request: BulkRequest) -> Result<i64> {
        let (actor, now) = (actor.clone(), clock::now());
        let job = move |conn: &mut DbConnection| insert(conn, &actor, &request, None, now);
        // This uses the second lane: the ids of a million rows are 8 MB, and no chat should wait
        // for that.
        let started = match db.write_bulk(Scope::none(), job.clone()).await {
            // The same form was sent at the same time. Trying again finds the operation it started.
            Err(error) if error.is_unique_violation() => db.write_bulk(Scope::none(), job).await,
            outcome => outcome,
        };
        let id = started?;
        self.wake();
        Ok(id)
    }

    /// Wakes this node's worker, after an operation was stored.
    pub(super) fn wake(&self) {
        self.started.notify_one();
    }

    /// Finds the operation that a form has started. `None` if it has started none.
    pub async fn find(&self, db: &Db, seed: OperationId) -> Result<Option<BulkOperation>> {
        let find = move |conn: &mut DbConnection| match BulkOperation::find_by_seed(conn, seed.as_bytes())? {
            Some(id) => Ok(BulkOperation::find(conn, id)?),
            None => Ok(None),
        };
        db.read_few(find).await
    }
}

/// Stores an operation, which may undo another one, and records it, in the caller's transaction.
/// Returns its id, or the id of the operation with the same seed.
pub(super) fn insert(
    conn: &mut DbConnection,
    actor: &Actor,
    request: &BulkRequest,
    undone: Option<&BulkOperation>,
    now: chrono::NaiveDateTime,
) -> Result<i64> {
    if let Some(id) = BulkOperation::find_by_seed(conn, request.seed.as_bytes())? {
        return Ok(id);
    }
    let limits = request.kind.limits();
    let new = NewBulkOperation {
        seed: request.seed.as_bytes().to_vec(),
        actor_id: actor.user_id.unwrap_or_default(),
        kind: request.kind.code().to_owned(),
        amount: request.kind.amount(),
        note: request.reason.as_str().to_owned(),
        selection: request.selection.clone(),
        address: actor.address.clone(),
        ids: request.ids.iter().flat_map(|id| id.to_be_bytes()).collect(),
        total: request.ids.len() as i64,
        position: 0,
        failed: 0,
        created_at: now,
        concurrent_chats: limits.concurrent_chats.stored(),
        requests_per_minute: limits.requests_per_minute.stored(),
    };
    let id = new.insert(conn)?;
    let mut changes = vec![Change::new("what", "", request.kind.text()), Change::new("rows", "", new.total)];
    if new.amount != 0 {
        changes.push(Change::new("amount", "", new.amount));
    }
    changes.extend(limits.recorded());
    if let Some(undone) = undone {
        BulkUndo { undone_id: undone.id, undoing_id: id }.insert(conn)?;
        changes.push(Change::new("undone_operation", "", undone.id));
    }
    let event = Event {
        action: Action::Start,
        kind: ObjectKind::BulkOperation,
        id,
        user_id: None,
        changes: &changes,
        note: &new.note,
    };
    actor.record(conn, &event, now)?;
    Ok(id)
}
