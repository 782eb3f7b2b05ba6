//! An adjustment: an administrator adds or removes tokens, with a reason, for one user or for many
//! users alike.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};

use super::entry::NewEntry;
use super::operation::{Earlier, MOST_TOKENS, look_up};
use crate::db::DbConnection;
use crate::db::tally::{Moved, note_entries};
use crate::domain::OperationId;
use crate::error::{Error, Result};
use crate::models::{EntryKind, LedgerEntry, User};
use crate::schema::users;

/// A change of one user's balance.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// The user whose balance changes.
    pub user_id: i64,
    /// Signed tokens, not 0.
    pub amount: i64,
    /// The reason. The user sees it on the statement.
    pub note: String,
    /// The administrator. `None` for the command line.
    pub actor_id: Option<i64>,
    /// Identifies the adjustment, so that a repeated run finds it.
    pub operation_id: OperationId,
    /// The time of the ledger entry on SQLite. PostgreSQL uses its own clock.
    pub now: NaiveDateTime,
}

/// The outcome of an adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjusted {
    /// The balance was changed, now or by an earlier run.
    Done {
        /// The balance after the adjustment, in tokens.
        balance: i64,
        /// `false` if an earlier run of the same operation has changed it.
        is_new: bool,
    },
    /// The operation id belongs to another operation. Nothing was written.
    OtherOperation,
    /// The balance would fall below 0 or rise above [`MOST_TOKENS`]. Nothing was written.
    OutOfRange {
        /// The balance as it is, in tokens.
        balance: i64,
    },
    /// There is no user with this id. Nothing was written.
    NoSuchUser,
}

/// Changes the balance by an amount, so that a simultaneous chat is not undone. A second run of the
/// same operation finds what the first one did.
pub fn adjust(conn: &mut DbConnection, adjustment: &Adjustment) -> QueryResult<Adjusted> {
    let (user_id, amount) = (adjustment.user_id, adjustment.amount);
    let is_same = |entry: &LedgerEntry| {
        entry.user_id == user_id && entry.amount == amount && entry.note == adjustment.note
    };
    match look_up(conn, adjustment.operation_id, is_same)? {
        Earlier::Nothing => {}
        Earlier::Same(entry) => return Ok(Adjusted::Done { balance: entry.balance_after, is_new: false }),
        Earlier::Other => return Ok(Adjusted::OtherOperation),
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
    Ok(Adjusted::Done { balance, is_new: true })
}

/// An adjustment of many users by the same amount. Their operation ids are derived from `seed`.
#[derive(Clone, Debug)]
pub struct AdjustmentOfMany {
    /// The users whose balances change. An id that occurs twice counts once.
    pub user_ids: Vec<i64>,
    /// Signed tokens, not 0.
    pub amount: i64,
    /// The reason. The users see it on their statements.
    pub note: String,
    /// The administrator. `None` for the command line.
    pub actor_id: Option<i64>,
    /// From this and a user's id, the operation id of each adjustment is derived.
    pub seed: Vec<u8>,
    /// The time of the ledger entries on SQLite. PostgreSQL uses its own clock.
    pub now: NaiveDateTime,
}

impl AdjustmentOfMany {
    fn of_one(&self, user_id: i64) -> Adjustment {
        Adjustment {
            user_id,
            amount: self.amount,
            note: self.note.clone(),
            actor_id: self.actor_id,
            operation_id: OperationId::of_row(&self.seed, user_id),
            now: self.now,
        }
    }
}

/// Adjusts many users, on PostgreSQL in one statement. Returns the outcome for each. Unlike
/// [`adjust`], it does not check whether this was done before: the caller must do so in the same
/// transaction.
pub fn adjust_many(conn: &mut DbConnection, adjustment: &AdjustmentOfMany) -> Result<Vec<(i64, Adjusted)>> {
    match conn {
        DbConnection::Postgres(conn) => adjust_set(conn, adjustment),
        DbConnection::Sqlite(_) => {
            let adjust = |user_id: &i64| Ok((*user_id, adjust(conn, &adjustment.of_one(*user_id))?));
            adjustment.user_ids.iter().map(adjust).collect()
        }
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    user_id: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    before: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    balance: Option<i64>,
    #[diesel(sql_type = BigInt)]
    moved: i64,
    #[diesel(sql_type = BigInt)]
    done: i64,
}

fn adjust_set(conn: &mut PgConnection, adjustment: &AdjustmentOfMany) -> Result<Vec<(i64, Adjusted)>> {
    // A user that was chosen twice is adjusted once.
    let ids: Vec<i64> = adjustment.user_ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let operation_ids: Vec<Vec<u8>> =
        ids.iter().map(|id| OperationId::of_row(&adjustment.seed, *id).as_bytes().to_vec()).collect();
    let rows: Vec<Row> = diesel::sql_query(include_str!("adjust_set.sql"))
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Array<Binary>, _>(operation_ids)
        .bind::<BigInt, _>(adjustment.amount.clamp(-MOST_TOKENS, MOST_TOKENS))
        .bind::<BigInt, _>(MOST_TOKENS)
        .bind::<Nullable<BigInt>, _>(adjustment.actor_id)
        .bind::<Text, _>(&adjustment.note)
        .load(conn)?;
    // The rows are locked before they are changed, so only a defect can make the numbers differ.
    // Then the transaction must roll back.
    if rows.first().is_some_and(|row| row.moved != row.done) {
        return Err(Error::Internal("an adjustment changed the wrong number of users".to_owned()));
    }
    let done = rows.iter().filter(|row| row.balance.is_some()).count();
    let moved = if adjustment.amount < 0 { Moved::Deduction } else { Moved::Grant };
    let amount = adjustment.amount.clamp(-MOST_TOKENS, MOST_TOKENS);
    note_entries(moved, done, amount.saturating_mul(i64::try_from(done).unwrap_or(i64::MAX)));
    let adjusted = |row: Row| match (row.balance, row.before) {
        (Some(balance), _) => (row.user_id, Adjusted::Done { balance, is_new: true }),
        (None, Some(balance)) => (row.user_id, Adjusted::OutOfRange { balance }),
        (None, None) => (row.user_id, Adjusted::NoSuchUser),
    };
    Ok(rows.into_iter().map(adjusted).collect())
}
