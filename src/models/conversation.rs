//! `conversations`: messages that belong together.

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::text::{Lengths, octet_length};
use super::{Chat, ChatState, Keyset, Rows};
use crate::db::DbConnection;
use crate::schema::chats;
use crate::schema::conversations::{self, dsl};

/// The number of characters of a message, and of its answer, that a model gets again. Older
/// versions stored answers of any size.
const MOST_TOLD: usize = 256 << 10;

/// A conversation that was not deleted. Its messages are chats.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Identifiable)]
#[diesel(table_name = conversations)]
pub struct Conversation {
    pub id: i64,
    pub user_id: i64,
    pub title: String,
    pub created_at: NaiveDateTime,
}

impl Conversation {
    pub fn insert(
        conn: &mut DbConnection,
        user_id: i64,
        title: &str,
        now: NaiveDateTime,
    ) -> QueryResult<Conversation> {
        let id: i64 = diesel::insert_into(dsl::conversations)
            .values((dsl::user_id.eq(user_id), dsl::title.eq(title), dsl::created_at.eq(now)))
            .returning(dsl::id)
            .get_result(conn)?;
        Ok(Conversation { id, user_id, title: title.to_owned(), created_at: now })
    }

    pub fn find_of(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<Option<Conversation>> {
        dsl::conversations
            .find(id)
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::deleted_at.is_null())
            .select(Conversation::as_select())
            .get_result(conn)
            .optional()
    }

    /// A user's conversations, newest first.
    pub fn page_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> QueryResult<Vec<Conversation>> {
        dsl::conversations
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::deleted_at.is_null())
            .filter(dsl::id.lt(page.before.unwrap_or(i64::MAX)))
            .order(dsl::id.desc())
            .limit(page.limit)
            .select(Conversation::as_select())
            .load(conn)
    }

    /// Answers whether it was there.
    pub fn rename(conn: &mut DbConnection, user_id: i64, id: i64, title: &str) -> QueryResult<bool> {
        let own = dsl::conversations.filter(dsl::id.eq(id)).filter(dsl::user_id.eq(user_id));
        let live = own.filter(dsl::deleted_at.is_null());
        Ok(diesel::update(live).set(dsl::title.eq(title)).execute(conn)? == 1)
    }

    /// Deletes it with its title; answers whether it was there. Its chats stay in the history, where they were paid for.
    pub fn delete(conn: &mut DbConnection, user_id: i64, id: i64, now: NaiveDateTime) -> QueryResult<bool> {
        let own = dsl::conversations.filter(dsl::id.eq(id)).filter(dsl::user_id.eq(user_id));
        let live = own.filter(dsl::deleted_at.is_null());
        Ok(diesel::update(live).set((dsl::title.eq(""), dsl::deleted_at.eq(Some(now)))).execute(conn)? == 1)
    }

    /// How many conversations a user has, as far as `most`.
    pub fn count_of(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<i64> {
        let live = dsl::conversations.filter(dsl::user_id.eq(user_id)).filter(dsl::deleted_at.is_null());
        let ids: Vec<i64> = live.limit(most).select(dsl::id).load(conn)?;
        Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
    }

    /// Deletes up to `most` conversations of a user; answers how many there were.
    pub fn delete_of(
        conn: &mut DbConnection,
        user_id: i64,
        most: i64,
        now: NaiveDateTime,
    ) -> QueryResult<usize> {
        let live = dsl::conversations.filter(dsl::user_id.eq(user_id)).filter(dsl::deleted_at.is_null());
        let ids: Vec<i64> = live.order(dsl::id).limit(most).select(dsl::id).load(conn)?;
        diesel::update(dsl::conversations.filter(dsl::id.eq_any(ids)))
            .set((dsl::title.eq(""), dsl::deleted_at.eq(Some(now))))
            .execute(conn)
    }

    /// Returns the conversation's chats, newest first: as many as fit in `bytes`, and at least one.
    pub fn chats(conn: &mut DbConnection, id: i64, page: Keyset, bytes: usize) -> QueryResult<Rows<Chat>> {
        let lengths: Vec<Lengths> = chats::table
            .filter(chats::conversation_id.eq(id))
            .filter(chats::id.lt(page.before.unwrap_or(i64::MAX)))
            .order(chats::id.desc())
            .limit(page.limit)
            .select((
                octet_length(chats::message.nullable()),
                octet_length(chats::response),
                octet_length(chats::answer_extras),
            ))
            .load(conn)?;
        page.fitting(&lengths, bytes, |page| {
            chats::table
                .filter(chats::conversation_id.eq(id))
                .filter(chats::id.lt(page.before.unwrap_or(i64::MAX)))
                .order(chats::id.desc())
                .limit(page.limit)
                .select(Chat::as_select())
                .load(conn)
        })
    }

    /// What was said in it and answered before a chat, newest first: id, message and answer of up to `most` chats.
    pub fn answered(
        conn: &mut DbConnection,
        id: i64,
        before: i64,
        most: i64,
    ) -> QueryResult<Vec<(i64, String, Option<String>)>> {
        chats::table
            .filter(chats::conversation_id.eq(id))
            .filter(chats::state.eq(ChatState::Complete.as_str()))
            .filter(chats::id.lt(before))
            .order(chats::id.desc())
            .limit(most)
            .select((
                chats::id,
                sql::<Text>(&format!("substr(chats.message, 1, {MOST_TOLD})")),
                sql::<Nullable<Text>>(&format!("substr(chats.response, 1, {MOST_TOLD})")),
            ))
            .load(conn)
    }
}
