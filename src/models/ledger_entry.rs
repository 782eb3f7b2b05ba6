//! `ledger_entries`: every change of a balance. Append-only. Only `metering` inserts.

use chrono::NaiveDateTime;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Keyset;
use crate::db::DbConnection;
use crate::schema::ledger_entries::{self, dsl};

/// Why a balance changed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::deserialize::FromSqlRow, diesel::expression::AsExpression,
)]
#[diesel(sql_type = Text)]
pub enum EntryKind {
    /// The balance of a new user.
    Opening,
    /// The price of a chat, or the most that it can cost.
    Charge,
    /// The refund of what a chat with a price by usage cost less than was held.
    Settlement,
    /// The refund of a chat that failed, or that an administrator refunded.
    Refund,
    /// An administrator changed the balance.
    Adjustment,
}

impl EntryKind {
    /// Returns the name that the database stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            EntryKind::Opening => "opening",
            EntryKind::Charge => "charge",
            EntryKind::Settlement => "settlement",
            EntryKind::Refund => "refund",
            EntryKind::Adjustment => "adjustment",
        }
    }
}

impl<DB: diesel::backend::Backend> FromSql<Text, DB> for EntryKind
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        use EntryKind::*;
        let text = String::from_sql(bytes)?;
        [Opening, Charge, Settlement, Refund, Adjustment]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("unknown kind of ledger entry {text}").into())
    }
}

/// A row of `ledger_entries`.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = ledger_entries)]
pub struct LedgerEntry {
    /// Ascends with time.
    pub id: i64,
    /// The user whose balance changed.
    pub user_id: i64,
    /// Signed tokens.
    pub amount: i64,
    /// The balance after this entry, in tokens.
    pub balance_after: i64,
    /// Why the balance changed.
    pub kind: EntryKind,
    /// The chat that was charged or refunded, if any.
    pub chat_id: Option<i64>,
    /// The administrator who changed the balance, if one did.
    pub actor_id: Option<i64>,
    /// The administrator's reason, or an empty text.
    pub note: String,
    /// Identifies the operation that wrote the entry. Unique.
    pub operation_id: Vec<u8>,
    /// When the balance changed.
    pub created_at: NaiveDateTime,
}

impl LedgerEntry {
    /// Returns the entry that an operation has written, if it was committed.
    pub fn find_by_operation(
        conn: &mut DbConnection,
        operation_id: &[u8],
    ) -> QueryResult<Option<LedgerEntry>> {
        dsl::ledger_entries
            .filter(dsl::operation_id.eq(operation_id))
            .select(LedgerEntry::as_select())
            .get_result(conn)
            .optional()
    }

    /// Returns the committed entries of these operations.
    pub fn find_by_operations(conn: &mut DbConnection, ids: &[Vec<u8>]) -> QueryResult<Vec<LedgerEntry>> {
        let found = dsl::ledger_entries.filter(dsl::operation_id.eq_any(ids));
        found.select(LedgerEntry::as_select()).load(conn)
    }

    /// Returns the charge of a chat and its refunds, the oldest first.
    pub fn of_chat(conn: &mut DbConnection, chat_id: i64) -> QueryResult<Vec<LedgerEntry>> {
        dsl::ledger_entries
            .filter(dsl::chat_id.eq(chat_id))
            .order(dsl::id)
            .select(LedgerEntry::as_select())
            .load(conn)
    }

    /// Returns the entries with ids after `after` up to `up_to`, in the order of their ids.
    pub fn after(
        conn: &mut DbConnection,
        after: i64,
        up_to: i64,
        most: i64,
    ) -> QueryResult<Vec<LedgerEntry>> {
        dsl::ledger_entries
            .filter(dsl::id.gt(after))
            .filter(dsl::id.le(up_to))
            .order(dsl::id)
            .limit(most)
            .select(LedgerEntry::as_select())
            .load(conn)
    }

    /// Returns the entries with these ids, in any order.
    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<LedgerEntry>> {
        dsl::ledger_entries.filter(dsl::id.eq_any(ids)).select(LedgerEntry::as_select()).load(conn)
    }

    /// Returns a page of a user's statement, the newest entry first.
    pub fn page_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> QueryResult<Vec<LedgerEntry>> {
        dsl::ledger_entries
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.lt(page.before.unwrap_or(i64::MAX)))
            .order(dsl::id.desc())
            .limit(page.limit)
            .select(LedgerEntry::as_select())
            .load(conn)
    }
}
