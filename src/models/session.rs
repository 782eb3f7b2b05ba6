//! `sessions`: administrators' sessions in the panel.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::{DbConnection, StoredTime, fixed, on_either};
use crate::domain::TokenDigest;
use crate::models::User;
use crate::schema::sessions::{self, dsl};
use crate::schema::users;

/// A row of `sessions`, without the digest of its secret.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = sessions)]
pub struct Session {
    /// Identifies the session in the panel.
    pub id: i64,
    /// The administrator.
    pub user_id: i64,
    /// When the administrator signed in.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// When it was last used.
    #[diesel(deserialize_as = StoredTime)]
    pub last_used_at: NaiveDateTime,
    /// When it ends, even if it is in use.
    #[diesel(deserialize_as = StoredTime)]
    pub expires_at: NaiveDateTime,
    /// The address that the administrator signed in from.
    pub address: String,
    /// The browser, as its `User-Agent` header names it.
    pub user_agent: String,
    /// The messages that the next page shows: a JSON array.
    pub messages: String,
}

/// A row to insert. Its fields are those of [`Session`], and the digest.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = sessions)]
pub struct NewSession {
    /// The administrator.
    pub user_id: i64,
    /// The SHA-256 of the secret in the cookie.
    pub digest: Vec<u8>,
    /// When the administrator signs in.
    pub created_at: NaiveDateTime,
    /// When it was last used: now.
    pub last_used_at: NaiveDateTime,
    /// When it ends, even if it is in use.
    pub expires_at: NaiveDateTime,
    /// The address that the administrator signs in from.
    pub address: String,
    /// The browser, as its `User-Agent` header names it.
    pub user_agent: String,
}

impl NewSession {
    /// Inserts the session.
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<usize> {
        diesel::insert_into(dsl::sessions).values(self).execute(conn)
    }
}

impl Session {
    /// Returns the session of a secret, with its user, if both are valid: the user is active and
    /// staff, and the session has not ended and was used after `idle_since`.
    pub fn find_live(
        conn: &mut DbConnection,
        digest: TokenDigest,
        idle_since: NaiveDateTime,
        now: NaiveDateTime,
    ) -> QueryResult<Option<(Session, User)>> {
        let (now, idle_since) = (StoredTime(now), StoredTime(idle_since));
        on_either!(conn => {
            let found = dsl::sessions
                .inner_join(users::table)
                .filter(dsl::digest.eq(digest.as_bytes().as_slice()))
                .filter(dsl::expires_at.gt(now))
                .filter(dsl::last_used_at.gt(idle_since))
                .filter(users::is_active.eq(true))
                .filter(users::is_staff.eq(true).or(users::is_superuser.eq(true)))
                .select((Session::as_select(), User::as_select()));
            fixed(found).get_result(conn)
        })
        .optional()
    }

    /// Returns a user's sessions that have not ended, the latest first.
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

    /// Returns whether there is a session with this digest, even if it has ended.
    pub fn exists(conn: &mut DbConnection, digest: &[u8]) -> QueryResult<bool> {
        let found = dsl::sessions.filter(dsl::digest.eq(digest));
        diesel::select(diesel::dsl::exists(found)).get_result(conn)
    }

    /// Stores the time of a use.
    pub fn touch(conn: &mut DbConnection, id: i64, now: NaiveDateTime) -> QueryResult<usize> {
        diesel::update(dsl::sessions.find(id)).set(dsl::last_used_at.eq(now)).execute(conn)
    }

    /// Replaces the secret of a session. The old one is no longer valid.
    pub fn renew(conn: &mut DbConnection, id: i64, digest: TokenDigest) -> QueryResult<usize> {
        diesel::update(dsl::sessions.find(id)).set(dsl::digest.eq(digest.as_bytes().to_vec())).execute(conn)
    }

    /// Returns the messages that the next page shows: a JSON array. `None` if the session has
    /// ended.
    pub fn messages_of(conn: &mut DbConnection, id: i64) -> QueryResult<Option<String>> {
        dsl::sessions.find(id).select(dsl::messages).get_result(conn).optional()
    }

    /// Stores the messages that the next page shows: a JSON array.
    pub fn set_messages(conn: &mut DbConnection, id: i64, messages: &str) -> QueryResult<usize> {
        diesel::update(dsl::sessions.find(id)).set(dsl::messages.eq(messages)).execute(conn)
    }

    /// Deletes the session with this digest.
    pub fn delete(conn: &mut DbConnection, digest: TokenDigest) -> QueryResult<usize> {
        diesel::delete(dsl::sessions.filter(dsl::digest.eq(digest.as_bytes().as_slice()))).execute(conn)
    }

    /// Deletes all sessions of a user except the one with the id `keep`. Returns how many it
    /// deleted.
    pub fn delete_all_of(conn: &mut DbConnection, user_id: i64, keep: Option<i64>) -> QueryResult<usize> {
        let target = dsl::sessions.filter(dsl::user_id.eq(user_id)).filter(dsl::id.ne(keep.unwrap_or(-1)));
        diesel::delete(target).execute(conn)
    }

    /// Deletes up to `most` sessions that ended before `time`. Returns how many it deleted.
    pub fn forget(conn: &mut DbConnection, time: NaiveDateTime, most: i64) -> QueryResult<usize> {
        let ids: Vec<i64> =
            dsl::sessions.filter(dsl::expires_at.lt(time)).limit(most).select(dsl::id).load(conn)?;
        diesel::delete(dsl::sessions.filter(dsl::id.eq_any(ids))).execute(conn)
    }
}
