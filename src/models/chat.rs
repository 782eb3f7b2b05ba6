//! `chats`: messages and their answers.

use chrono::NaiveDateTime;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::list::MOST_COUNTED;
use super::text::{Lengths, octet_length};
use super::{Keyset, Rows, first_id_since};
use crate::db::{Bind, DbConnection, DynamicStatement};
use crate::schema::chats::{self, dsl};

/// The state of a chat. It changes only from `pending`, and only once.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::deserialize::FromSqlRow, diesel::expression::AsExpression,
)]
#[diesel(sql_type = Text)]
pub enum ChatState {
    /// Charged and waiting for its answer: a hold.
    Pending,
    /// Answered and paid for.
    Complete,
    /// Not answered. The charge was refunded, except what the upstream's work cost.
    Failed,
    /// The client disconnected before the end.
    Cancelled,
}

impl ChatState {
    /// Returns the name that the database stores and the API shows.
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

/// A row of `chats`.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = chats)]
pub struct Chat {
    /// Ascends with the time of the charge.
    pub id: i64,
    /// The user who paid.
    pub user_id: i64,
    /// The user's message. Empty if it was removed with the user's name.
    pub message: String,
    /// The text of the answer, or the part of it that arrived.
    pub response: Option<String>,
    /// The name of the model that answered.
    pub model: String,
    /// Whether it is pending, or how it ended.
    pub state: ChatState,
    /// Tokens of the balance taken when it was charged. The ledger has what was refunded.
    pub charge: i64,
    /// LLM tokens of the prompt, if known.
    pub prompt_tokens: Option<i64>,
    /// LLM tokens of the answer, if known.
    pub completion_tokens: Option<i64>,
    /// Why it failed or was cancelled: the code of a
    /// [`FailureReason`](crate::domain::FailureReason).
    pub failure: Option<String>,
    /// Whether the server or an import created it.
    pub origin: String,
    /// When it was charged.
    pub created_at: NaiveDateTime,
    /// When it ended. `None` while it is pending.
    pub finished_at: Option<NaiveDateTime>,
    /// When the sweeper may refund it. Only a pending chat needs it.
    pub deadline: Option<NaiveDateTime>,
    /// The conversation that it belongs to, if any.
    pub conversation_id: Option<i64>,
    /// The other parts of the answer, such as tool calls, as JSON.
    pub answer_extras: Option<String>,
    /// Whether we estimated the usage, because the upstream did not report it.
    pub usage_estimated: Option<bool>,
    /// When the first part of the answer arrived.
    pub first_byte_at: Option<NaiveDateTime>,
}

/// The tokens that are held for pending chats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHolds {
    /// The number of pending chats.
    pub number: i64,
    /// The sum of their charges, in tokens.
    pub tokens: i64,
    /// When the oldest of them was charged.
    pub oldest: Option<NaiveDateTime>,
}

/// The reasons for which chats failed, the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailuresByReason {
    /// The code of each reason, with the number of chats that failed for it.
    pub reasons: Vec<(String, i64)>,
    /// Whether there are more failed chats than were counted.
    pub is_cut: bool,
}

impl Chat {
    /// Returns the chat with this id, if there is one.
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<Chat>> {
        dsl::chats.find(id).select(Chat::as_select()).get_result(conn).optional()
    }

    /// Returns the chat with this id if it belongs to this user.
    pub fn find_of(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<Option<Chat>> {
        dsl::chats
            .find(id)
            .filter(dsl::user_id.eq(user_id))
            .select(Chat::as_select())
            .get_result(conn)
            .optional()
    }

    /// Returns the chats with ids after `after` up to `up_to`, in the order of their ids.
    pub fn after(conn: &mut DbConnection, after: i64, up_to: i64, most: i64) -> QueryResult<Vec<Chat>> {
        dsl::chats
            .filter(dsl::id.gt(after))
            .filter(dsl::id.le(up_to))
            .order(dsl::id)
            .limit(most)
            .select(Chat::as_select())
            .load(conn)
    }

    /// Returns the chats with these ids, in any order.
    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<Chat>> {
        dsl::chats.filter(dsl::id.eq_any(ids)).select(Chat::as_select()).load(conn)
    }

    /// Returns the pending chats, the latest first.
    pub fn pending(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<Chat>> {
        // Both conditions are needed for the planner to use the index of unusual states.
        let pending = dsl::chats.filter(dsl::state.ne("complete")).filter(dsl::state.eq("pending"));
        pending.order(dsl::id.desc()).limit(most).select(Chat::as_select()).load(conn)
    }

    /// Returns those of `ids` whose chats were sent in a period. The period excludes its end.
    pub fn sent_between(
        conn: &mut DbConnection,
        ids: &[i64],
        from: NaiveDateTime,
        to: NaiveDateTime,
    ) -> QueryResult<Vec<i64>> {
        dsl::chats
            .filter(dsl::id.eq_any(ids))
            .filter(dsl::created_at.ge(from))
            .filter(dsl::created_at.lt(to))
            .select(dsl::id)
            .load(conn)
    }

    /// Returns what is held for pending chats, of at most [`MOST_COUNTED`] of them.
    pub fn open_holds(conn: &mut DbConnection) -> QueryResult<OpenHolds> {
        let text = format!(
            "SELECT CAST(count(*) AS BIGINT), CAST(coalesce(sum(h.charge), 0) AS BIGINT), min(h.created_at)
             FROM (SELECT charge, created_at FROM chats WHERE state <> 'complete' AND state = 'pending'
                   ORDER BY id LIMIT {}) h",
            MOST_COUNTED + 1
        );
        let row = DynamicStatement::<(BigInt, BigInt, Nullable<Timestamp>)>::new(text, Vec::new());
        let (number, tokens, oldest): (i64, i64, Option<NaiveDateTime>) = row.get_result(conn)?;
        Ok(OpenHolds { number, tokens, oldest })
    }

    /// Returns why chats failed, of those sent since a moment. It counts the latest
    /// [`MOST_COUNTED`] failed chats.
    pub fn failures_since(conn: &mut DbConnection, moment: NaiveDateTime) -> QueryResult<FailuresByReason> {
        let Some(first) = first_id_since(conn, "chats", moment)? else {
            return Ok(FailuresByReason::default());
        };
        // Both conditions are needed for the planner to use the index of unusual states.
        let text = format!(
            "SELECT coalesce(w.failure, ''), CAST(count(*) AS BIGINT) FROM
                 (SELECT failure FROM chats WHERE state <> 'complete' AND state = 'failed' AND id >= ?
                  ORDER BY id DESC LIMIT {}) w
             GROUP BY 1 ORDER BY 2 DESC, 1",
            MOST_COUNTED + 1
        );
        let binds = vec![Bind::Integer(first)];
        let reasons: Vec<(String, i64)> = DynamicStatement::<(Text, BigInt)>::new(text, binds).load(conn)?;
        let is_cut = reasons.iter().map(|(_, count)| count).sum::<i64>() > MOST_COUNTED;
        Ok(FailuresByReason { reasons, is_cut })
    }

    /// Returns those of `ids` whose chats failed for this reason.
    pub fn failed_for(conn: &mut DbConnection, ids: &[i64], reason: &str) -> QueryResult<Vec<i64>> {
        let failed = dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::failure.eq(reason));
        failed.select(dsl::id).load(conn)
    }

    /// Returns whether a user has a pending chat.
    pub fn has_pending(conn: &mut DbConnection, user_id: i64) -> QueryResult<bool> {
        let pending = dsl::chats.filter(dsl::user_id.eq(user_id)).filter(dsl::state.eq("pending"));
        diesel::select(diesel::dsl::exists(pending)).get_result(conn)
    }

    /// Returns the ids of a user's chats after the id `after`, the oldest first.
    pub fn ids_of(conn: &mut DbConnection, user_id: i64, after: i64, most: i64) -> QueryResult<Vec<i64>> {
        dsl::chats
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.gt(after))
            .order(dsl::id)
            .limit(most)
            .select(dsl::id)
            .load(conn)
    }

    /// Removes the texts of these chats. That they were sent, and what they cost, remains.
    pub fn blank(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<usize> {
        diesel::update(dsl::chats.filter(dsl::id.eq_any(ids)))
            .set((
                dsl::message.eq(""),
                dsl::response.eq(None::<String>),
                dsl::answer_extras.eq(None::<String>),
            ))
            .execute(conn)
    }

    /// Returns those of `ids` whose texts were removed. (No message is empty before that.)
    pub fn blanked_among(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
        let blanked = dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::message.eq(""));
        blanked.select(dsl::id).load(conn)
    }

    /// Returns a page of a user's chats, the newest first.
    pub fn page_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> QueryResult<Vec<Chat>> {
        dsl::chats
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.lt(page.before.unwrap_or(i64::MAX)))
            .order(dsl::id.desc())
            .limit(page.limit)
            .select(Chat::as_select())
            .load(conn)
    }

    /// Returns a page of a user's chats, newest first: as many as fit in `bytes`, and at least one.
    /// The rest is not read.
    pub fn page_within(
        conn: &mut DbConnection,
        user_id: i64,
        page: Keyset,
        bytes: usize,
    ) -> QueryResult<Rows<Chat>> {
        let lengths: Vec<Lengths> = dsl::chats
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.lt(page.before.unwrap_or(i64::MAX)))
            .order(dsl::id.desc())
            .limit(page.limit)
            .select((
                octet_length(dsl::message.nullable()),
                octet_length(dsl::response),
                octet_length(dsl::answer_extras),
            ))
            .load(conn)?;
        page.fitting(&lengths, bytes, |page| Chat::page_of(conn, user_id, page))
    }
}
