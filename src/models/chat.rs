//! `chats`.

use chrono::NaiveDateTime;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Keyset;
use crate::db::DbConnection;
use crate::schema::chats::{self, dsl};

/// Where a chat is in its life. Only `pending` ever changes, and only once.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::deserialize::FromSqlRow, diesel::expression::AsExpression,
)]
#[diesel(sql_type = Text)]
pub enum ChatState {
    /// Charged, and waiting for its answer: a hold.
    Pending,
    Complete,
    /// Not answered; the charge went back.
    Failed,
    /// The client left before the end.
    Cancelled,
}

impl ChatState {
    pub const fn as_str(self) -> &'static str {
        match self {
            ChatState::Pending => "pending",
            ChatState::Complete => "complete",
            ChatState::Failed => "failed",
            ChatState::Cancelled => "cancelled",
        }
    }
}

impl<DB: diesel::backend::Backend> FromSql<Text, DB> for ChatState
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = String::from_sql(bytes)?;
        [ChatState::Pending, ChatState::Complete, ChatState::Failed, ChatState::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown chat state {text}").into())
    }
}

#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = chats)]
pub struct Chat {
    pub id: i64,
    pub user_id: i64,
    pub message: String,
    pub response: Option<String>,
    pub model: String,
    pub state: ChatState,
    /// Tokens taken when it was charged; what went back stands in the ledger.
    pub charge: i64,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub failure: Option<String>,
    pub origin: String,
    pub created_at: NaiveDateTime,
    pub finished_at: Option<NaiveDateTime>,
    pub deadline: Option<NaiveDateTime>,
}

impl Chat {
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<Chat>> {
        dsl::chats.find(id).select(Chat::as_select()).get_result(conn).optional()
    }

    pub fn find_of(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<Option<Chat>> {
        dsl::chats
            .find(id)
            .filter(dsl::user_id.eq(user_id))
            .select(Chat::as_select())
            .get_result(conn)
            .optional()
    }

    /// A user's history, newest first.
    pub fn page_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> QueryResult<Vec<Chat>> {
        dsl::chats
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.lt(page.before.unwrap_or(i64::MAX)))
            .order(dsl::id.desc())
            .limit(page.limit)
            .select(Chat::as_select())
            .load(conn)
    }
}
