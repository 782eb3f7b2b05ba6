//! `bulk_undos` and `bulk_former_limits`: what is needed to undo an operation on many rows once.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::db::DbConnection;
use crate::models::{BulkOperation, UserLimits};
use crate::schema::{bulk_former_limits, bulk_undos};

/// A row of `bulk_undos`: an operation, and the one that undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = bulk_undos)]
pub struct BulkUndo {
    /// The operation that is undone.
    pub undone_id: i64,
    /// The operation that undoes it.
    pub undoing_id: i64,
}

impl BulkUndo {
    /// Stores it. Fails with a unique violation if the operation was undone before.
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<()> {
        diesel::insert_into(bulk_undos::table).values(*self).execute(conn).map(|_| ())
    }

    /// Returns the operation that undoes this one. `None` if none does.
    pub fn undoing(conn: &mut DbConnection, undone_id: i64) -> QueryResult<Option<i64>> {
        bulk_undos::table.find(undone_id).select(bulk_undos::undoing_id).get_result(conn).optional()
    }

    /// Returns the operation that this one undoes. `None` if it undoes none.
    pub fn undone(conn: &mut DbConnection, undoing_id: i64) -> QueryResult<Option<BulkOperation>> {
        let own = bulk_undos::table.filter(bulk_undos::undoing_id.eq(undoing_id));
        let undone: Option<i64> = own.select(bulk_undos::undone_id).get_result(conn).optional()?;
        match undone {
            Some(id) => BulkOperation::find(conn, id),
            None => Ok(None),
        }
    }
}

/// A row of `bulk_former_limits`: the limits of a user before an operation set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = bulk_former_limits)]
pub struct FormerLimits {
    /// The operation.
    pub bulk_operation_id: i64,
    /// The user.
    pub user_id: i64,
    /// See [`UserLimits::concurrent_chats`].
    pub concurrent_chats: Option<i64>,
    /// See [`UserLimits::requests_per_minute`].
    pub requests_per_minute: Option<i64>,
}

impl FormerLimits {
    /// Stores them.
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<()> {
        diesel::insert_into(bulk_former_limits::table).values(*self).execute(conn).map(|_| ())
    }

    /// Returns the limits that these users had before an operation, by user.
    pub fn of(
        conn: &mut DbConnection,
        operation_id: i64,
        user_ids: &[i64],
    ) -> QueryResult<HashMap<i64, UserLimits>> {
        let (Some(first), Some(last)) = (user_ids.iter().min(), user_ids.iter().max()) else {
            return Ok(HashMap::new());
        };
        // Without the bounds, PostgreSQL may read all rows of the operation for each batch of it.
        let own = bulk_former_limits::table
            .filter(bulk_former_limits::bulk_operation_id.eq(operation_id))
            .filter(bulk_former_limits::user_id.between(*first, *last))
            .filter(bulk_former_limits::user_id.eq_any(user_ids));
        let found: Vec<FormerLimits> = own.select(FormerLimits::as_select()).load(conn)?;
        let limits = |former: FormerLimits| UserLimits {
            concurrent_chats: former.concurrent_chats,
            requests_per_minute: former.requests_per_minute,
        };
        Ok(found.into_iter().map(|former| (former.user_id, limits(former))).collect())
    }
}
