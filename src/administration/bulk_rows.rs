//! What a bulk operation does to one row: the same as the action on a single one, with the same
//! rules and the same entry in the audit log.

use std::collections::HashSet;

use chrono::TimeDelta;

use super::balances::{refund_and_record, release_and_record};
use super::bulk_kind::{BulkKind, RowKind};
use super::edit::{By, Edited};
use super::limits::set_limits_and_record;
use super::row_failure::RowFailure;
use super::undo::undo_and_record;
use super::users::{LockOut, locked_out_without, log_out_and_record, set_active_and_record};
use crate::auth::revoke_and_record;
use crate::db::{DbConnection, lock_users};
use crate::domain::OperationId;
use crate::error::{Error, Result};
use crate::metering::{Ended, Refunded, Undone};
use crate::models::{AuditEntry, AuthToken, BulkOperation, Chat, Editable, FormerLimits, User, UserLimits};

/// How far the clocks of two nodes may differ.
const MOST_SKEW: TimeDelta = TimeDelta::minutes(5);

/// The operation that is done.
pub(super) struct Work<'a> {
    pub operation: &'a BulkOperation,
    /// The operation that this one undoes.
    pub undone: Option<&'a BulkOperation>,
    pub kind: BulkKind,
    pub by: By<'a>,
}

/// Why a row was not done. `None` if it was.
type Failure = Option<RowFailure>;

/// Locks the users whom a part of an operation concerns, before anything else of theirs, as all
/// other transactions do.
pub(super) fn lock(conn: &mut DbConnection, kind: BulkKind, part: &[i64]) -> Result<()> {
    let mut users = match kind.rows() {
        RowKind::User => part.to_vec(),
        RowKind::Chat => Chat::users_of(conn, part)?,
        RowKind::AuthToken => return Ok(()),
    };
    if matches!(kind, BulkKind::Deactivate | BulkKind::Reactivate | BulkKind::LogOut) {
        users.extend(User::superusers(conn)?);
    }
    Ok(lock_users(conn, users)?)
}

/// Does one row, in the transaction that moves the operation's position. Returns the reason if it
/// fails.
pub(super) fn do_row(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    match work.kind {
        BulkKind::Deactivate => set_active(conn, work, id, false),
        BulkKind::Reactivate => set_active(conn, work, id, true),
        BulkKind::SetLimits(_) => set_limits(conn, work, id),
        BulkKind::LogOut => log_out(conn, work, id),
        BulkKind::Refund => refund(conn, work, id),
        BulkKind::Release => release(conn, work, id),
        BulkKind::Revoke => revoke(conn, work, id),
        BulkKind::UndoAdjust(_) | BulkKind::UndoRefund => undo_entry(conn, work, id),
        BulkKind::UndoLimits => undo_limits(conn, work, id),
        // Balances are adjusted a part at a time, and a user's texts are gone before.
        BulkKind::Adjust(_) | BulkKind::Anonymise => Ok(None),
    }
}

/// Returns the error for a row whose operation id another operation has: a defect.
fn taken<T>() -> Result<T> {
    Err(Error::Internal("a row's operation id was taken".to_owned()))
}

fn locked_out(conn: &mut DbConnection, work: &Work<'_>, user: &User) -> Result<Failure> {
    if !(user.is_superuser && user.is_active) {
        return Ok(None);
    }
    Ok(locked_out_without(conn, work.by.actor, user.id)?.map(|why| match why {
        LockOut::OwnRights => RowFailure::OwnAccount,
        LockOut::LastSuperuser => RowFailure::LastSuperuser,
    }))
}

fn set_active(conn: &mut DbConnection, work: &Work<'_>, id: i64, is_active: bool) -> Result<Failure> {
    let Some(user) = User::find(conn, id)? else { return Ok(Some(RowFailure::NoSuchUser)) };
    if user.is_active == is_active {
        let already = if is_active { RowFailure::AlreadyActive } else { RowFailure::AlreadyInactive };
        return Ok(Some(already));
    }
    if let Some(undone) = work.undone
        && !decided_since(conn, undone, &[id])?.is_empty()
    {
        return Ok(Some(RowFailure::ChangedSince));
    }
    if !is_active && let Some(why) = locked_out(conn, work, &user)? {
        return Ok(Some(why));
    }
    done(set_active_and_record(conn, &work.by, id, is_active)?)
}

/// Returns those of these users whom somebody has deactivated or reactivated since an operation has
/// ended. Undoing the operation must not revert the later decision.
pub(super) fn decided_since(
    conn: &mut DbConnection,
    undone: &BulkOperation,
    users: &[i64],
) -> Result<HashSet<i64>> {
    let Some(ended) = undone.finished_at else { return Ok(users.iter().copied().collect()) };
    // The operation's own entries may be from a node whose clock is ahead.
    let is_own = |entry: &AuditEntry| {
        entry.actor_id == Some(undone.actor_id)
            && entry.note == undone.note
            && entry.created_at <= ended + MOST_SKEW
    };
    let changes_it = |entry: &AuditEntry| entry.changes().iter().any(|change| change.field == "active");
    let later = AuditEntry::of_users_since(conn, users, ended)?;
    let decided = later.iter().filter(|entry| changes_it(entry) && !is_own(entry));
    Ok(decided.filter_map(|entry| entry.user_id).collect())
}

/// Returns the failure of an edit that every rule allowed.
fn done(edited: Edited<User>) -> Result<Failure> {
    match edited {
        Edited::Done(_) => Ok(None),
        Edited::Gone => Ok(Some(RowFailure::NoSuchUser)),
        Edited::Conflict(_) => Ok(Some(RowFailure::ChangedSince)),
        Edited::Refused(why) => Err(Error::Internal(format!("a row was refused: {}", why.reason))),
    }
}

fn set_limits(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    let Some(user) = User::find(conn, id)? else { return Ok(Some(RowFailure::NoSuchUser)) };
    let before = UserLimits::of(&user);
    let wanted = work.kind.limits().applied_to(before);
    if wanted == before {
        return Ok(Some(RowFailure::SameLimits));
    }
    let UserLimits { concurrent_chats, requests_per_minute } = before;
    let former = FormerLimits {
        bulk_operation_id: work.operation.id,
        user_id: id,
        concurrent_chats,
        requests_per_minute,
    };
    former.insert(conn)?;
    done(set_limits_and_record(conn, &work.by, id, wanted)?)
}

fn undo_limits(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    let Some(user) = User::find(conn, id)? else { return Ok(Some(RowFailure::NoSuchUser)) };
    let Some(undone) = work.undone else { return Ok(Some(RowFailure::ChangedSince)) };
    let former = FormerLimits::of(conn, undone.id, &[id])?;
    match former_if_unchanged(undone, former.get(&id), &user) {
        Some(former) => done(set_limits_and_record(conn, &work.by, id, former)?),
        None => Ok(Some(RowFailure::ChangedSince)),
    }
}

/// Returns the limits that a user had before an operation. `None` if they are no longer those that
/// it has set: somebody has set others since, which must stay.
pub(super) fn former_if_unchanged(
    undone: &BulkOperation,
    former: Option<&UserLimits>,
    user: &User,
) -> Option<UserLimits> {
    let (former, set) = (*former?, BulkKind::of(undone)?.limits());
    (UserLimits::of(user) == set.applied_to(former)).then_some(former)
}

fn log_out(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    let Some(user) = User::find(conn, id)? else { return Ok(Some(RowFailure::NoSuchUser)) };
    // Alone, administrators may log themselves out. In bulk it would be a mistake.
    if work.by.actor.user_id == Some(id) {
        return Ok(Some(RowFailure::OwnAccount));
    }
    if let Some(why) = locked_out(conn, work, &user)? {
        return Ok(Some(why));
    }
    log_out_and_record(conn, &work.by, id)?;
    Ok(None)
}

fn refund(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    let operation_id = OperationId::of_row(&work.operation.seed, id);
    Ok(match refund_and_record(conn, &work.by, id, operation_id)? {
        Refunded::Done { .. } => None,
        Refunded::AlreadyRefunded => Some(RowFailure::AlreadyRefunded),
        Refunded::Pending => Some(RowFailure::StillPending),
        Refunded::NothingToRefund => Some(RowFailure::NothingToRefund),
        Refunded::NoSuchChat => Some(RowFailure::NoSuchChat),
        Refunded::OtherOperation => return taken(),
    })
}

fn release(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    let Some(chat) = Chat::without_texts(conn, &[id])?.pop() else {
        return Ok(Some(RowFailure::NoSuchChat));
    };
    let operation_id = OperationId::of_row(&work.operation.seed, id);
    Ok(match release_and_record(conn, &work.by, &chat, operation_id)? {
        Ended::Now { .. } | Ended::Earlier { .. } => None,
        Ended::AlreadyRefunded => Some(RowFailure::AlreadyReturned),
        Ended::AlreadyComplete => Some(RowFailure::AlreadyAnswered),
        Ended::NoSuchChat => Some(RowFailure::NoSuchChat),
        Ended::OtherOperation => return taken(),
    })
}

fn revoke(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    let Some(token) = AuthToken::find(conn, id)? else {
        return Ok(Some(RowFailure::NoSuchAuthToken));
    };
    let By { actor, reason, now } = work.by;
    let revoked = revoke_and_record(conn, actor, id, token.user_id, reason, now)?;
    Ok((!revoked).then_some(RowFailure::AlreadyEnded))
}

fn undo_entry(conn: &mut DbConnection, work: &Work<'_>, id: i64) -> Result<Failure> {
    let Some(undone) = work.undone else { return Ok(Some(RowFailure::ChangedSince)) };
    Ok(match undo_and_record(conn, &work.by, OperationId::of_row(&undone.seed, id))? {
        Undone::Done { .. } => None,
        Undone::Before => Some(RowFailure::AlreadyUndone),
        Undone::OutOfRange { .. } => Some(out_of_range(work.kind)),
        Undone::NothingToUndo => Some(RowFailure::ChangedSince),
    })
}

/// Returns the failure of an operation that would take a balance out of its range.
pub(super) fn out_of_range(kind: BulkKind) -> RowFailure {
    match kind {
        BulkKind::UndoAdjust(amount) if amount < 0 => RowFailure::TokensSpent,
        BulkKind::UndoRefund => RowFailure::TokensSpent,
        _ => RowFailure::OutOfRange,
    }
}
