//! The queue of bulk operations: adjusting balances, revoking auth tokens, anonymising a user.
//!
//! Confirming an operation freezes the ids of the selected rows in one row. `bulk_worker` does the
//! work.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{OperationId, Reason};
use crate::error::Result;
use crate::models::{BulkOperation, Change, NewBulkOperation};

/// The most rows that one operation may have.
pub const MOST_ROWS: i64 = 1_000_000;

/// What a bulk operation does to each of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    /// Adds this number of tokens to the balance of each user. If it is negative, takes them away.
    Adjust(i64),
    /// Revokes each auth token.
    Revoke,
    /// Removes the texts and all traces of the name of one user.
    Anonymise,
}

impl BulkKind {
    /// Returns the code, as the database stores it. It never changes.
    pub const fn code(self) -> &'static str {
        match self {
            BulkKind::Adjust(_) => "adjust_balances",
            BulkKind::Revoke => "revoke_auth_tokens",
            BulkKind::Anonymise => "anonymise_user",
        }
    }

    /// Returns the text that the panel shows.
    pub const fn text(self) -> &'static str {
        match self {
            BulkKind::Adjust(_) => "adjust balances",
            BulkKind::Revoke => "revoke auth tokens",
            BulkKind::Anonymise => "anonymise a user",
        }
    }

    /// Returns the kind of a stored operation. `None` if a newer version of Tollgate stored it.
    pub fn of(operation: &BulkOperation) -> Option<BulkKind> {
        // The second text is what 0.1.0 stored: one of its nodes may still run beside this one.
        let all = [
            (BulkKind::Adjust(operation.amount), "adjust balances"),
            (BulkKind::Revoke, "revoke auth tokens"),
            (BulkKind::Anonymise, "anonymise a user"),
        ];
        let mut known = all.into_iter();
        known.find(|(kind, old)| [kind.code(), old].contains(&operation.kind.as_str())).map(|(kind, _)| kind)
    }

    fn amount(self) -> i64 {
        if let BulkKind::Adjust(amount) = self { amount } else { 0 }
    }
}

/// Why a bulk operation could not do a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFailure {
    /// The balance would have left its range.
    OutOfRange,
    /// There is no user with this id.
    NoSuchUser,
    /// There is no auth token with this id.
    NoSuchAuthToken,
    /// The auth token had expired, or was revoked before.
    AlreadyEnded,
}

impl RowFailure {
    /// All reasons.
    pub const ALL: [RowFailure; 4] = [
        RowFailure::OutOfRange,
        RowFailure::NoSuchUser,
        RowFailure::NoSuchAuthToken,
        RowFailure::AlreadyEnded,
    ];

    /// Returns the code, as the database stores it. It never changes.
    pub const fn code(self) -> &'static str {
        match self {
            RowFailure::OutOfRange => "out_of_range",
            RowFailure::NoSuchUser => "no_such_user",
            RowFailure::NoSuchAuthToken => "no_such_auth_token",
            RowFailure::AlreadyEnded => "already_ended",
        }
    }

    /// Returns the text that the panel shows.
    pub const fn text(self) -> &'static str {
        match self {
            RowFailure::OutOfRange => "the balance would go below 0 or above the maximum",
            RowFailure::NoSuchUser => "there is no such user",
            RowFailure::NoSuchAuthToken => "there is no such auth token",
            RowFailure::AlreadyEnded => "it had already ended",
        }
    }

    /// Returns the text of a stored code. A code that this version does not know is its own text.
    pub fn text_of(code: &str) -> &str {
        RowFailure::ALL
            .into_iter()
            .find(|failure| failure.code() == code)
            .map_or(code, |failure| failure.text())
    }
}

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
        let job = move |conn: &mut DbConnection| insert(conn, &actor, &request, now);
        // This uses the second lane: the ids of a million rows are 8 MB, and no chat should wait
        // for that.
        let started = match db.write_bulk(Scope::none(), job.clone()).await {
            // The same form was sent at the same time. Trying again finds the operation it started.
            Err(error) if error.is_unique_violation() => db.write_bulk(Scope::none(), job).await,
            outcome => outcome,
        };
        let id = started?;
        self.started.notify_one();
        Ok(id)
    }

    /// Finds the operation that a form has started. `None` if it has started none.
    pub async fn find(&self, db: &Db, seed: OperationId) -> Result<Option<BulkOperation>> {
        let find = move |conn: &mut DbConnection| match BulkOperation::find_by_seed(conn, seed.as_bytes())? {
            Some(id) => Ok(BulkOperation::find(conn, id)?),
            None => Ok(None),
        };
        db.read(find).await
    }
}

/// Stores an operation and records it, in the caller's transaction. Returns its id, or the id of
/// the operation with the same seed.
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
    };
    let id = new.insert(conn)?;
    let changes = [
        Change::new("what", "", request.kind.text()),
        Change::new("rows", "", new.total),
        Change::new("amount", "", new.amount),
    ];
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
