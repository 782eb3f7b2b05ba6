//! `bulk_operations` and `bulk_failures`: operations on many rows, whose ids are chosen when they
//! start.

use std::collections::HashSet;

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Text};

use crate::db::{Bind, DbConnection, DynamicStatement, MaybeStoredTime, StoredTime};
use crate::schema::{bulk_failures, bulk_operations};

/// What a selection names instead of a name that was removed from it.
pub const NAME_GONE: &str = "a name that is gone";

/// A row of `bulk_operations`, without the chosen ids, which may be many.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = bulk_operations)]
pub struct BulkOperation {
    /// Identifies the operation in the panel.
    pub id: i64,
    /// From this the operation ids of the rows are derived. It comes from the form, so that sending
    /// it twice starts one operation.
    pub seed: Vec<u8>,
    /// The administrator who started it.
    pub actor_id: i64,
    /// What is done to each row.
    pub kind: String,
    /// Signed tokens for each user, for an adjustment.
    pub amount: i64,
    /// The administrator's reason.
    pub note: String,
    /// What was chosen, as a text for the panel.
    pub selection: String,
    /// The address that the request came from.
    pub address: String,
    /// The number of chosen rows.
    pub total: i64,
    /// The number of chosen rows that are done or have failed.
    pub position: i64,
    /// The number of rows that have failed.
    pub failed: i64,
    /// When it was started.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// When the last row was done. `None` until then.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub finished_at: Option<NaiveDateTime>,
    /// The most simultaneous chats to set. `None`: they stay; -1: the limit of the settings.
    pub concurrent_chats: Option<i64>,
    /// The most messages a minute to set. `None`: they stay; -1: the limit of the settings.
    pub requests_per_minute: Option<i64>,
}

/// A row to insert. Its fields are those of [`BulkOperation`], and the chosen ids.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = bulk_operations)]
pub struct NewBulkOperation {
    /// From this the operation ids of the rows are derived.
    pub seed: Vec<u8>,
    /// The administrator who starts it.
    pub actor_id: i64,
    /// What is done to each row.
    pub kind: String,
    /// Signed tokens for each user, for an adjustment.
    pub amount: i64,
    /// The administrator's reason.
    pub note: String,
    /// What was chosen, as a text for the panel.
    pub selection: String,
    /// The address that the request came from.
    pub address: String,
    /// The chosen ids, 8 bytes each, big-endian.
    pub ids: Vec<u8>,
    /// The number of chosen rows.
    pub total: i64,
    /// The number of chosen rows that are done: 0.
    pub position: i64,
    /// The number of rows that have failed: 0.
    pub failed: i64,
    /// When it is started.
    pub created_at: NaiveDateTime,
    /// See [`BulkOperation::concurrent_chats`].
    pub concurrent_chats: Option<i64>,
    /// See [`BulkOperation::requests_per_minute`].
    pub requests_per_minute: Option<i64>,
}

/// A row of `bulk_failures`: a chosen row for which the operation failed.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = bulk_failures)]
pub struct BulkFailure {
    /// The operation.
    pub bulk_operation_id: i64,
    /// The id of the row that was chosen.
    pub object_id: i64,
    /// Why it failed, as a text for the panel.
    pub reason: String,
}

impl NewBulkOperation {
    /// Inserts the operation. Returns its id.
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<i64> {
        diesel::insert_into(bulk_operations::table)
            .values(self.clone())
            .returning(bulk_operations::id)
            .get_result(conn)
    }
}

impl BulkOperation {
    /// Returns the operation with this id, if there is one.
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<BulkOperation>> {
        bulk_operations::table.find(id).select(BulkOperation::as_select()).get_result(conn).optional()
    }

    /// Returns the operations with these ids, in any order.
    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<BulkOperation>> {
        let rows = bulk_operations::table.filter(bulk_operations::id.eq_any(ids));
        rows.select(BulkOperation::as_select()).load(conn)
    }

    /// Returns the id of the operation that a form has started, if it has.
    pub fn find_by_seed(conn: &mut DbConnection, seed: &[u8]) -> QueryResult<Option<i64>> {
        let found = bulk_operations::table.filter(bulk_operations::seed.eq(seed));
        found.select(bulk_operations::id).get_result(conn).optional()
    }

    /// Returns the operations that are not finished, the oldest first.
    pub fn unfinished(conn: &mut DbConnection) -> QueryResult<Vec<BulkOperation>> {
        bulk_operations::table
            .filter(bulk_operations::finished_at.is_null())
            .order(bulk_operations::id)
            .limit(100)
            .select(BulkOperation::as_select())
            .load(conn)
    }

    /// Returns those operations since a moment that failed for some rows, the latest first. It
    /// looks at the latest `most` operations.
    pub fn with_failures_since(
        conn: &mut DbConnection,
        moment: NaiveDateTime,
        most: i64,
    ) -> QueryResult<Vec<BulkOperation>> {
        let latest = bulk_operations::table.order(bulk_operations::id.desc()).limit(most);
        let mut found: Vec<BulkOperation> = latest.select(BulkOperation::as_select()).load(conn)?;
        found.retain(|operation| operation.failed > 0 && operation.created_at >= moment);
        Ok(found)
    }

    /// Returns the chosen ids, in the order in which they are done.
    pub fn ids(conn: &mut DbConnection, id: i64) -> QueryResult<Vec<i64>> {
        let bytes: Vec<u8> = bulk_operations::table.find(id).select(bulk_operations::ids).get_result(conn)?;
        Ok(numbers(&bytes))
    }

    /// Returns whether the chosen ids are stored. They are deleted with an operation that cannot be
    /// undone.
    pub fn has_ids(conn: &mut DbConnection, id: i64) -> QueryResult<bool> {
        let operation = bulk_operations::table.find(id);
        operation.select(sql::<Bool>("length(ids) > 0")).get_result(conn)
    }

    /// Returns the ids of the rows that an operation has done. `None` if it has not finished.
    pub fn finished_ids(conn: &mut DbConnection, id: i64) -> QueryResult<Option<Vec<i64>>> {
        match BulkOperation::find(conn, id)? {
            Some(operation) if operation.finished_at.is_some() => BulkOperation::done_ids(conn, id).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the chosen ids for which the operation did not fail, in their order.
    pub fn done_ids(conn: &mut DbConnection, id: i64) -> QueryResult<Vec<i64>> {
        let failed: HashSet<i64> = bulk_failures::table
            .filter(bulk_failures::bulk_operation_id.eq(id))
            .select(bulk_failures::object_id)
            .load::<i64>(conn)?
            .into_iter()
            .collect();
        let mut ids = BulkOperation::ids(conn, id)?;
        ids.retain(|id| !failed.contains(id));
        Ok(ids)
    }

    /// Returns those of [`BulkOperation::done_ids`] that are at the places from `from` on, among
    /// `most` chosen ids.
    pub fn done_ids_from(conn: &mut DbConnection, id: i64, from: i64, most: i64) -> QueryResult<Vec<i64>> {
        let text =
            "SELECT substr(ids, CAST(? AS INTEGER), CAST(? AS INTEGER)) FROM bulk_operations WHERE id = ?";
        let binds = vec![Bind::Integer(8 * from + 1), Bind::Integer(8 * most), Bind::Integer(id)];
        let bytes: Vec<u8> = DynamicStatement::<Binary>::new(text.to_owned(), binds).get_result(conn)?;
        let mut ids = numbers(&bytes);
        let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { return Ok(ids) };
        // Without the bounds, PostgreSQL may read all failures of the operation for each batch.
        let failed: HashSet<i64> = bulk_failures::table
            .filter(bulk_failures::bulk_operation_id.eq(id))
            .filter(bulk_failures::object_id.between(*first, *last))
            .filter(bulk_failures::object_id.eq_any(&ids))
            .select(bulk_failures::object_id)
            .load::<i64>(conn)?
            .into_iter()
            .collect();
        ids.retain(|id| !failed.contains(id));
        Ok(ids)
    }

    /// Moves the position from `from` to `to`, so that the caller does the rows in between. Returns
    /// `false` if another node has moved it.
    pub fn advance(conn: &mut DbConnection, id: i64, from: i64, to: i64) -> QueryResult<bool> {
        let target = bulk_operations::table
            .filter(bulk_operations::id.eq(id))
            .filter(bulk_operations::position.eq(from));
        Ok(diesel::update(target).set(bulk_operations::position.eq(to)).execute(conn)? == 1)
    }

    /// Records that the operation failed for one row.
    pub fn fail(&self, conn: &mut DbConnection, object_id: i64, reason: &str) -> QueryResult<()> {
        let failure = BulkFailure { bulk_operation_id: self.id, object_id, reason: reason.to_owned() };
        diesel::insert_into(bulk_failures::table).values(failure).execute(conn)?;
        let counted = bulk_operations::failed.eq(bulk_operations::failed + 1);
        diesel::update(bulk_operations::table.find(self.id)).set(counted).execute(conn).map(|_| ())
    }

    /// Returns the ids, selections and notes of all operations after the id `after`, the oldest
    /// first.
    pub fn texts_after(
        conn: &mut DbConnection,
        after: i64,
        most: i64,
    ) -> QueryResult<Vec<(i64, String, String)>> {
        let later = bulk_operations::table.filter(bulk_operations::id.gt(after));
        later
            .order(bulk_operations::id)
            .limit(most)
            .select((bulk_operations::id, bulk_operations::selection, bulk_operations::note))
            .load(conn)
    }

    /// Removes the selection or the note, if they contain a name that must be forgotten.
    pub fn blank(conn: &mut DbConnection, id: i64, selection: bool, note: bool) -> QueryResult<()> {
        let operation = || bulk_operations::table.find(id);
        if selection {
            let words: String = operation().select(bulk_operations::selection).get_result(conn)?;
            // The number of rows remains.
            let number = words.split_once(": ").map_or(String::new(), |(number, _)| format!("{number}: "));
            let gone = bulk_operations::selection.eq(format!("{number}{NAME_GONE}"));
            diesel::update(operation()).set(gone).execute(conn)?;
        }
        if note {
            diesel::update(operation()).set(bulk_operations::note.eq("")).execute(conn)?;
        }
        Ok(())
    }

    /// Marks the operation as finished. Unless it `keeps_ids`, to be undone, this deletes the
    /// chosen ids: the history has an entry for each row. Returns whether this call finished it.
    pub fn finish(
        conn: &mut DbConnection,
        id: i64,
        keeps_ids: bool,
        now: NaiveDateTime,
    ) -> QueryResult<bool> {
        let target = || {
            bulk_operations::table
                .filter(bulk_operations::id.eq(id))
                .filter(bulk_operations::finished_at.is_null())
        };
        if !keeps_ids {
            diesel::update(target()).set(bulk_operations::ids.eq(Vec::new())).execute(conn)?;
        }
        Ok(diesel::update(target()).set(bulk_operations::finished_at.eq(now)).execute(conn)? == 1)
    }

    /// Returns the reasons of up to `most` failures of an operation, each with their number.
    pub fn reasons(conn: &mut DbConnection, id: i64, most: i64) -> QueryResult<Vec<(String, i64)>> {
        let text = "SELECT w.reason, CAST(count(*) AS BIGINT)
                    FROM (SELECT reason FROM bulk_failures WHERE bulk_operation_id = ? LIMIT ?) w
                    GROUP BY w.reason ORDER BY 2 DESC, 1";
        let binds = vec![Bind::Integer(id), Bind::Integer(most)];
        DynamicStatement::<(Text, BigInt)>::new(text.to_owned(), binds).load(conn)
    }

    /// Returns up to `most` failures of an operation.
    pub fn failures(conn: &mut DbConnection, id: i64, most: i64) -> QueryResult<Vec<BulkFailure>> {
        bulk_failures::table
            .filter(bulk_failures::bulk_operation_id.eq(id))
            .order(bulk_failures::object_id)
            .limit(most)
            .select(BulkFailure::as_select())
            .load(conn)
    }
}

/// Reads ids, 8 bytes each, big-endian.
fn numbers(bytes: &[u8]) -> Vec<i64> {
    let (whole, _) = bytes.as_chunks::<8>();
    whole.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect()
}
