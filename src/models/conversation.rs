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

/// The most characters of a message, and of its answer, that are sent to a model again. Older
/// versions stored answers of any size.
const MOST_TOLD: usize = 256 << 10;

/// A conversation that was not deleted. Its messages are chats.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Identifiable)]
#[diesel(table_name = conversations)]
pub struct Conversation {
    /// Identifies the conversation in the API.
    pub id: i64,
    /// The user who owns it.
    pub user_id: i64,
    /// The title that the user gave it.
    pub title: String,
    /// When it was created.
    pub created_at: NaiveDateTime,
}

impl Conversation {
    /// Inserts a conversation.
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

    /// Returns the conversation with this id if it belongs to this user and was not deleted.
    pub fn find_of(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<Option<Conversation>> {
        dsl::conversations
            .find(id)
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::deleted_at.is_null())
            .select(Conversation::as_select())
            .get_result(conn)
            .optional()
    }

    /// Returns a page of a user's conversations, the newest first.
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

    /// Sets the title. Returns whether there is such a conversation.
    pub fn rename(conn: &mut DbConnection, user_id: i64, id: i64, title: &str) -> QueryResult<bool> {
        let own = dsl::conversations.filter(dsl::id.eq(id)).filter(dsl::user_id.eq(user_id));
        let live = own.filter(dsl::deleted_at.is_null());
        Ok(diesel::update(live).set(dsl::title.eq(title)).execute(conn)? == 1)
    }

    /// Deletes a conversation and its title. Returns whether there was one. Its chats stay in the
    /// history, because they were paid for.
    pub fn delete(conn: &mut DbConnection, user_id: i64, id: i64, now: NaiveDateTime) -> QueryResult<bool> {
        let own = dsl::conversations.filter(dsl::id.eq(id)).filter(dsl::user_id.eq(user_id));
        let live = own.filter(dsl::deleted_at.is_null());
        Ok(diesel::update(live).set((dsl::title.eq(""), dsl::deleted_at.eq(Some(now)))).execute(conn)? == 1)
    }

    /// Returns how many conversations a user has, at most `most`.
    pub fn count_of(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<i64> {
        let live = dsl::conversations.filter(dsl::user_id.eq(user_id)).filter(dsl::deleted_at.is_null());
        let ids: Vec<i64> = live.limit(most).select(dsl::id).load(conn)?;
        Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
    }

    /// Deletes up to `most` conversations of a user. Returns how many it deleted.
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

    /// Returns a page of the conversation's chats, the newest first: as many as fit in `bytes`, and
    /// at least one.
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

    /// Returns what was said and answered before a chat, the newest first: id, message and answer
    /// of up to `most` chats.
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
