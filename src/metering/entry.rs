//! Writes ledger entries.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::tally::{Moved, note_entries};
use crate::db::{Bind, DbConnection, Statement, on_either};
use crate::domain::OperationId;
use crate::models::EntryKind;

pub(super) struct NewEntry<'a> {
    pub user_id: i64,
    /// Signed tokens.
    pub amount: i64,
    pub balance_after: i64,
    pub kind: EntryKind,
    pub chat_id: Option<i64>,
    pub actor_id: Option<i64>,
    pub note: &'a str,
    pub operation_id: OperationId,
    /// The time on this node, which SQLite stores. PostgreSQL uses its own clock.
    pub now: NaiveDateTime,
}

impl NewEntry<'_> {
    pub(super) fn insert(&self, conn: &mut DbConnection) -> QueryResult<()> {
        struct InsertEntry;
        let statement = Statement::<InsertEntry>::new(
            "INSERT INTO ledger_entries
                 (user_id, amount, balance_after, kind, chat_id, actor_id, note, operation_id, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            vec![
                Bind::Integer(self.user_id),
                Bind::Integer(self.amount),
                Bind::Integer(self.balance_after),
                Bind::Text(self.kind.as_str()),
                Bind::MaybeInteger(self.chat_id),
                Bind::MaybeInteger(self.actor_id),
                Bind::Text(self.note),
                Bind::Bytes(self.operation_id.as_bytes()),
                Bind::Now(self.now),
            ],
        );
        on_either!(conn => statement.execute(conn))?;
        note_entries(self.moved(), 1, self.amount);
        Ok(())
    }

    fn moved(&self) -> Moved {
        match self.kind {
            EntryKind::Opening => Moved::Opening,
            EntryKind::Charge => Moved::Charge,
            EntryKind::Settlement => Moved::Settlement,
            EntryKind::Refund if self.actor_id.is_none() => Moved::Refund,
            EntryKind::Refund => Moved::RefundByAdministrator,
            EntryKind::Adjustment if self.amount < 0 => Moved::Deduction,
            EntryKind::Adjustment => Moved::Grant,
        }
    }
}
