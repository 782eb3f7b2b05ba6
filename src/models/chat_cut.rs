//! Chats with their texts cut. Answers are limited before they are stored, but older versions had
//! no limit: rows of 44 MB are possible, and a page of them would use up the memory.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Chat, Keyset, UserRows};
use crate::db::DbConnection;
use crate::error::Result;
use crate::schema::chats::dsl;

/// The most characters of each text that are read to show one chat. An answer that this version
/// stored can be longer only if it may have more than about 32,000 tokens, at 64 bytes each.
pub const MOST_READ: usize = 2 << 20;

/// The most characters of each text that are read for a list.
const EXCERPT: usize = 1000;

/// The lengths of a chat's texts, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextSizes {
    /// Bytes of the message.
    pub message: i64,
    /// Bytes of the answer's text.
    pub response: i64,
    /// Bytes of the other parts of the answer.
    pub extras: i64,
}

impl Chat {
    /// Returns a chat, with its texts cut after `most` characters.
    pub fn find_cut(conn: &mut DbConnection, id: i64, most: usize) -> QueryResult<Option<Chat>> {
        Ok(Chat::load_cut(conn, &[id], most)?.pop())
    }

    /// Returns a chat of this user, with its texts cut after [`MOST_READ`] characters.
    pub fn find_cut_of(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<Option<Chat>> {
        Ok(Chat::find_cut(conn, id, MOST_READ)?.filter(|chat| chat.user_id == user_id))
    }

    /// Returns chats in any order, with empty texts.
    pub fn without_texts(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<Chat>> {
        Chat::load_cut(conn, ids, 0)
    }

    /// Returns chats for a list, in any order, with the beginnings of their texts.
    pub fn excerpts(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<Chat>> {
        Chat::load_cut(conn, ids, EXCERPT)
    }

    /// Returns a user's chats for a list, the newest first, with the beginnings of their texts.
    ///
    /// # Errors
    /// [`Error::IndexBehind`](crate::error::Error::IndexBehind) while the index is being built, and
    /// [`Error::IndexWrong`](crate::error::Error::IndexWrong) if it names chats of others.
    pub fn excerpts_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Vec<Chat>> {
        let ids = UserRows::Chats.page(conn, user_id, page)?;
        let mut chats = Chat::excerpts(conn, &ids)?;
        UserRows::check_found(&ids, user_id, chats.iter().map(|chat| chat.user_id))?;
        chats.sort_by_key(|chat| std::cmp::Reverse(chat.id));
        Ok(chats)
    }

    /// Returns chats, in any order, with the first `most` characters of their texts.
    pub fn load_cut(conn: &mut DbConnection, ids: &[i64], most: usize) -> QueryResult<Vec<Chat>> {
        let cut = |column: &str| format!("substr(chats.{column}, 1, {most})");
        dsl::chats
            .filter(dsl::id.eq_any(ids))
            .select((
                dsl::id,
                dsl::user_id,
                sql::<Text>(&cut("message")),
                sql::<Nullable<Text>>(&cut("response")),
                dsl::model,
                dsl::state,
                dsl::charge,
                dsl::prompt_tokens,
                dsl::completion_tokens,
                dsl::failure,
                dsl::origin,
                dsl::created_at,
                dsl::finished_at,
                dsl::deadline,
                dsl::conversation_id,
                sql::<Nullable<Text>>(&cut("answer_extras")),
                dsl::usage_estimated,
                dsl::first_byte_at,
                dsl::endpoint,
                dsl::is_listed,
            ))
            .load(conn)
    }

    /// Returns the lengths of a chat's texts.
    pub fn text_sizes(conn: &mut DbConnection, id: i64) -> QueryResult<TextSizes> {
        let size = |column: &str| format!("CAST(coalesce(octet_length(chats.{column}), 0) AS BIGINT)");
        let sizes: Option<(i64, i64, i64)> = dsl::chats
            .find(id)
            .select((
                sql::<BigInt>(&size("message")),
                sql::<BigInt>(&size("response")),
                sql::<BigInt>(&size("answer_extras")),
            ))
            .get_result(conn)
            .optional()?;
        let (message, response, extras) = sizes.unwrap_or_default();
        Ok(TextSizes { message, response, extras })
    }
}
