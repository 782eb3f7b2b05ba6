//! `audit_log`: who did what to what, when and from where.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::db::DbConnection;
use crate::schema::audit_log::{self, dsl};

/// A field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub field: String,
    pub before: String,
    pub after: String,
}

impl Change {
    pub fn new(field: &str, before: impl ToString, after: impl ToString) -> Change {
        Change { field: field.to_owned(), before: before.to_string(), after: after.to_string() }
    }
}

#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = audit_log)]
pub struct AuditEntry {
    pub id: i64,
    pub created_at: NaiveDateTime,
    /// The administrator; `None`: the server itself or the command line.
    pub actor_id: Option<i64>,
    pub action: String,
    pub object_kind: String,
    pub object_id: i64,
    /// The user whom it concerns.
    pub user_id: Option<i64>,
    /// A JSON array of [`Change`].
    pub changes: String,
    pub note: String,
    pub address: String,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = audit_log)]
pub struct NewAuditEntry<'a> {
    pub created_at: NaiveDateTime,
    pub actor_id: Option<i64>,
    pub action: &'a str,
    pub object_kind: &'a str,
    pub object_id: i64,
    pub user_id: Option<i64>,
    pub changes: String,
    pub note: &'a str,
    pub address: &'a str,
}

impl NewAuditEntry<'_> {
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<usize> {
        diesel::insert_into(dsl::audit_log).values(self).execute(conn)
    }

    /// Inserts many entries: on PostgreSQL in one statement, as a round trip to the server takes
    /// longer than storing a row.
    pub fn insert_all(conn: &mut DbConnection, entries: &[NewAuditEntry<'_>]) -> QueryResult<()> {
        match conn {
            DbConnection::Postgres(conn) => {
                diesel::insert_into(dsl::audit_log).values(entries).execute(conn).map(|_| ())
            }
            DbConnection::Sqlite(_) => entries.iter().try_for_each(|entry| entry.insert(conn).map(|_| ())),
        }
    }
}

impl AuditEntry {
    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log.filter(dsl::id.eq_any(ids)).select(AuditEntry::as_select()).load(conn)
    }

    /// The latest entries about what belongs to a user.
    pub fn latest_of_user(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log
            .filter(dsl::user_id.eq(user_id))
            .order(dsl::id.desc())
            .limit(most)
            .select(AuditEntry::as_select())
            .load(conn)
    }

    /// The latest entries about one thing.
    pub fn latest_of_object(
        conn: &mut DbConnection,
        kind: &str,
        id: i64,
        most: i64,
    ) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log
            .filter(dsl::object_kind.eq(kind))
            .filter(dsl::object_id.eq(id))
            .order(dsl::id.desc())
            .limit(most)
            .select(AuditEntry::as_select())
            .load(conn)
    }

    /// The ids of the entries about what belongs to a user after `after`, the oldest first.
    pub fn ids_of_user(
        conn: &mut DbConnection,
        user_id: i64,
        after: i64,
        most: i64,
    ) -> QueryResult<Vec<i64>> {
        dsl::audit_log
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.gt(after))
            .order(dsl::id)
            .limit(most)
            .select(dsl::id)
            .load(conn)
    }

    /// Ids, values and notes of all entries after `after`, the oldest first.
    pub fn texts_after(
        conn: &mut DbConnection,
        after: i64,
        most: i64,
    ) -> QueryResult<Vec<(i64, String, String)>> {
        let later = dsl::audit_log.filter(dsl::id.gt(after)).order(dsl::id).limit(most);
        later.select((dsl::id, dsl::changes, dsl::note)).load(conn)
    }

    /// Removes the values and the notes; who did what and when stays.
    pub fn blank(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<usize> {
        diesel::update(dsl::audit_log.filter(dsl::id.eq_any(ids)))
            .set((dsl::changes.eq("[]"), dsl::note.eq("")))
            .execute(conn)
    }

    pub fn latest(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log.order(dsl::id.desc()).limit(most).select(AuditEntry::as_select()).load(conn)
    }

    /// Deletes up to `most` from before `time`; answers how many there were.
    pub fn forget(conn: &mut DbConnection, time: NaiveDateTime, most: i64) -> QueryResult<usize> {
        let ids: Vec<i64> = dsl::audit_log
            .filter(dsl::created_at.lt(time))
            .order((dsl::created_at, dsl::id))
            .limit(most)
            .select(dsl::id)
            .load(conn)?;
        diesel::delete(dsl::audit_log.filter(dsl::id.eq_any(ids))).execute(conn)
    }

    /// The changes, or none where they cannot be read.
    pub fn changes(&self) -> Vec<Change> {
        serde_json::from_str(&self.changes).unwrap_or_default()
    }
}
