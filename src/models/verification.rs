//! `verifications`: runs of `verify` that were asked for in the panel.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::schema::verifications::{self, dsl};

#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = verifications)]
pub struct Verification {
    pub id: i64,
    pub actor_id: Option<i64>,
    pub started_at: NaiveDateTime,
    pub finished_at: Option<NaiveDateTime>,
    /// What is wrong, a line each; empty: nothing.
    pub damage: String,
    /// Why it could not be finished.
    pub failure: Option<String>,
}

impl Verification {
    pub fn latest(conn: &mut DbConnection) -> QueryResult<Option<Verification>> {
        dsl::verifications
            .order(dsl::id.desc())
            .limit(1)
            .select(Verification::as_select())
            .get_result(conn)
            .optional()
    }

    pub fn start(conn: &mut DbConnection, actor_id: Option<i64>, now: NaiveDateTime) -> QueryResult<i64> {
        diesel::insert_into(dsl::verifications)
            .values((dsl::actor_id.eq(actor_id), dsl::started_at.eq(now), dsl::damage.eq("")))
            .returning(dsl::id)
            .get_result(conn)
    }

    /// Ends all that have not ended, with the reason why they could not be finished.
    pub fn interrupt(conn: &mut DbConnection, why: &str, now: NaiveDateTime) -> QueryResult<usize> {
        diesel::update(dsl::verifications.filter(dsl::finished_at.is_null()))
            .set((dsl::finished_at.eq(now), dsl::failure.eq(why)))
            .execute(conn)
    }

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
