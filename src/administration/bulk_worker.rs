//! The worker that does bulk operations. It runs on every node, in parts, and writes through the
//! second lane.
//!
//! A part and its progress are one transaction, so each row is done exactly once, even after a
//! crash or with two workers at once. Each row has its own operation id, derived from the
//! operation's seed. On PostgreSQL, one worker at a time does the work: the others would only wait
//! for the same rows.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;

use super::anonymise;
use super::balances::record_adjustments;
use super::bulk::{Bulk, BulkRequest, insert};
use super::bulk_kind::BulkKind;
use super::bulk_rows::{Work, do_row, lock};
use super::edit::By;
use super::row_failure::RowFailure;
use crate::audit::Actor;
use crate::clock;
use crate::db::{Db, DbConnection, Exclusive, Scope, exclusive};
use crate::error::{Error, Result};
use crate::metering::{Adjusted, AdjustmentOfMany, adjust_many};
use crate::models::{BulkOperation, BulkUndo};

/// The rows of a part. They are few, so that the rows of users are not locked for long.
const PART: usize = 100;
/// How often a worker looks for operations that another node has started or left unfinished.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest pause while an operation cannot be finished. Each attempt looks through much again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs the worker. Never returns.
pub async fn work(bulk: &Bulk, db: &Db) {
    let mut pause = LOOK_EVERY;
    loop {
        pause = match finish_all(db).await {
            Ok(0) => LOOK_EVERY,
            Ok(_) => (2 * pause).min(LONGEST_PAUSE),
            Err(error) => {
                log::warn!("bulk operations wait: {error}");
                LOOK_EVERY
            }
        };
        let _ = tokio::time::timeout(pause, bulk.started.notified()).await;
    }
}

/// Finishes all operations, the oldest first. An operation that fails is logged and left for later.
/// Returns the number of those.
pub async fn finish_all(db: &Db) -> Result<usize> {
    let mut waiting = 0;
    for operation in db.read(|conn| Ok(BulkOperation::unfinished(conn)?)).await? {
        let id = operation.id;
        match finish(db, operation).await {
            Ok(true) => log::info!("bulk operation {id} is finished"),
            Ok(false) => {}
            // The other operations need not wait for it.
            Err(error) => {
                waiting += 1;
                log::warn!("bulk operation {id} waits: {}", error.in_full());
            }
        }
    }
    Ok(waiting)
}

/// Does the rest of an operation. Returns whether this call has finished it.
async fn finish(db: &Db, operation: BulkOperation) -> Result<bool> {
    let id = operation.id;
    let Some(kind) = BulkKind::of(&operation) else {
        log::error!(
            "bulk operation {id} is of an unknown kind: a newer version of tollgate has to finish it"
        );
        return Ok(false);
    };
    let read =
        move |conn: &mut DbConnection| Ok((BulkOperation::ids(conn, id)?, BulkUndo::undone(conn, id)?));
    let (ids, undone) = db.read(read).await?;
    let ids: Arc<[i64]> = ids.into();
    if kind == BulkKind::Anonymise {
        for user_id in ids.iter() {
            anonymise::remove_texts(db, &operation, *user_id).await?;
        }
    }
    loop {
        let Some(operation) = db.read(move |conn| Ok(BulkOperation::find(conn, id)?)).await? else {
            return Ok(false);
        };
        let from = usize::try_from(operation.position).unwrap_or(usize::MAX);
        let part: Vec<i64> = ids.iter().skip(from).take(PART).copied().collect();
        if part.is_empty() {
            let now = clock::now();
            let can_be_undone =
                kind.undo().is_some() && undone.is_none() && operation.failed < operation.total;
            let job = move |conn: &mut DbConnection| Ok(BulkOperation::finish(conn, id, can_be_undone, now)?);
            return db.write_bulk(Scope::none(), job).await;
        }
        if do_part(db, operation, undone.clone(), kind, part).await? == Part::Elsewhere {
            return Ok(false);
        }
    }
}

/// The outcome of an attempt at a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This node or another one has done it.
    Done,
    /// Another node is working on it.
    Elsewhere,
}

async fn do_part(
    db: &Db,
    operation: BulkOperation,
    undone: Option<BulkOperation>,
    kind: BulkKind,
    part: Vec<i64>,
) -> Result<Part> {
    let now = clock::now();
    let job = move |conn: &mut DbConnection| {
        if !exclusive(conn, Exclusive::Bulk(operation.id))? {
            return Ok(Part::Elsewhere);
        }
        let from = operation.position;
        // Another worker, or an earlier run of this job, may have done this part.
        if !BulkOperation::advance(conn, operation.id, from, from + part.len() as i64)? {
            return Ok(Part::Done);
        }
        do_rows(conn, &operation, undone.as_ref(), kind, &part, now)?;
        Ok(Part::Done)
    };
    db.write_bulk(Scope::none(), job).await
}

/// Does the rows of a part in the caller's transaction, which has moved the operation's position.
fn do_rows(
    conn: &mut DbConnection,
    operation: &BulkOperation,
    undone: Option<&BulkOperation>,
    kind: BulkKind,
    part: &[i64],
    now: NaiveDateTime,
) -> Result<()> {
    let actor = Actor { user_id: Some(operation.actor_id), address: operation.address.clone() };
    if let BulkKind::Adjust(amount) = kind {
        return adjust_part(conn, operation, amount, &actor, part, now);
    }
    lock(conn, kind, part)?;
    let by = By { actor: &actor, reason: &operation.note, now };
    let work = Work { operation, undone, kind, by };
    for id in part {
        if let Some(failure) = do_row(conn, &work, *id)? {
            operation.fail(conn, *id, failure.code())?;
        }
    }
    Ok(())
}

/// Starts an operation of few rows and finishes it at the same moment, in the caller's transaction.
/// Returns its id. The sample data of `tollgate demo` has operations of the past, which no worker
/// can do any more.
pub(crate) fn do_at_once(
    conn: &mut DbConnection,
    actor: &Actor,
    request: &BulkRequest,
    now: NaiveDateTime,
) -> Result<i64> {
    let missing = || Error::Internal("a bulk operation vanished".to_owned());
    let id = insert(conn, actor, request, None, now)?;
    let started = BulkOperation::find(conn, id)?.ok_or_else(missing)?;
    let mut position = 0;
    for part in request.ids.chunks(PART) {
        let end = position + part.len() as i64;
        BulkOperation::advance(conn, id, position, end)?;
        do_rows(conn, &started, None, request.kind, part, now)?;
        position = end;
    }
    let done = BulkOperation::find(conn, id)?.ok_or_else(missing)?;
    let can_be_undone = request.kind.undo().is_some() && done.failed < done.total;
    BulkOperation::finish(conn, id, can_be_undone, now)?;
    Ok(id)
}

/// Adjusts the balances of the users of a part and records it.
fn adjust_part(
    conn: &mut DbConnection,
    operation: &BulkOperation,
    amount: i64,
    actor: &Actor,
    part: &[i64],
    now: NaiveDateTime,
) -> Result<()> {
    let adjustment = AdjustmentOfMany {
        user_ids: part.to_vec(),
        amount,
        note: operation.note.clone(),
        actor_id: actor.user_id,
        seed: operation.seed.clone(),
        now,
    };
    let mut balances = Vec::new();
    for (user_id, adjusted) in adjust_many(conn, &adjustment)? {
        match adjusted {
            Adjusted::Done { balance, .. } => balances.push((user_id, balance)),
            Adjusted::OutOfRange { .. } => operation.fail(conn, user_id, RowFailure::OutOfRange.code())?,
            Adjusted::NoSuchUser => operation.fail(conn, user_id, RowFailure::NoSuchUser.code())?,
            Adjusted::OtherOperation => {
                return Err(Error::Internal("a row's operation id was taken".to_owned()));
            }
        }
    }
    record_adjustments(conn, actor, &adjustment, &balances)
}
