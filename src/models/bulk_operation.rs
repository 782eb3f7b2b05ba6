//! `bulk_operations` and `bulk_failures`: work on many rows, chosen once and for all.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::schema::{bulk_failures, bulk_operations};

/// A row without the ids of what was chosen, which may be many.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = bulk_operations)]
pub struct BulkOperation {
    pub id: i64,
    pub seed: Vec<u8>,
    pub actor_id: i64,
    pub kind: String,
    /// Signed tokens, for an adjustment.
    pub amount: i64,
    pub note: String,
    /// What was chosen, in words.
    pub selection: String,
    pub address: String,
    pub total: i64,
    /// How many of the chosen rows are behind us.
    pub position: i64,
    pub failed: i64,
    pub created_at: NaiveDateTime,
    pub finished_at: Option<NaiveDateTime>,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = bulk_operations)]
pub struct NewBulkOperation {
    pub seed: Vec<u8>,
    pub actor_id: i64,
    pub kind: String,
    pub amount: i64,
    pub note: String,
    pub selection: String,
    pub address: String,
    /// The chosen ids, 8 bytes each, big-endian.
    pub ids: Vec<u8>,
    pub total: i64,
    pub position: i64,
    pub failed: i64,
    pub created_at: NaiveDateTime,
}

/// A row that was chosen and could not be done.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = bulk_failures)]
pub struct BulkFailure {
    pub bulk_operation_id: i64,
    pub object_id: i64,
    pub reason: String,
}

impl NewBulkOperation {
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<i64> {
        diesel::insert_into(bulk_operations::table)
            .values(self.clone())
            .returning(bulk_operations::id)
            .get_result(conn)
    }
}

impl BulkOperation {
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<BulkOperation>> {
        bulk_operations::table.find(id).select(BulkOperation::as_select()).get_result(conn).optional()
    }

    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<BulkOperation>> {
        let rows = bulk_operations::table.filter(bulk_operations::id.eq_any(ids));
        rows.select(BulkOperation::as_select()).load(conn)
    }

    /// The one that was started by a form, if it was.
    pub fn find_by_seed(conn: &mut DbConnection, seed: &[u8]) -> QueryResult<Option<i64>> {
        let found = bulk_operations::table.filter(bulk_operations::seed.eq(seed));
        found.select(bulk_operations::id).get_result(conn).optional()
    }

    /// Those that are not finished, the oldest first.
    pub fn unfinished(conn: &mut DbConnection) -> QueryResult<Vec<BulkOperation>> {
        bulk_operations::table
            .filter(bulk_operations::finished_at.is_null())
            .order(bulk_operations::id)
            .limit(100)
            .select(BulkOperation::as_select())
            .load(conn)
    }

    /// What was chosen.
    pub fn ids(conn: &mut DbConnection, id: i64) -> QueryResult<Vec<i64>> {
        let bytes: Vec<u8> = bulk_operations::table.find(id).select(bulk_operations::ids).get_result(conn)?;
        let (whole, _) = bytes.as_chunks::<8>();
        Ok(whole.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect())
    }

    /// Takes the rows from `from` to before `to` as one's own. `false`: somebody else has.
    pub fn advance(conn: &mut DbConnection, id: i64, from: i64, to: i64) -> QueryResult<bool> {
        let target = bulk_operations::table
            .filter(bulk_operations::id.eq(id))
            .filter(bulk_operations::position.eq(from));
        Ok(diesel::update(target).set(bulk_operations::position.eq(to)).execute(conn)? == 1)
    }

    pub fn fail(&self, conn: &mut DbConnection, object_id: i64, reason: &str) -> QueryResult<()> {
        let failure = BulkFailure { bulk_operation_id: self.id, object_id, reason: reason.to_owned() };
        diesel::insert_into(bulk_failures::table).values(failure).execute(conn)?;
        let counted = bulk_operations::failed.eq(bulk_operations::failed + 1);
        diesel::update(bulk_operations::table.find(self.id)).set(counted).execute(conn).map(|_| ())
    }

    /// Ids, what was chosen and notes of all after `after`, the oldest first.
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

    /// Removes texts that hold a name which is to be forgotten.
    pub fn blank(conn: &mut DbConnection, id: i64, selection: bool, note: bool) -> QueryResult<()> {
        let operation = || bulk_operations::table.find(id);
        if selection {
            let words: String = operation().select(bulk_operations::selection).get_result(conn)?;
            // How many rows there were stays.
            let number = words.split_once(": ").map_or(String::new(), |(number, _)| format!("{number}: "));
            let gone = bulk_operations::selection.eq(format!("{number}a name that is gone"));
            diesel::update(operation()).set(gone).execute(conn)?;
        }
        if note {
            diesel::update(operation()).set(bulk_operations::note.eq("")).execute(conn)?;
        }
        Ok(())
    }

    /// Marks it as finished. Which rows were chosen is no longer needed: the history has an entry for each.
    pub fn finish(conn: &mut DbConnection, id: i64, now: NaiveDateTime) -> QueryResult<bool> {
        let target = bulk_operations::table
            .filter(bulk_operations::id.eq(id))
            .filter(bulk_operations::finished_at.is_null());
        let finished = (bulk_operations::finished_at.eq(now), bulk_operations::ids.eq(Vec::new()));
        Ok(diesel::update(target).set(finished).execute(conn)? == 1)
    }

    pub fn failures(conn: &mut DbConnection, id: i64, most: i64) -> QueryResult<Vec<BulkFailure>> {
        bulk_failures::table
            .filter(bulk_failures::bulk_operation_id.eq(id))
            .order(bulk_failures::object_id)
            .limit(most)
            .select(BulkFailure::as_select())
            .load(conn)
    }
}
