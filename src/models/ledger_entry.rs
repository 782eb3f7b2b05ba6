//! `ledger_entries`: every change of a balance. Append-only. Only `metering` inserts.

use chrono::NaiveDateTime;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{Keyset, UserRows};
use crate::db::{Bind, DbConnection, DynamicStatement, StoredTime, fixed, on_either};
use crate::error::Error;
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
    /// All kinds.
    pub const ALL: [EntryKind; 5] = [
        EntryKind::Opening,
        EntryKind::Charge,
        EntryKind::Settlement,
        EntryKind::Refund,
        EntryKind::Adjustment,
    ];

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

    /// Returns the kind that the database stores under this name.
    pub fn named(name: &str) -> Option<EntryKind> {
        EntryKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl<DB: diesel::backend::Backend> FromSql<Text, DB> for EntryKind
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = String::from_sql(bytes)?;
        EntryKind::named(&text).ok_or_else(|| format!("unknown kind of ledger entry {text}").into())
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
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
}

/// What an entry adds to sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = ledger_entries)]
pub struct EntryAmount {
    /// Why the balance changed.
    pub kind: EntryKind,
    /// Signed tokens.
    pub amount: i64,
    /// When the balance changed.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
}

impl EntryAmount {
    /// Returns whether a chat was paid for, or a payment for one was returned.
    pub fn is_of_a_chat(&self) -> bool {
        matches!(self.kind, EntryKind::Charge | EntryKind::Settlement | EntryKind::Refund)
    }
}

impl LedgerEntry {
    /// Returns the entry that an operation has written, if it was committed.
    pub fn find_by_operation(
        conn: &mut DbConnection,
        operation_id: &[u8],
    ) -> QueryResult<Option<LedgerEntry>> {
        on_either!(conn => {
            let own = dsl::ledger_entries.filter(dsl::operation_id.eq(operation_id));
            fixed(own.select(LedgerEntry::as_select())).get_result(conn)
        })
        .optional()
    }

    /// Returns the committed entries of these operations.
    pub fn find_by_operations(conn: &mut DbConnection, ids: &[Vec<u8>]) -> QueryResult<Vec<LedgerEntry>> {
        let found = dsl::ledger_entries.filter(dsl::operation_id.eq_any(ids));
        found.select(LedgerEntry::as_select()).load(conn)
    }

    /// Returns the amounts of these users' opening entries, by user, in any order.
    pub fn openings_of(conn: &mut DbConnection, user_ids: &[i64]) -> QueryResult<Vec<(i64, i64)>> {
        let listed = user_ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        // With a parameter for the kind, SQLite would not use the index of these entries.
        let text = format!(
            "SELECT user_id, amount FROM ledger_entries WHERE kind = 'opening' AND user_id IN ({listed})"
        );
        DynamicStatement::<(BigInt, BigInt)>::new(text, Vec::new()).load(conn)
    }

    /// Returns the charge of a chat and its refunds, the oldest first.
    pub fn of_chat(conn: &mut DbConnection, chat_id: i64) -> QueryResult<Vec<LedgerEntry>> {
        on_either!(conn => {
            let own = dsl::ledger_entries.filter(dsl::chat_id.eq(chat_id)).order(dsl::id);
            fixed(own.select(LedgerEntry::as_select())).load(conn)
        })
    }

    /// Returns the charges of chats and their refunds, in any order.
    pub fn of_chats(conn: &mut DbConnection, chat_ids: &[i64]) -> QueryResult<Vec<LedgerEntry>> {
        let own = dsl::ledger_entries.filter(dsl::chat_id.eq_any(chat_ids));
        own.select(LedgerEntry::as_select()).load(conn)
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

    /// Returns the users whom a charge has left with fewer tokens than `price`, of the entries with
    /// ids from `first` on. It looks at the latest `most` entries, and returns at most 200 users.
    pub fn left_with_less(
        conn: &mut DbConnection,
        first: i64,
        price: i64,
        most: i64,
    ) -> QueryResult<Vec<i64>> {
        let text = "SELECT DISTINCT w.user_id
                    FROM (SELECT user_id, kind, balance_after FROM ledger_entries
                          WHERE id >= ? ORDER BY id DESC LIMIT ?) w
                    WHERE w.kind = 'charge' AND w.balance_after < ? LIMIT 200";
        let binds = vec![Bind::Integer(first), Bind::Integer(most), Bind::Integer(price)];
        DynamicStatement::<BigInt>::new(text.to_owned(), binds).load(conn)
    }

    /// Returns the amounts of a user's latest entries, at most `most`, in any order.
    ///
    /// # Errors
    /// As for [`LedgerEntry::page_of`].
    pub fn amounts_of(conn: &mut DbConnection, user_id: i64, most: i64) -> Result<Vec<EntryAmount>, Error> {
        let ids = UserRows::LedgerEntries.page(conn, user_id, Keyset { limit: most, before: None })?;
        let own = dsl::ledger_entries.filter(dsl::id.eq_any(&ids)).filter(dsl::user_id.eq(user_id));
        let found: Vec<EntryAmount> = own.select(EntryAmount::as_select()).load(conn)?;
        UserRows::check_found(&ids, user_id, found.iter().map(|_| user_id))?;
        Ok(found)
    }

    /// Returns a page of a user's statement, the newest entry first.
    ///
    /// # Errors
    /// [`Error::IndexBehind`] while the index is being built, and [`Error::IndexWrong`] if it names
    /// entries of others.
    pub fn page_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Vec<LedgerEntry>, Error> {
        let ids = UserRows::LedgerEntries.page(conn, user_id, page)?;
        let mut entries = LedgerEntry::find_many(conn, &ids)?;
        UserRows::check_found(&ids, user_id, entries.iter().map(|entry| entry.user_id))?;
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        Ok(entries)
    }
}
