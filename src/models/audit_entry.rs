//! `audit_log`: who did what to what, when and from where.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::{IndexChange, Watermark};
use crate::db::{DbConnection, DynamicStatement, StoredTime};
use crate::schema::audit_log::{self, dsl};

/// The field of an entry that counts: it changes after the entry was written.
pub const ATTEMPTS: &str = "attempts";

/// The value of a field before and after an edit, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The field's code: its name in the form, such as `staff`.
    pub field: String,
    /// The value before the edit.
    pub before: String,
    /// The value after the edit.
    pub after: String,
}

impl Change {
    /// Makes a change from two values, which are stored as text.
    pub fn new(field: &str, before: impl ToString, after: impl ToString) -> Change {
        Change { field: field.to_owned(), before: before.to_string(), after: after.to_string() }
    }

    /// Returns whether the field counts, and so may change.
    pub fn is_counter(&self) -> bool {
        self.field == ATTEMPTS
    }

    /// Returns the field's name for people.
    pub fn label(&self) -> String {
        match self.field.as_str() {
            "concurrent_chats" => "chats at once".to_owned(),
            "requests_per_minute" => "requests a minute".to_owned(),
            "base" => "base price".to_owned(),
            "prompt" => "price of 1,000 prompt tokens".to_owned(),
            "answer" => "price of 1,000 answer tokens".to_owned(),
            "embeddings" => "price of embeddings of 1,000 tokens".to_owned(),
            "context_tokens" => "context window".to_owned(),
            "default_output" => "usual limit of an answer".to_owned(),
            "max_output" => "highest limit of an answer".to_owned(),
            "image_tokens" => "tokens of an image".to_owned(),
            "extra_fields" => "further fields".to_owned(),
            code => code.replace('_', " "),
        }
    }
}

/// A row of `audit_log`.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = audit_log)]
pub struct AuditEntry {
    /// Ascends with time.
    pub id: i64,
    /// When it happened.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// The administrator. `None` for the server itself or the command line.
    pub actor_id: Option<i64>,
    /// The code of the action, as `audit` defines it.
    pub action: String,
    /// The code of the kind of object that the action changed, as `audit` defines it.
    pub object_kind: String,
    /// The id of the object.
    pub object_id: i64,
    /// The user who owns the object, or is the object.
    pub user_id: Option<i64>,
    /// A JSON array of [`Change`].
    pub changes: String,
    /// The administrator's reason, or an empty text.
    pub note: String,
    /// The address that the request came from, or an empty text.
    pub address: String,
}

/// A row to insert. Its fields are those of [`AuditEntry`].
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = audit_log)]
pub struct NewAuditEntry<'a> {
    /// When it happens.
    pub created_at: NaiveDateTime,
    /// The administrator. `None` for the server itself or the command line.
    pub actor_id: Option<i64>,
    /// The code of the action.
    pub action: &'a str,
    /// The code of the kind of object that the action changes.
    pub object_kind: &'a str,
    /// The id of the object.
    pub object_id: i64,
    /// The user who owns the object, or is the object.
    pub user_id: Option<i64>,
    /// A JSON array of [`Change`].
    pub changes: String,
    /// The administrator's reason, or an empty text.
    pub note: &'a str,
    /// The address that the request came from, or an empty text.
    pub address: &'a str,
}

impl NewAuditEntry<'_> {
    /// Inserts the entry, in the transaction of the action itself.
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<usize> {
        Watermark::before_insert(conn)?;
        diesel::insert_into(dsl::audit_log).values(self).execute(conn)
    }

    /// Inserts many entries, on PostgreSQL in one statement, because a round trip to the server
    /// takes longer than storing a row.
    pub fn insert_all(conn: &mut DbConnection, entries: &[NewAuditEntry<'_>]) -> QueryResult<()> {
        Watermark::before_insert(conn)?;
        match conn {
            DbConnection::Postgres(conn) => {
                diesel::insert_into(dsl::audit_log).values(entries).execute(conn).map(|_| ())
            }
            DbConnection::Sqlite(_) => entries.iter().try_for_each(|entry| entry.insert(conn).map(|_| ())),
        }
    }
}

/// The most entries that [`AuditEntry::of_users_since`] returns.
const MOST_SINCE: i64 = 10_000;

impl AuditEntry {
    /// Returns the entries with these ids, in any order.
    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log.filter(dsl::id.eq_any(ids)).select(AuditEntry::as_select()).load(conn)
    }

    /// Returns a user's latest entries, the latest first.
    pub fn latest_of_user(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log
            .filter(dsl::user_id.eq(user_id))
            .order(dsl::id.desc())
            .limit(most)
            .select(AuditEntry::as_select())
            .load(conn)
    }

    /// Returns the entries that concern these users and are later than a moment, the latest first:
    /// at most [`MOST_SINCE`].
    pub fn of_users_since(
        conn: &mut DbConnection,
        users: &[i64],
        moment: NaiveDateTime,
    ) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log
            .filter(dsl::user_id.eq_any(users))
            .filter(dsl::created_at.gt(moment))
            .order(dsl::id.desc())
            .limit(MOST_SINCE)
            .select(AuditEntry::as_select())
            .load(conn)
    }

    /// Returns the entry of a user's latest deactivation, if it is among the latest `most` entries
    /// that concern the user.
    pub fn latest_deactivation(
        conn: &mut DbConnection,
        user_id: i64,
        most: i64,
    ) -> QueryResult<Option<AuditEntry>> {
        let is_one = |entry: &AuditEntry| {
            let changes = entry.changes();
            changes.iter().any(|change| change.field == "active" && change.after == "no")
        };
        Ok(AuditEntry::latest_of_user(conn, user_id, most)?.into_iter().find(is_one))
    }

    /// Returns the latest entries of an action, the latest first.
    pub fn latest_of_action(
        conn: &mut DbConnection,
        action: &str,
        most: i64,
    ) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log
            .filter(dsl::action.eq(action))
            .order(dsl::id.desc())
            .limit(most)
            .select(AuditEntry::as_select())
            .load(conn)
    }

    /// Replaces the changes of an entry that counts. Only counters may change: the index has read
    /// the rest.
    pub fn set_changes(conn: &mut DbConnection, id: i64, changes: &[Change]) -> QueryResult<usize> {
        let changes = serde_json::to_string(changes).unwrap_or_else(|_| "[]".to_owned());
        diesel::update(dsl::audit_log.find(id)).set(dsl::changes.eq(changes)).execute(conn)
    }

    /// Returns the latest entries about one object, the latest first.
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

    /// Returns the ids of a user's entries after the id `after`, the oldest first.
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

    /// Returns the ids, values and notes of all entries after the id `after`, the oldest first.
    pub fn texts_after(
        conn: &mut DbConnection,
        after: i64,
        most: i64,
    ) -> QueryResult<Vec<(i64, String, String)>> {
        let later = dsl::audit_log.filter(dsl::id.gt(after)).order(dsl::id).limit(most);
        later.select((dsl::id, dsl::changes, dsl::note)).load(conn)
    }

    /// Returns the entries with ids after `after` up to `up_to`, in the order of their ids.
    pub fn after(conn: &mut DbConnection, after: i64, up_to: i64, most: i64) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log
            .filter(dsl::id.gt(after))
            .filter(dsl::id.le(up_to))
            .order(dsl::id)
            .limit(most)
            .select(AuditEntry::as_select())
            .load(conn)
    }

    /// Removes the values and notes of these entries. The actor, the action and the time remain.
    /// Entries without any are not written again. Returns the ids of the others, whose words must
    /// be removed from the index.
    pub fn blank(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
        let says_something = dsl::changes.ne("[]").or(dsl::note.ne(""));
        let found = dsl::audit_log.filter(dsl::id.eq_any(ids)).filter(says_something);
        let found: Vec<i64> = found.select(dsl::id).load(conn)?;
        diesel::update(dsl::audit_log.filter(dsl::id.eq_any(&found)))
            .set((dsl::changes.eq("[]"), dsl::note.eq("")))
            .execute(conn)?;
        Ok(found)
    }

    /// Returns the latest entries, the latest first.
    pub fn latest(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<AuditEntry>> {
        dsl::audit_log.order(dsl::id.desc()).limit(most).select(AuditEntry::as_select()).load(conn)
    }

    /// Deletes up to `most` entries from before `time`, the oldest first, and their words from the
    /// index. On SQLite the follower deletes those soon after. Returns how many it deleted.
    pub fn forget(conn: &mut DbConnection, time: NaiveDateTime, most: i64) -> QueryResult<usize> {
        // Otherwise the follower could read an entry now and store its words afterwards.
        Watermark::lock(conn, "audit_log")?;
        let ids: Vec<i64> = dsl::audit_log
            .filter(dsl::created_at.lt(time))
            .order((dsl::created_at, dsl::id))
            .limit(most)
            .select(dsl::id)
            .load(conn)?;
        if let DbConnection::Sqlite(conn) = conn {
            ids.iter().try_for_each(|id| IndexChange::Entry(*id).insert(conn).map(|_| ()))?;
        } else if !ids.is_empty() {
            let listed = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
            let text = format!("DELETE FROM history_search WHERE id IN ({listed})");
            DynamicStatement::<()>::new(text, Vec::new()).execute(conn)?;
        }
        diesel::delete(dsl::audit_log.filter(dsl::id.eq_any(ids))).execute(conn)
    }

    /// Returns the changes. They are empty if they cannot be parsed.
    pub fn changes(&self) -> Vec<Change> {
        serde_json::from_str(&self.changes).unwrap_or_default()
    }
}
