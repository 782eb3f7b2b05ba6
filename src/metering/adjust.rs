//! An adjustment: an administrator gives or takes tokens, with a reason.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::entry::NewEntry;
use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::models::{EntryKind, LedgerEntry, User};
use crate::schema::users;

/// No balance goes above this, so that no sum of a user's ledger leaves 64 bits.
const MOST_TOKENS: i64 = 1 << 60;

#[derive(Clone, Debug)]
pub struct Adjustment {
    pub user_id: i64,
    /// Signed tokens, not 0.
    pub amount: i64,
    /// The reason. The user sees it on the statement.
    pub note: String,
    /// The administrator; `None` for the command line.
    pub actor_id: Option<i64>,
    pub operation_id: OperationId,
    pub now: NaiveDateTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjusted {
    Done {
        balance: i64,
    },
    /// The balance would fall below 0, or rise above what is allowed; nothing was written.
    OutOfRange {
        balance: i64,
    },
    NoSuchUser,
}

/// Changes the balance relative to what it is, so that a chat at the same moment is not undone. A second run of
/// the same operation finds what the first one did.
pub fn adjust(conn: &mut DbConnection, adjustment: &Adjustment) -> QueryResult<Adjusted> {
    if let Some(entry) = LedgerEntry::find_by_operation(conn, adjustment.operation_id.as_bytes())? {
        return Ok(Adjusted::Done { balance: entry.balance_after });
    }
    let amount = adjustment.amount.clamp(-MOST_TOKENS, MOST_TOKENS);
    let in_range = users::tokens.ge(-amount).and(users::tokens.le(MOST_TOKENS - amount.max(0)));
    let target = users::table.filter(users::id.eq(adjustment.user_id)).filter(in_range);
    let balance: Option<i64> = diesel::update(target)
        .set(users::tokens.eq(users::tokens + amount))
        .returning(users::tokens)
        .get_result(conn)
        .optional()?;
    let Some(balance) = balance else {
        let user = User::find(conn, adjustment.user_id)?;
        return Ok(user.map_or(Adjusted::NoSuchUser, |user| Adjusted::OutOfRange { balance: user.tokens }));
    };
    NewEntry {
        user_id: adjustment.user_id,
        amount,
        balance_after: balance,
        kind: EntryKind::Adjustment,
        chat_id: None,
        actor_id: adjustment.actor_id,
        note: &adjustment.note,
        operation_id: adjustment.operation_id,
        now: adjustment.now,
    }
    .insert(conn)?;
    Ok(Adjusted::Done { balance })
}
