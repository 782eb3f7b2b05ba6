//! `embedding_answers`: embeddings that a retry under their `Idempotency-Key` gets again.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::oldest::Bounded;
use crate::db::{Bind, DbConnection, Statement, StoredTime, fixed, on_either};
use crate::schema::chats;
use crate::schema::embedding_answers::{self, dsl};

/// A row of `embedding_answers`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = embedding_answers)]
pub struct EmbeddingAnswer {
    /// The chat that made them.
    pub chat_id: i64,
    /// The vectors as 32-bit floats, little-endian, one after the other. `None`: they were too
    /// large to be stored.
    pub vectors: Option<Vec<u8>>,
    /// The length of each vector.
    pub dimensions: i64,
    /// When they were stored.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
}

impl EmbeddingAnswer {
    /// Returns the embeddings of a chat, if any are stored.
    pub fn find(conn: &mut DbConnection, chat_id: i64) -> QueryResult<Option<EmbeddingAnswer>> {
        on_either!(conn => {
            let found = dsl::embedding_answers.find(chat_id).select(EmbeddingAnswer::as_select());
            fixed(found).get_result(conn)
        })
        .optional()
    }

    /// Inserts the row. If the user's embeddings then have more than `most` bytes, the oldest are
    /// deleted.
    pub fn insert(self, conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<()> {
        struct InsertAnswer;
        // A row without vectors counts, too, so that no two begin at the same byte. The user's
        // settlements come one after the other, so the row that is read is the latest.
        let statement = Statement::<InsertAnswer, BigInt>::new(
            "INSERT INTO embedding_answers (chat_id, vectors, dimensions, created_at, user_id, bytes_before)
             VALUES (?, ?, ?, ?, ?, coalesce((
                 SELECT latest.bytes_before + 1 + coalesce(octet_length(latest.vectors), 0)
                 FROM embedding_answers latest WHERE latest.user_id = ?
                 ORDER BY latest.bytes_before DESC LIMIT 1), 0))
             RETURNING bytes_before",
            vec![
                Bind::Integer(self.chat_id),
                Bind::MaybeBytes(self.vectors.as_deref()),
                Bind::Integer(self.dimensions),
                Bind::Time(self.created_at),
                Bind::Integer(user_id),
                Bind::Integer(user_id),
            ],
        );
        let before: i64 = on_either!(conn => statement.get_result(conn))?;
        let bytes =
            self.vectors.as_ref().map_or(0, |vectors| i64::try_from(vectors.len()).unwrap_or(i64::MAX));
        Bounded::EmbeddingAnswers.drop_oldest(conn, user_id, before.saturating_add(1 + bytes), most)?;
        Ok(())
    }

    /// Deletes the embeddings of those of these chats that are this user's. (Rows of older versions
    /// do not have the user.)
    pub fn forget_of(conn: &mut DbConnection, user_id: i64, chat_ids: &[i64]) -> QueryResult<usize> {
        let own = chats::table.filter(chats::id.eq_any(chat_ids)).filter(chats::user_id.eq(user_id));
        let own: Vec<i64> = own.select(chats::id).load(conn)?;
        EmbeddingAnswer::delete(conn, &own)
    }

    fn delete(conn: &mut DbConnection, chat_ids: &[i64]) -> QueryResult<usize> {
        diesel::delete(dsl::embedding_answers.filter(dsl::chat_id.eq_any(chat_ids))).execute(conn)
    }

    /// Deletes up to `most` rows that were stored before `time`. Returns how many it deleted.
    pub fn forget(conn: &mut DbConnection, time: NaiveDateTime, most: i64) -> QueryResult<usize> {
        let chats: Vec<i64> = dsl::embedding_answers
            .filter(dsl::created_at.lt(time))
            .order(dsl::created_at)
            .limit(most)
            .select(dsl::chat_id)
            .load(conn)?;
        EmbeddingAnswer::delete(conn, &chats)
    }
}
