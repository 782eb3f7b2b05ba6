//! `conversations`: messages that belong together.

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::text::{Lengths, octet_length};
use super::{Chat, Keyset, Rows};
use crate::db::{Bind, DbConnection, Statement, StoredTime, fixed, on_either};
use crate::domain::single_line;
use crate::schema::chats;
use crate::schema::conversations::{self, dsl};

/// The most characters of a message, and of its answer, that are sent to a model again. Older
/// versions stored answers of any size.
const MOST_TOLD: i64 = 256 << 10;

/// The most conversations that a user may have started and not deleted. Those that were made for
/// responses do not count: each of them was paid for.
pub const MOST_CONVERSATIONS: i64 = 1000;

/// The characters of a message that are read to make a title.
const READ_FOR_TITLE: usize = 1000;

/// The most characters of a title that is made from a message.
const MADE_TITLE: usize = 60;

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
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
}

impl Conversation {
    /// Inserts a conversation that the user starts.
    pub fn insert(
        conn: &mut DbConnection,
        user_id: i64,
        title: &str,
        now: NaiveDateTime,
    ) -> QueryResult<Conversation> {
        let id = Conversation::insert_row(conn, user_id, title, false, now)?;
        Ok(Conversation { id, user_id, title: title.to_owned(), created_at: now })
    }

    fn insert_row(
        conn: &mut DbConnection,
        user_id: i64,
        title: &str,
        is_automatic: bool,
        now: NaiveDateTime,
    ) -> QueryResult<i64> {
        diesel::insert_into(dsl::conversations)
            .values((
                dsl::user_id.eq(user_id),
                dsl::title.eq(title),
                dsl::created_at.eq(now),
                dsl::is_automatic.eq(is_automatic),
            ))
            .returning(dsl::id)
            .get_result(conn)
    }

    /// Puts a chat into the conversation of the chat that it continues. If that one has none yet, a
    /// conversation is made for both. Nothing is done if the user has deleted the conversation.
    pub fn join(
        conn: &mut DbConnection,
        user_id: i64,
        previous: i64,
        chat_id: i64,
        now: NaiveDateTime,
    ) -> QueryResult<()> {
        let earlier = || chats::table.find(previous).filter(chats::user_id.eq(user_id));
        let found: Option<Option<i64>> =
            earlier().select(chats::conversation_id).get_result(conn).optional()?;
        let id = match found {
            None => return Ok(()),
            Some(Some(id)) if Conversation::is_live(conn, user_id, id)? => id,
            Some(Some(_)) => return Ok(()),
            Some(None) => {
                let beginning = sql::<Text>(&format!("substr(chats.message, 1, {READ_FOR_TITLE})"));
                let beginning: String = earlier().select(beginning).get_result(conn)?;
                Conversation::insert_row(conn, user_id, &title_of(&beginning), true, now)?
            }
        };
        let both = chats::table.filter(chats::id.eq_any([previous, chat_id]));
        let alone = both.filter(chats::user_id.eq(user_id)).filter(chats::conversation_id.is_null());
        diesel::update(alone).set(chats::conversation_id.eq(Some(id))).execute(conn)?;
        Ok(())
    }

    /// Returns the conversation with this id if it belongs to this user and was not deleted.
    pub fn find_of(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<Option<Conversation>> {
        on_either!(conn => {
            let own = dsl::conversations.find(id).filter(dsl::user_id.eq(user_id));
            fixed(own.filter(dsl::deleted_at.is_null()).select(Conversation::as_select())).get_result(conn)
        })
        .optional()
    }

    /// Returns whether a user has a conversation with this id.
    pub fn is_live(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<bool> {
        let own = dsl::conversations.find(id).filter(dsl::user_id.eq(user_id));
        let live: Option<i64> =
            own.filter(dsl::deleted_at.is_null()).select(dsl::id).get_result(conn).optional()?;
        Ok(live.is_some())
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

    /// Returns how many conversations a user has started, at most `most`. Those that were made for
    /// responses do not count.
    pub fn count_started(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<i64> {
        let live = dsl::conversations.filter(dsl::user_id.eq(user_id)).filter(dsl::deleted_at.is_null());
        // SQLite uses the index only if the text is that of its condition.
        let started = live.filter(sql::<Bool>("is_automatic = FALSE"));
        let ids: Vec<i64> = started.limit(most).select(dsl::id).load(conn)?;
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
        struct Answered;
        let binds = [MOST_TOLD, MOST_TOLD, id, before, most].map(Bind::Integer).to_vec();
        let statement = Statement::<Answered, (BigInt, Text, Nullable<Text>)>::new(
            "SELECT id, substr(message, 1, CAST(? AS INTEGER)), substr(response, 1, CAST(? AS INTEGER)) FROM chats
             WHERE conversation_id = ? AND state = 'complete' AND id < ? ORDER BY id DESC LIMIT ?",
            binds,
        );
        on_either!(conn => statement.load(conn))
    }
}

/// Makes a title from the beginning of a message.
fn title_of(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or_default();
    let beginning: String = line.chars().take(MADE_TITLE).collect();
    single_line(&beginning, MADE_TITLE).unwrap_or_default()
}
