//! `responses`: what is stored of the requests to `POST /v1/responses`, so that their responses can
//! be returned again and continued.

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::oldest::Bounded;
use super::{Chat, first_id_since};
use crate::db::{Bind, DbConnection, Statement, fixed, on_either};
use crate::schema::chats;
use crate::schema::responses::{self, dsl};

/// A row of `responses`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = responses)]
pub struct StoredResponse {
    /// The chat that was answered.
    pub chat_id: i64,
    /// The user who paid.
    pub user_id: i64,
    /// The chat of the response that it continues. That response may have been deleted.
    pub previous_chat_id: Option<i64>,
    /// The fields that the response repeats, and the items of its input, as JSON.
    pub request: String,
}

/// A response in a chain, without its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct Link {
    /// The chat that was answered.
    pub chat_id: i64,
    /// The chat of the response that it continues.
    pub previous_chat_id: Option<i64>,
    /// The bytes of what a model reads of it again, and of what else is stored with it.
    pub bytes: i64,
    /// The conversation of its chat.
    pub conversation_id: Option<i64>,
}

/// The texts of a response.
#[derive(Clone, Debug, Queryable)]
pub struct ResponseTexts {
    /// The chat that was answered.
    pub chat_id: i64,
    /// See [`StoredResponse::request`].
    pub request: String,
    /// The text of the answer.
    pub text: Option<String>,
    /// The other parts of the answer, as JSON.
    pub extras: Option<String>,
}

/// The bytes of a response's texts. Neither database reads the texts for it.
const BYTES: &str = "CAST(octet_length(responses.request) + coalesce(octet_length(chats.response), 0)
    + coalesce(octet_length(chats.answer_extras), 0) AS BIGINT)";

impl StoredResponse {
    /// Returns a user's response and those that it continues, the latest first, at most `most`. The
    /// chain ends before a response that was deleted, whose chat the last link then names.
    pub fn chain(conn: &mut DbConnection, user_id: i64, last: i64, most: i64) -> QueryResult<Vec<Link>> {
        struct ChainOf;
        // An earlier chat has a lower id, so a chain has an end.
        let statement = Statement::<ChainOf, (BigInt, Nullable<BigInt>, BigInt, Nullable<BigInt>)>::new(
            "WITH RECURSIVE chain (chat_id, previous_chat_id, place) AS (
                 SELECT chat_id, CASE WHEN previous_chat_id < chat_id THEN previous_chat_id END, CAST(1 AS BIGINT)
                 FROM responses WHERE chat_id = ? AND user_id = ?
                 UNION ALL
                 SELECT earlier.chat_id,
                     CASE WHEN earlier.previous_chat_id < earlier.chat_id THEN earlier.previous_chat_id END,
                     chain.place + 1
                 FROM chain JOIN responses earlier ON earlier.chat_id = chain.previous_chat_id
                 WHERE earlier.user_id = ? AND chain.place < ?)
             SELECT chain.chat_id, chain.previous_chat_id,
                 CAST(octet_length(responses.request) + coalesce(octet_length(chats.response), 0)
                     + coalesce(octet_length(chats.answer_extras), 0) AS BIGINT),
                 chats.conversation_id
             FROM chain JOIN responses ON responses.chat_id = chain.chat_id
                 JOIN chats ON chats.id = chain.chat_id
             ORDER BY chain.place",
            vec![Bind::Integer(last), Bind::Integer(user_id), Bind::Integer(user_id), Bind::Integer(most)],
        );
        match conn {
            DbConnection::Sqlite(conn) => statement.load(conn),
            DbConnection::Postgres(conn) => statement.load(conn),
        }
    }

    /// Returns those of these chats that have a response of this user, with the bytes of its texts.
    pub fn sizes(conn: &mut DbConnection, user_id: i64, chat_ids: &[i64]) -> QueryResult<Vec<(i64, i64)>> {
        if chat_ids.is_empty() {
            return Ok(Vec::new());
        }
        let own = dsl::responses.filter(dsl::chat_id.eq_any(chat_ids)).filter(dsl::user_id.eq(user_id));
        own.inner_join(chats::table).select((dsl::chat_id, sql::<BigInt>(BYTES))).load(conn)
    }

    /// Returns the texts of a user's responses, in any order.
    pub fn texts(conn: &mut DbConnection, user_id: i64, chat_ids: &[i64]) -> QueryResult<Vec<ResponseTexts>> {
        let own = dsl::responses.filter(dsl::chat_id.eq_any(chat_ids)).filter(dsl::user_id.eq(user_id));
        own.inner_join(chats::table)
            .select((dsl::chat_id, dsl::request, chats::response, chats::answer_extras))
            .load(conn)
    }

    /// Returns a user's response and its chat.
    pub fn find_of(
        conn: &mut DbConnection,
        user_id: i64,
        chat_id: i64,
    ) -> QueryResult<Option<(StoredResponse, Chat)>> {
        let stored = on_either!(conn => {
            let own = dsl::responses.find(chat_id).filter(dsl::user_id.eq(user_id));
            fixed(own.select(StoredResponse::as_select())).get_result(conn)
        });
        let Some(stored) = stored.optional()? else { return Ok(None) };
        Ok(Chat::find_of(conn, user_id, chat_id)?.map(|chat| (stored, chat)))
    }

    /// Inserts the response. If the user's responses then have more than `most` bytes, the oldest
    /// are deleted.
    pub fn insert(&self, conn: &mut DbConnection, most: i64) -> QueryResult<()> {
        struct InsertResponse;
        let StoredResponse { chat_id, user_id, previous_chat_id, request } = self;
        // The user's settlements come one after the other, so this is the latest row.
        let statement = Statement::<InsertResponse, BigInt>::new(
            "INSERT INTO responses (chat_id, user_id, previous_chat_id, request, bytes_before)
             VALUES (?, ?, ?, ?, coalesce((SELECT latest.bytes_before + octet_length(latest.request)
                 FROM responses latest WHERE latest.user_id = ? ORDER BY latest.bytes_before DESC LIMIT 1), 0))
             RETURNING bytes_before",
            vec![
                Bind::Integer(*chat_id),
                Bind::Integer(*user_id),
                Bind::MaybeInteger(*previous_chat_id),
                Bind::Text(request),
                Bind::Integer(*user_id),
            ],
        );
        let before: i64 = on_either!(conn => statement.get_result(conn))?;
        let end = before.saturating_add(i64::try_from(request.len()).unwrap_or(i64::MAX));
        Bounded::Responses.drop_oldest(conn, *user_id, end, most)?;
        Ok(())
    }

    /// Deletes a user's response. Returns whether there was one. Its chat stays.
    pub fn delete(conn: &mut DbConnection, user_id: i64, chat_id: i64) -> QueryResult<bool> {
        let own = dsl::responses.find(chat_id).filter(dsl::user_id.eq(user_id));
        Ok(diesel::delete(own).execute(conn)? == 1)
    }

    /// Deletes up to `most` responses whose chats were sent before a moment. Returns how many it
    /// deleted.
    pub fn forget(conn: &mut DbConnection, moment: NaiveDateTime, most: i64) -> QueryResult<usize> {
        let first_kept = first_id_since(conn, "chats", moment)?.unwrap_or(i64::MAX);
        let old = dsl::responses.filter(dsl::chat_id.lt(first_kept)).order(dsl::chat_id).limit(most);
        let ids: Vec<i64> = old.select(dsl::chat_id).load(conn)?;
        diesel::delete(dsl::responses.filter(dsl::chat_id.eq_any(ids))).execute(conn)
    }

    /// Deletes the responses of those of these chats that are this user's.
    pub fn delete_all(conn: &mut DbConnection, user_id: i64, chat_ids: &[i64]) -> QueryResult<usize> {
        let own = dsl::responses.filter(dsl::chat_id.eq_any(chat_ids)).filter(dsl::user_id.eq(user_id));
        diesel::delete(own).execute(conn)
    }
}
