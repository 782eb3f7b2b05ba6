//! `chats`.

use chrono::NaiveDateTime;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::list::MOST_COUNTED;
use super::text::{Lengths, octet_length};
use super::{Keyset, Rows, first_id_since};
use crate::db::{Bind, DbConnection, DynamicStatement};
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
    pub conversation_id: Option<i64>,
    /// What the answer has besides its text, as JSON.
    pub answer_extras: Option<String>,
    /// Whether the usage was counted by us, not by the upstream.
    pub usage_estimated: Option<bool>,
    /// When the first part of the answer came.
    pub first_byte_at: Option<NaiveDateTime>,
}

/// What is held for chats that are pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHolds {
    pub number: i64,
    pub tokens: i64,
    /// Since when the oldest of them waits.
    pub oldest: Option<NaiveDateTime>,
}

/// Why chats failed, the most frequent reason first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailuresByReason {
    /// A reason and how many chats failed by it.
    pub reasons: Vec<(String, i64)>,
    /// There are more than were looked at.
    pub is_cut: bool,
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

    /// Those after `after` up to `up_to`, in the order of their ids.
    pub fn after(conn: &mut DbConnection, after: i64, up_to: i64, most: i64) -> QueryResult<Vec<Chat>> {
        dsl::chats
            .filter(dsl::id.gt(after))
            .filter(dsl::id.le(up_to))
            .order(dsl::id)
            .limit(most)
            .select(Chat::as_select())
            .load(conn)
    }

    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<Chat>> {
        dsl::chats.filter(dsl::id.eq_any(ids)).select(Chat::as_select()).load(conn)
    }

    /// Those that are pending, the latest first.
    pub fn pending(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<Chat>> {
        // The index of unusual states is used where both parts stand.
        let pending = dsl::chats.filter(dsl::state.ne("complete")).filter(dsl::state.eq("pending"));
        pending.order(dsl::id.desc()).limit(most).select(Chat::as_select()).load(conn)
    }

    /// Which of these were sent from one moment to before another.
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

    /// How much is held for chats that are pending, as far as counts go.
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

    /// Why chats failed that were sent since a moment: of the latest [`MOST_COUNTED`] of them.
    pub fn failures_since(conn: &mut DbConnection, moment: NaiveDateTime) -> QueryResult<FailuresByReason> {
        let Some(first) = first_id_since(conn, "chats", moment)? else {
            return Ok(FailuresByReason::default());
        };
        // The index of unusual states is used where both parts stand.
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

    /// Which of these failed for a reason.
    pub fn failed_for(conn: &mut DbConnection, ids: &[i64], reason: &str) -> QueryResult<Vec<i64>> {
        let failed = dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::failure.eq(reason));
        failed.select(dsl::id).load(conn)
    }

    pub fn has_pending(conn: &mut DbConnection, user_id: i64) -> QueryResult<bool> {
        let pending = dsl::chats.filter(dsl::user_id.eq(user_id)).filter(dsl::state.eq("pending"));
        diesel::select(diesel::dsl::exists(pending)).get_result(conn)
    }

    /// The ids of a user's chats after `after`, the oldest first.
    pub fn ids_of(conn: &mut DbConnection, user_id: i64, after: i64, most: i64) -> QueryResult<Vec<i64>> {
        dsl::chats
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.gt(after))
            .order(dsl::id)
            .limit(most)
            .select(dsl::id)
            .load(conn)
    }

    /// Removes what was said; that it was said, and what it cost, stays.
    pub fn blank(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<usize> {
        diesel::update(dsl::chats.filter(dsl::id.eq_any(ids)))
            .set((
                dsl::message.eq(""),
                dsl::response.eq(None::<String>),
                dsl::answer_extras.eq(None::<String>),
            ))
            .execute(conn)
    }

    /// Those of `ids` whose texts were removed. (No message is empty from the beginning.)
    pub fn blanked_among(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
        let blanked = dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::message.eq(""));
        blanked.select(dsl::id).load(conn)
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
