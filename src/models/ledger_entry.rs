//! `ledger_entries`: append-only. Only `metering` inserts.

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
    Opening,
    Charge,
    /// What a usage price gives back when the usage is known.
    Settlement,
    Refund,
    /// An administrator's doing.
    Adjustment,
}

impl EntryKind {
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

#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = ledger_entries)]
pub struct LedgerEntry {
    pub id: i64,
    pub user_id: i64,
    /// Signed tokens.
    pub amount: i64,
    pub balance_after: i64,
    pub kind: EntryKind,
    pub chat_id: Option<i64>,
    /// The administrator who did it.
    pub actor_id: Option<i64>,
    pub note: String,
    pub operation_id: Vec<u8>,
    pub created_at: NaiveDateTime,
}

impl LedgerEntry {
    /// The entry that an operation has written, if it was ever committed.
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

    /// What a chat cost and what went back for it, in the order in which it happened.
    pub fn of_chat(conn: &mut DbConnection, chat_id: i64) -> QueryResult<Vec<LedgerEntry>> {
        dsl::ledger_entries
            .filter(dsl::chat_id.eq(chat_id))
            .order(dsl::id)
            .select(LedgerEntry::as_select())
            .load(conn)
    }

    /// Those after `after` up to `up_to`, in the order of their ids.
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

    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<LedgerEntry>> {
        dsl::ledger_entries.filter(dsl::id.eq_any(ids)).select(LedgerEntry::as_select()).load(conn)
    }

    /// A user's statement, newest first.
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
