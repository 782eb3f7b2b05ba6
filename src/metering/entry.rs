//! How a ledger entry is written.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::models::EntryKind;
use crate::schema::ledger_entries;

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
    pub now: NaiveDateTime,
}

impl NewEntry<'_> {
    pub(super) fn insert(&self, conn: &mut DbConnection) -> QueryResult<()> {
        use ledger_entries::dsl as e;
        diesel::insert_into(e::ledger_entries)
            .values((
                e::user_id.eq(self.user_id),
                e::amount.eq(self.amount),
                e::balance_after.eq(self.balance_after),
                e::kind.eq(self.kind.as_str()),
                e::chat_id.eq(self.chat_id),
                e::actor_id.eq(self.actor_id),
                e::note.eq(self.note),
                e::operation_id.eq(self.operation_id.as_bytes().as_slice()),
                e::created_at.eq(self.now),
            ))
            .execute(conn)
            .map(|_| ())
    }
}
