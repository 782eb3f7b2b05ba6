//! `chats`: messages and their answers.

use std::cmp::Reverse;
use std::collections::HashSet;

use chrono::NaiveDateTime;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::list::MOST_COUNTED;
use super::text::{Lengths, octet_length};
use super::{Keyset, Rows, UserRows, first_id_since};
use crate::db::{Bind, DbConnection, DynamicStatement, MaybeStoredTime, StoredTime, fixed, on_either};
use crate::error::{Error, Result};
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
    /// All states.
    pub const ALL: [ChatState; 4] =
        [ChatState::Pending, ChatState::Complete, ChatState::Failed, ChatState::Cancelled];

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
        ChatState::ALL
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
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// When it ended. `None` while it is pending.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub finished_at: Option<NaiveDateTime>,
    /// When the sweeper may refund it. Only a pending chat needs it.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub deadline: Option<NaiveDateTime>,
    /// The conversation that it belongs to, if any.
    pub conversation_id: Option<i64>,
    /// The other parts of the answer, such as tool calls, as JSON.
    pub answer_extras: Option<String>,
    /// Whether we estimated the usage, because the upstream did not report it.
    pub usage_estimated: Option<bool>,
    /// When the first part of the answer arrived.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub first_byte_at: Option<NaiveDateTime>,
    /// The code of the [`Endpoint`](crate::domain::Endpoint) that it came through. `None`: a
    /// version that did not record it.
    pub endpoint: Option<String>,
    /// Whether lists of chats show it.
    pub is_listed: bool,
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
    /// Returns when a chat ended. `None` if it is pending, or there is none.
    pub fn finished_at(conn: &mut DbConnection, id: i64) -> QueryResult<Option<NaiveDateTime>> {
        let found = dsl::chats.find(id).select(dsl::finished_at).get_result(conn).optional()?;
        Ok(found.flatten())
    }

    /// Returns the chat with this id, if there is one.
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<Chat>> {
        on_either!(conn => fixed(dsl::chats.find(id).select(Chat::as_select())).get_result(conn)).optional()
    }

    /// Returns the chat with this id if it belongs to this user.
    pub fn find_of(conn: &mut DbConnection, user_id: i64, id: i64) -> QueryResult<Option<Chat>> {
        on_either!(conn => {
            let own = dsl::chats.find(id).filter(dsl::user_id.eq(user_id));
            fixed(own.select(Chat::as_select())).get_result(conn)
        })
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

    /// Returns the users of these chats, in any order, each as often as it has chats.
    pub fn users_of(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
        dsl::chats.filter(dsl::id.eq_any(ids)).select(dsl::user_id).load(conn)
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

    /// Returns how many pending chats are past their deadline, counted up to `most`.
    pub fn overdue(conn: &mut DbConnection, now: NaiveDateTime, most: i64) -> QueryResult<i64> {
        let text = "SELECT CAST(count(*) AS BIGINT)
                    FROM (SELECT 1 FROM chats WHERE state = 'pending' AND deadline < ? LIMIT ?) w";
        let binds = vec![Bind::Time(now), Bind::Integer(most)];
        DynamicStatement::<BigInt>::new(text.to_owned(), binds).get_result(conn)
    }

    /// Returns whether there is any chat.
    pub fn is_any(conn: &mut DbConnection) -> QueryResult<bool> {
        Ok(UserRows::Chats.highest(conn)? > 0)
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

    /// Returns those of `ids` whose chats lists do not show.
    pub fn unlisted_among(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<HashSet<i64>> {
        let unlisted = dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::is_listed.eq(false));
        let ids: Vec<i64> = unlisted.select(dsl::id).load(conn)?;
        Ok(ids.into_iter().collect())
    }

    /// Returns whether there are chats that lists do not show.
    pub fn are_any_unlisted(conn: &mut DbConnection) -> QueryResult<bool> {
        // With a parameter, SQLite would not use the index of these chats.
        let text = "SELECT id FROM chats WHERE is_listed = FALSE LIMIT 1".to_owned();
        let found: Vec<i64> = DynamicStatement::<BigInt>::new(text, Vec::new()).load(conn)?;
        Ok(!found.is_empty())
    }

    /// Returns whether a user has a pending chat.
    pub fn has_pending(conn: &mut DbConnection, user_id: i64) -> QueryResult<bool> {
        let pending = dsl::chats.filter(dsl::user_id.eq(user_id)).filter(dsl::state.eq("pending"));
        diesel::select(diesel::dsl::exists(pending)).get_result(conn)
    }

    /// Returns the ids of a user's chats after the id `after`, the oldest first, with those that no
    /// list shows.
    ///
    /// # Errors
    /// [`Error::IndexBehind`] while the index is being built, and
    /// [`Error::IndexWrong`] if it names chats of others.
    pub fn ids_of(conn: &mut DbConnection, user_id: i64, after: i64, most: i64) -> Result<Vec<i64>> {
        UserRows::Chats.check(conn)?;
        let mut ids = Vec::new();
        // The index has them one after the other.
        for is_listed in ["TRUE", "FALSE"] {
            let text = format!(
                "SELECT id FROM {} WHERE user_id = ? AND is_listed = {is_listed} AND id > ? ORDER BY id LIMIT ?",
                UserRows::Chats.keys(conn)
            );
            let binds = vec![Bind::Integer(user_id), Bind::Integer(after), Bind::Integer(most)];
            ids.extend(DynamicStatement::<BigInt>::new(text, binds).load::<i64>(conn)?);
        }
        ids.sort_unstable();
        ids.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        let owners: Vec<i64> = dsl::chats.filter(dsl::id.eq_any(&ids)).select(dsl::user_id).load(conn)?;
        UserRows::check_found(&ids, user_id, owners)?;
        Ok(ids)
    }

    /// Removes the texts of those of these chats that are this user's. That they were sent, and
    /// what they cost, remains.
    pub fn blank(conn: &mut DbConnection, user_id: i64, ids: &[i64]) -> QueryResult<usize> {
        diesel::update(dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::user_id.eq(user_id)))
            .set((
                dsl::message.eq(""),
                dsl::response.eq(None::<String>),
                dsl::answer_extras.eq(None::<String>),
            ))
            .execute(conn)
    }

    /// Returns those of `ids` that have any texts.
    pub fn with_texts_among(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
        let has_texts =
            dsl::message.ne("").or(dsl::response.is_not_null().or(dsl::answer_extras.is_not_null()));
        dsl::chats.filter(dsl::id.eq_any(ids)).filter(has_texts).select(dsl::id).load(conn)
    }

    /// Returns those of `ids` whose texts were removed. (No message is empty before that.)
    pub fn blanked_among(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<i64>> {
        let blanked = dsl::chats.filter(dsl::id.eq_any(ids)).filter(dsl::message.eq(""));
        blanked.select(dsl::id).load(conn)
    }

    /// Returns a page of a user's chats, newest first: as many as fit in `bytes`, and at least one.
    /// The rest is not read.
    ///
    /// # Errors
    /// [`Error::IndexBehind`] while the index is being built, and
    /// [`Error::IndexWrong`] if it names chats of others.
    pub fn page_within(
        conn: &mut DbConnection,
        user_id: i64,
        page: Keyset,
        bytes: usize,
    ) -> Result<Rows<Chat>> {
        let ids = UserRows::Chats.page(conn, user_id, page)?;
        let mut lengths: Vec<(i64, Lengths)> = dsl::chats
            .filter(dsl::id.eq_any(&ids))
            .select((
                dsl::id,
                (
                    octet_length(dsl::message.nullable()),
                    octet_length(dsl::response),
                    octet_length(dsl::answer_extras),
                ),
            ))
            .load(conn)?;
        if lengths.len() != ids.len() {
            return Err(Error::IndexWrong);
        }
        lengths.sort_by_key(|(id, _)| Reverse(*id));
        let lengths: Vec<Lengths> = lengths.into_iter().map(|(_, lengths)| lengths).collect();
        let mut read = ids.as_slice();
        let page = page.fitting(&lengths, bytes, |page| {
            let most = usize::try_from(page.limit).unwrap_or(usize::MAX);
            read = ids.get(..most.min(ids.len())).unwrap_or_default();
            let mut chats = Chat::find_many(conn, read)?;
            chats.sort_by_key(|chat| Reverse(chat.id));
            Ok(chats)
        })?;
        UserRows::check_found(read, user_id, page.rows.iter().map(|chat| chat.user_id))?;
        Ok(page)
    }

    /// Returns the last id of a batch of at most `most` chats after the id `after` up to `up_to`,
    /// whose texts have about `bytes` at most (or one chat), and the most chats that it has.
    pub fn end_of_batch(
        conn: &mut DbConnection,
        after: i64,
        up_to: i64,
        most: i64,
        bytes: i64,
    ) -> QueryResult<(i64, i64)> {
        let lengths: Vec<(i64, i64)> = dsl::chats
            .filter(dsl::id.gt(after))
            .filter(dsl::id.le(up_to))
            .order(dsl::id)
            .limit(most)
            .select((dsl::id, octet_length_of_texts()))
            .load(conn)?;
        let is_all = (lengths.len() as i64) < most;
        let mut sum = 0;
        for (count, (id, length)) in lengths.iter().enumerate() {
            sum += length;
            if sum > bytes {
                return Ok((*id, count as i64 + 1));
            }
        }
        let last = lengths.last().map_or(up_to, |(id, _)| *id);
        Ok((if is_all { up_to } else { last }, most))
    }

    /// Splits chats into parts, in the order of their ids. The texts of a part have `bytes` at
    /// most, or it is one chat.
    pub fn parts(conn: &mut DbConnection, ids: &[i64], bytes: i64) -> QueryResult<Vec<Vec<i64>>> {
        let chats = dsl::chats.filter(dsl::id.eq_any(ids)).order(dsl::id);
        let lengths: Vec<(i64, i64)> = chats.select((dsl::id, octet_length_of_texts())).load(conn)?;
        let (mut parts, mut sum): (Vec<Vec<i64>>, i64) = (Vec::new(), 0);
        for (id, length) in lengths {
            sum = sum.saturating_add(length);
            match parts.last_mut() {
                Some(part) if sum <= bytes => part.push(id),
                _ => {
                    parts.push(vec![id]);
                    sum = length;
                }
            }
        }
        Ok(parts)
    }
}

/// The bytes of a chat's texts.
fn octet_length_of_texts() -> diesel::expression::SqlLiteral<BigInt> {
    diesel::dsl::sql(
        "CAST(octet_length(message) + coalesce(octet_length(response), 0)
              + coalesce(octet_length(answer_extras), 0) AS BIGINT)",
    )
}
