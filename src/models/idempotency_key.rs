//! `idempotency_keys`: which request a key stood for, and the chat that it made.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::schema::idempotency_keys::{self, dsl};

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys)]
pub struct StoredKey {
    pub user_id: i64,
    pub key: String,
    pub fingerprint: Vec<u8>,
    pub chat_id: i64,
    pub created_at: NaiveDateTime,
}

impl StoredKey {
    pub fn find(conn: &mut DbConnection, user_id: i64, key: &str) -> QueryResult<Option<StoredKey>> {
        dsl::idempotency_keys.find((user_id, key)).select(StoredKey::as_select()).get_result(conn).optional()
    }

    pub fn insert(self, conn: &mut DbConnection) -> QueryResult<usize> {
        diesel::insert_into(dsl::idempotency_keys).values(self).execute(conn)
    }

    /// Frees the key of a chat that was refunded, so that the same request may be tried again.
    pub fn free(conn: &mut DbConnection, chat_id: i64) -> QueryResult<usize> {
        diesel::delete(dsl::idempotency_keys.filter(dsl::chat_id.eq(chat_id))).execute(conn)
    }

    /// Forgets up to `most` keys of a user; answers how many there were.
    pub fn forget_of(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<usize> {
        let own = dsl::idempotency_keys.filter(dsl::user_id.eq(user_id));
        let chats: Vec<i64> = own.limit(most).select(dsl::chat_id).load(conn)?;
        diesel::delete(dsl::idempotency_keys.filter(dsl::chat_id.eq_any(chats))).execute(conn)
    }

    /// Forgets up to `most` keys that were made before `time`; answers how many there were.
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
