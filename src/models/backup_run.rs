//! `backup_runs`: backups that the server made, or failed to make.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::{DbConnection, StoredTime};
use crate::schema::backup_runs::{self, dsl};

/// The most rows that are kept.
const MOST: i64 = 1_000;

/// A row of `backup_runs`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Identifiable)]
#[diesel(table_name = backup_runs)]
pub struct BackupRun {
    /// Ascends with time.
    pub id: i64,
    /// When it was begun.
    #[diesel(deserialize_as = StoredTime)]
    pub started_at: NaiveDateTime,
    /// When it ended.
    #[diesel(deserialize_as = StoredTime)]
    pub finished_at: NaiveDateTime,
    /// The administrator who asked for it. `None` for the schedule.
    pub actor_id: Option<i64>,
    /// The name of the file.
    pub file: String,
    /// The size of the file, in bytes. 0 if it failed.
    pub size: i64,
    /// Why it failed, if so.
    pub failure: Option<String>,
}

/// A row to insert. Its fields are those of [`BackupRun`].
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = backup_runs)]
pub struct NewBackupRun {
    /// When it was begun.
    pub started_at: NaiveDateTime,
    /// When it ended.
    pub finished_at: NaiveDateTime,
    /// The administrator who asked for it. `None` for the schedule.
    pub actor_id: Option<i64>,
    /// The name of the file.
    pub file: String,
    /// The size of the file, in bytes. 0 if it failed.
    pub size: i64,
    /// Why it failed, if so.
    pub failure: Option<String>,
}

impl BackupRun {
    /// Returns the latest runs, the latest first.
    pub fn latest(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<BackupRun>> {
        dsl::backup_runs.order(dsl::id.desc()).limit(most).select(BackupRun::as_select()).load(conn)
    }
}

impl NewBackupRun {
    /// Inserts the row, and deletes the oldest ones if there are too many. Returns its id.
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<i64> {
        let id: i64 =
            diesel::insert_into(dsl::backup_runs).values(self.clone()).returning(dsl::id).get_result(conn)?;
        diesel::delete(dsl::backup_runs.filter(dsl::id.le(id - MOST))).execute(conn)?;
        Ok(id)
    }
}
