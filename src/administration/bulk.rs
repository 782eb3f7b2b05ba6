//! Work on many rows: adjusting balances, revoking auth tokens, anonymising a user.
//!
//! The chosen rows are frozen in one row when the operation is confirmed. A worker on every node does
//! the work part by part, in the second lane. A part and the note of the progress are one
//! transaction, so after a crash, or with two workers at once, each row is done exactly once. Each
//! row has its own operation id, derived from the operation's seed. On PostgreSQL one worker at a
//! time does the work: the others would only wait for the same rows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::auth_tokens::revoke_and_record;
use super::balances::{Reason, record_adjustments};
use super::{Action, Actor, Deed, ObjectKind, anonymise};
use crate::clock;
use crate::db::{Db, DbConnection, Exclusive, Scope, exclusive};
use crate::domain::OperationId;
use crate::error::Result;
use crate::metering::{Adjusted, AdjustmentOfMany, adjust_many};
use crate::models::{AuthToken, BulkOperation, Change, NewBulkOperation};

/// Rows of one part: few, so that the users' rows are not locked for long.
const PART: usize = 100;
/// Rows that one operation may have.
pub const MOST_ROWS: i64 = 1_000_000;
/// How often a worker looks for operations that another node has started, or left.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is done to each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    /// Users: gives or takes so many tokens.
    Adjust(i64),
    /// Auth tokens: revokes them.
    Revoke,
    /// One user: removes what was said and all traces of the name.
    Anonymise,
}

impl BulkKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            BulkKind::Adjust(_) => "adjust balances",
            BulkKind::Revoke => "revoke auth tokens",
            BulkKind::Anonymise => "anonymise a user",
        }
    }

    fn of(operation: &BulkOperation) -> Option<BulkKind> {
        let all = [BulkKind::Adjust(operation.amount), BulkKind::Revoke, BulkKind::Anonymise];
        all.into_iter().find(|kind| kind.as_str() == operation.kind)
    }

    fn amount(self) -> i64 {
        if let BulkKind::Adjust(amount) = self { amount } else { 0 }
    }
}

/// An operation to be started.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// Made with the form, so that sending it twice starts it once.
    pub seed: OperationId,
    pub kind: BulkKind,
    pub reason: Reason,
    /// What was chosen, in words.
    pub selection: String,
    pub ids: Vec<i64>,
}

/// Starts operations and wakes the worker of this node.
#[derive(Clone, Debug, Default)]
pub struct Bulk {
    started: Arc<Notify>,
}

impl Bulk {
    /// Freezes what was chosen; answers the operation's id. The worker begins at once.
    pub async fn start(&self, db: &Db, actor: &Actor, request: BulkRequest) -> Result<i64> {
        let (actor, now) = (actor.clone(), clock::now());
        let job = move |conn: &mut DbConnection| insert(conn, &actor, &request, now);
        // In the second lane: the ids of a million rows are 8 MB, for which no chat should wait.
        let started = match db.write_bulk(Scope::none(), job.clone()).await {
            // The same form was sent at the same moment: a second look finds what it has started.
            Err(error) if error.is_unique_violation() => db.write_bulk(Scope::none(), job).await,
            outcome => outcome,
        };
        let id = started?;
        self.started.notify_one();
        Ok(id)
    }

    /// The operation that a form has started, if it has.
    pub async fn find(&self, db: &Db, seed: OperationId) -> Result<Option<BulkOperation>> {
        let find = move |conn: &mut DbConnection| match BulkOperation::find_by_seed(conn, seed.as_bytes())? {
            Some(id) => Ok(BulkOperation::find(conn, id)?),
            None => Ok(None),
        };
        db.read(find).await
    }

    /// Does what is started, for ever.
    pub async fn work(&self, db: &Db) {
        loop {
            if let Err(error) = finish_all(db).await {
                log::warn!("bulk operations wait: {error}");
            }
            let _ = tokio::time::timeout(LOOK_EVERY, self.started.notified()).await;
        }
    }
}

pub(super) fn insert(
    conn: &mut DbConnection,
    actor: &Actor,
    request: &BulkRequest,
    now: chrono::NaiveDateTime,
) -> Result<i64> {
    if let Some(id) = BulkOperation::find_by_seed(conn, request.seed.as_bytes())? {
        return Ok(id);
    }
    let new = NewBulkOperation {
        seed: request.seed.as_bytes().to_vec(),
        actor_id: actor.user_id.unwrap_or_default(),
        kind: request.kind.as_str().to_owned(),
        amount: request.kind.amount(),
        note: request.reason.as_str().to_owned(),
        selection: request.selection.clone(),
        address: actor.address.clone(),
        ids: request.ids.iter().flat_map(|id| id.to_be_bytes()).collect(),
        total: request.ids.len() as i64,
        position: 0,
        failed: 0,
        created_at: now,
    };
    let id = new.insert(conn)?;
    let changes = [
        Change::new("what", "", request.kind.as_str()),
        Change::new("rows", "", new.total),
        Change::new("amount", "", new.amount),
    ];
    let deed = Deed {
        action: Action::Start,
        kind: ObjectKind::BulkOperation,
        id,
        user_id: None,
        changes: &changes,
        note: &new.note,
    };
    actor.record(conn, &deed, now)?;
    Ok(id)
}

/// Does all operations that are not finished, the oldest first.
pub async fn finish_all(db: &Db) -> Result<()> {
    for operation in db.read(|conn| Ok(BulkOperation::unfinished(conn)?)).await? {
        let id = operation.id;
        match finish(db, operation).await {
            Ok(true) => log::info!("bulk operation {id} is finished"),
            Ok(false) => {}
            // The others need not wait for it.
            Err(error) => log::warn!("bulk operation {id} waits: {error}"),
        }
    }
    Ok(())
}

/// Does the rest of an operation; answers whether it was this call that finished it.
async fn finish(db: &Db, operation: BulkOperation) -> Result<bool> {
    let id = operation.id;
    let Some(kind) = BulkKind::of(&operation) else {
        log::error!(
            "bulk operation {id} is of an unknown kind: a newer version of tollgate has to finish it"
        );
        return Ok(false);
    };
    let ids: Arc<[i64]> = db.read(move |conn| Ok(BulkOperation::ids(conn, id)?)).await?.into();
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
            return db.write_bulk(Scope::none(), move |conn| Ok(BulkOperation::finish(conn, id, now)?)).await;
        }
        if do_part(db, operation, kind, part).await? == Part::Elsewhere {
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

async fn do_part(db: &Db, operation: BulkOperation, kind: BulkKind, part: Vec<i64>) -> Result<Part> {
    let now = clock::now();
    let job = move |conn: &mut DbConnection| {
        if !exclusive(conn, Exclusive::Bulk(operation.id))? {
            return Ok(Part::Elsewhere);
        }
        let from = operation.position;
        // Another worker, or a run of this job before this one, may have done this part.
        if !BulkOperation::advance(conn, operation.id, from, from + part.len() as i64)? {
            return Ok(Part::Done);
        }
        let actor = Actor { user_id: Some(operation.actor_id), address: operation.address.clone() };
        if let BulkKind::Adjust(amount) = kind {
            adjust_part(conn, &operation, amount, &actor, &part, now)?;
            return Ok(Part::Done);
        }
        for id in &part {
            if let Some(reason) = do_row(conn, &operation, kind, &actor, *id, now)? {
                operation.fail(conn, *id, reason)?;
            }
        }
        Ok(Part::Done)
    };
    db.write_bulk(Scope::none(), job).await
}

/// Adjusts the users of a part and records it in the history.
fn adjust_part(
    conn: &mut DbConnection,
    operation: &BulkOperation,
    amount: i64,
    actor: &Actor,
    part: &[i64],
    now: chrono::NaiveDateTime,
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
            Adjusted::Done { balance } => balances.push((user_id, balance)),
            Adjusted::OutOfRange { .. } => {
                operation.fail(conn, user_id, "the balance would leave its range")?
            }
            Adjusted::NoSuchUser => operation.fail(conn, user_id, "there is no such user")?,
        }
    }
    record_adjustments(conn, actor, &adjustment, &balances)
}

/// Does one row; answers why it could not be done, if so.
fn do_row(
    conn: &mut DbConnection,
    operation: &BulkOperation,
    kind: BulkKind,
    actor: &Actor,
    id: i64,
    now: chrono::NaiveDateTime,
) -> Result<Option<&'static str>> {
    if kind != BulkKind::Revoke {
        return Ok(None);
    }
    let Some(token) = AuthToken::find(conn, id)? else {
        return Ok(Some("there is no such auth token"));
    };
    let revoked = revoke_and_record(conn, actor, id, token.user_id, &operation.note, now)?;
    Ok((!revoked).then_some("it had ended before"))
}
