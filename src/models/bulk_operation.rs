//! `bulk_operations` and `bulk_failures`: operations on many rows, whose ids are chosen when they
//! start.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::schema::{bulk_failures, bulk_operations};

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
    pub created_at: NaiveDateTime,
    /// When the last row was done. `None` until then.
    pub finished_at: Option<NaiveDateTime>,
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

    /// Returns the chosen ids, in the order in which they are done.
    pub fn ids(conn: &mut DbConnection, id: i64) -> QueryResult<Vec<i64>> {
        let bytes: Vec<u8> = bulk_operations::table.find(id).select(bulk_operations::ids).get_result(conn)?;
        let (whole, _) = bytes.as_chunks::<8>();
        Ok(whole.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect())
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
            let gone = bulk_operations::selection.eq(format!("{number}a name that is gone"));
            diesel::update(operation()).set(gone).execute(conn)?;
        }
        if note {
            diesel::update(operation()).set(bulk_operations::note.eq("")).execute(conn)?;
        }
        Ok(())
    }

    /// Marks the operation as finished and deletes the chosen ids: the history has an entry for
    /// each row. Returns whether this call finished it.
    pub fn finish(conn: &mut DbConnection, id: i64, now: NaiveDateTime) -> QueryResult<bool> {
        let target = bulk_operations::table
            .filter(bulk_operations::id.eq(id))
            .filter(bulk_operations::finished_at.is_null());
        let finished = (bulk_operations::finished_at.eq(now), bulk_operations::ids.eq(Vec::new()));
        Ok(diesel::update(target).set(finished).execute(conn)? == 1)
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
