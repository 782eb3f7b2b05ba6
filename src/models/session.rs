//! `sessions`: sign-ins of administrators to the panel.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::domain::TokenDigest;
use crate::models::User;
use crate::schema::sessions::{self, dsl};
use crate::schema::users;

#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = sessions)]
pub struct Session {
    pub id: i64,
    pub user_id: i64,
    pub created_at: NaiveDateTime,
    pub last_used_at: NaiveDateTime,
    /// The absolute limit.
    pub expires_at: NaiveDateTime,
    /// Where it was signed in from.
    pub address: String,
    pub user_agent: String,
    /// What the next page has to say: a JSON array.
    pub messages: String,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = sessions)]
pub struct NewSession {
    pub user_id: i64,
    pub digest: Vec<u8>,
    pub created_at: NaiveDateTime,
    pub last_used_at: NaiveDateTime,
    pub expires_at: NaiveDateTime,
    pub address: String,
    pub user_agent: String,
}

impl NewSession {
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<usize> {
        diesel::insert_into(dsl::sessions).values(self).execute(conn)
    }
}

impl Session {
    /// The session that a secret belongs to, with its user, if both may still be used: the user active and staff, the
    /// session not past its end and used after `idle_since`.
    pub fn find_live(
        conn: &mut DbConnection,
        digest: TokenDigest,
        idle_since: NaiveDateTime,
        now: NaiveDateTime,
    ) -> QueryResult<Option<(Session, User)>> {
        dsl::sessions
            .inner_join(users::table)
            .filter(dsl::digest.eq(digest.as_bytes().as_slice()))
            .filter(dsl::expires_at.gt(now))
            .filter(dsl::last_used_at.gt(idle_since))
            .filter(users::is_active.eq(true))
            .filter(users::is_staff.eq(true).or(users::is_superuser.eq(true)))
            .select((Session::as_select(), User::as_select()))
            .get_result(conn)
            .optional()
    }

    /// A user's sessions that have not ended, the latest first.
    pub fn live_of(
        conn: &mut DbConnection,
        user_id: i64,
        idle_since: NaiveDateTime,
        now: NaiveDateTime,
    ) -> QueryResult<Vec<Session>> {
        dsl::sessions
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::expires_at.gt(now))
            .filter(dsl::last_used_at.gt(idle_since))
            .order(dsl::id.desc())
            .limit(100)
            .select(Session::as_select())
            .load(conn)
    }

    pub fn exists(conn: &mut DbConnection, digest: &[u8]) -> QueryResult<bool> {
        let found = dsl::sessions.filter(dsl::digest.eq(digest));
        diesel::select(diesel::dsl::exists(found)).get_result(conn)
    }

    pub fn touch(conn: &mut DbConnection, id: i64, now: NaiveDateTime) -> QueryResult<usize> {
        diesel::update(dsl::sessions.find(id)).set(dsl::last_used_at.eq(now)).execute(conn)
    }

    /// Gives a session a new secret. The old one no longer works.
    pub fn renew(conn: &mut DbConnection, id: i64, digest: TokenDigest) -> QueryResult<usize> {
        diesel::update(dsl::sessions.find(id)).set(dsl::digest.eq(digest.as_bytes().to_vec())).execute(conn)
    }

    pub fn set_messages(conn: &mut DbConnection, id: i64, messages: &str) -> QueryResult<usize> {
        diesel::update(dsl::sessions.find(id)).set(dsl::messages.eq(messages)).execute(conn)
    }

    pub fn delete(conn: &mut DbConnection, digest: TokenDigest) -> QueryResult<usize> {
        diesel::delete(dsl::sessions.filter(dsl::digest.eq(digest.as_bytes().as_slice()))).execute(conn)
    }

    /// Ends all of a user's sessions, but for the one with the id `keep`; answers how many there were.
    pub fn delete_all_of(conn: &mut DbConnection, user_id: i64, keep: Option<i64>) -> QueryResult<usize> {
        let target = dsl::sessions.filter(dsl::user_id.eq(user_id)).filter(dsl::id.ne(keep.unwrap_or(-1)));
        diesel::delete(target).execute(conn)
    }

    /// Deletes up to `most` that ended before `time`; answers how many there were.
    pub fn forget(conn: &mut DbConnection, time: NaiveDateTime, most: i64) -> QueryResult<usize> {
        let ids: Vec<i64> =
            dsl::sessions.filter(dsl::expires_at.lt(time)).limit(most).select(dsl::id).load(conn)?;
        diesel::delete(dsl::sessions.filter(dsl::id.eq_any(ids))).execute(conn)
    }
}
