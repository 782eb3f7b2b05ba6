//! `idempotency_keys`: the request that each key belongs to, and its chat.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::{Bind, DbConnection, Statement, StoredTime, fixed, on_either};
use crate::schema::idempotency_keys::{self, dsl};

/// A row of `idempotency_keys`.
#[derive(Clone, Debug, Queryable, Selectable)]
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
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
}

impl StoredKey {
    /// Returns a user's key, if it is stored.
    pub fn find(conn: &mut DbConnection, user_id: i64, key: &str) -> QueryResult<Option<StoredKey>> {
        on_either!(conn => {
            let found = dsl::idempotency_keys.find((user_id, key)).select(StoredKey::as_select());
            fixed(found).get_result(conn)
        })
        .optional()
    }

    /// Inserts the key.
    pub fn insert(self, conn: &mut DbConnection) -> QueryResult<usize> {
        struct InsertKey;
        let statement = Statement::<InsertKey>::new(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, chat_id, created_at) VALUES (?, ?, ?, ?, ?)",
            vec![
                Bind::Integer(self.user_id),
                Bind::Text(&self.key),
                Bind::Bytes(&self.fingerprint),
                Bind::Integer(self.chat_id),
                Bind::Time(self.created_at),
            ],
        );
        on_either!(conn => statement.execute(conn))
    }

    /// Deletes the key of a chat that was refunded, so that the same request can be retried.
    pub fn free(conn: &mut DbConnection, chat_id: i64) -> QueryResult<usize> {
        struct FreeKey;
        let text = "DELETE FROM idempotency_keys WHERE chat_id = ?";
        let statement = Statement::<FreeKey>::new(text, vec![Bind::Integer(chat_id)]);
        on_either!(conn => statement.execute(conn))
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
