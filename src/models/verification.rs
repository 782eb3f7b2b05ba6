//! `verifications`: runs of `verify` that administrators started in the panel.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::{DbConnection, MaybeStoredTime, StoredTime};
use crate::schema::verifications::{self, dsl};

/// A row of `verifications`.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = verifications)]
pub struct Verification {
    /// Ascends with time.
    pub id: i64,
    /// The administrator who started it.
    pub actor_id: Option<i64>,
    /// When it was started.
    #[diesel(deserialize_as = StoredTime)]
    pub started_at: NaiveDateTime,
    /// When it ended. `None` while it runs.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub finished_at: Option<NaiveDateTime>,
    /// The faults, one in each line. Empty if there are none.
    pub damage: String,
    /// Why it could not be finished, if so.
    pub failure: Option<String>,
}

impl Verification {
    /// Returns the latest run, if there is one.
    pub fn latest(conn: &mut DbConnection) -> QueryResult<Option<Verification>> {
        dsl::verifications
            .order(dsl::id.desc())
            .limit(1)
            .select(Verification::as_select())
            .get_result(conn)
            .optional()
    }

    /// Inserts a run that begins. Returns its id.
    pub fn start(conn: &mut DbConnection, actor_id: Option<i64>, now: NaiveDateTime) -> QueryResult<i64> {
        diesel::insert_into(dsl::verifications)
            .values((dsl::actor_id.eq(actor_id), dsl::started_at.eq(now), dsl::damage.eq("")))
            .returning(dsl::id)
            .get_result(conn)
    }

    /// Ends all runs that have not ended. `why` tells why they could not be finished.
    pub fn interrupt(conn: &mut DbConnection, why: &str, now: NaiveDateTime) -> QueryResult<usize> {
        diesel::update(dsl::verifications.filter(dsl::finished_at.is_null()))
            .set((dsl::finished_at.eq(now), dsl::failure.eq(why)))
            .execute(conn)
    }

    /// Stores the result of a run.
    pub fn finish(
        conn: &mut DbConnection,
        id: i64,
        damage: &str,
        failure: Option<&str>,
        now: NaiveDateTime,
    ) -> QueryResult<usize> {
        diesel::update(dsl::verifications.find(id))
            .set((dsl::finished_at.eq(now), dsl::damage.eq(damage), dsl::failure.eq(failure)))
            .execute(conn)
    }
}
