//! When chats were sent, when their answers began, and how they ended: what charts are made of.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::ChatState;
use crate::db::{DbConnection, MaybeStoredTime, StoredTime};
use crate::schema::chats::{self, dsl};

/// The times of a chat, and its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = chats)]
pub struct ChatTiming {
    /// Whether it failed, is pending, or ended otherwise.
    pub state: ChatState,
    /// When the user sent it.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// When the first part of the answer arrived.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub first_byte_at: Option<NaiveDateTime>,
}

impl ChatTiming {
    /// Returns the timings of those of `ids` whose chats were sent at `since` or later, in any
    /// order.
    pub fn of(conn: &mut DbConnection, ids: &[i64], since: NaiveDateTime) -> QueryResult<Vec<ChatTiming>> {
        let sent = dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::created_at.ge(since));
        sent.select(ChatTiming::as_select()).load(conn)
    }
}
