//! `idempotency_keys`: the request that each key belongs to, and its chat.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::schema::idempotency_keys::{self, dsl};

/// A row of `idempotency_keys`.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys)]
pub struct StoredKey {
    /// The user who sent it. Each user has a separate set of keys.
    pub user_id: i64,
    /// The key, as it was sent.
    pub key: String,
    /// The digest of the request, which tells whether a request with the same key is the same one.
    pub fingerprint: Vec<u8>,
    /// The chat that the request created.
    pub chat_id: i64,
    /// When the request was charged.
    pub created_at: NaiveDateTime,
}

impl StoredKey {
    /// Returns a user's key, if it is stored.
    pub fn find(conn: &mut DbConnection, user_id: i64, key: &str) -> QueryResult<Option<StoredKey>> {
        dsl::idempotency_keys.find((user_id, key)).select(StoredKey::as_select()).get_result(conn).optional()
    }

    /// Inserts the key.
    pub fn insert(self, conn: &mut DbConnection) -> QueryResult<usize> {
        diesel::insert_into(dsl::idempotency_keys).values(self).execute(conn)
    }

    /// Deletes the key of a chat that was refunded, so that the same request can be retried.
    pub fn free(conn: &mut DbConnection, chat_id: i64) -> QueryResult<usize> {
        diesel::delete(dsl::idempotency_keys.filter(dsl::chat_id.eq(chat_id))).execute(conn)
    }

    /// Deletes up to `most` keys of a user. Returns how many it deleted.
    pub fn forget_of(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<usize> {
        let own = dsl::idempotency_keys.filter(dsl::user_id.eq(user_id));
        let chats: Vec<i64> = own.limit(most).select(dsl::chat_id).load(conn)?;
        diesel::delete(dsl::idempotency_keys.filter(dsl::chat_id.eq_any(chats))).execute(conn)
    }

    /// Deletes up to `most` keys that were stored before `time`. Returns how many it deleted.
    pub fn forget(conn: &mut DbConnection, time: NaiveDateTime, most: i64) -> QueryResult<usize> {
        let chats: Vec<i64> = dsl::idempotency_keys
            .filter(dsl::created_at.lt(time))
            .order(dsl::created_at)
            .limit(most)
            .select(dsl::chat_id)
            .load(conn)?;
        diesel::delete(dsl::idempotency_keys.filter(dsl::chat_id.eq_any(chats))).execute(conn)
    }
}
