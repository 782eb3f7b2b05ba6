//! What the panel shows of one user and of one chat: sums and counts over a bounded number of rows,
//! each found by an index.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Timestamp};

use super::list::MOST_COUNTED;
use super::{AuditEntry, Chat, Keyset, LedgerEntry, OpenHolds, UserRows};
use crate::db::{Bind, DbConnection, DynamicStatement};
use crate::error::Result;
use crate::schema::{audit_log, chats, ledger_entries};

/// The most ledger entries of a user that are summed.
const MOST_SUMMED: i64 = 1_000;

/// What a user has spent in two periods that end now: charges, less what was returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens spent in the shorter period.
    pub recently: i64,
    /// Whether the shorter period has more entries than were summed.
    pub recently_is_cut: bool,
    /// Tokens spent in the longer period.
    pub lately: i64,
    /// Whether the longer period has more entries than were summed.
    pub lately_is_cut: bool,
}

impl LedgerEntry {
    /// Returns what a user has spent since two moments, `recent` and the earlier `late`. It sums
    /// the user's latest entries.
    ///
    /// # Errors
    /// [`Error::IndexBehind`](crate::error::Error::IndexBehind) while the index is being built.
    pub fn spent_since(
        conn: &mut DbConnection,
        user_id: i64,
        recent: NaiveDateTime,
        late: NaiveDateTime,
    ) -> Result<Spent> {
        UserRows::LedgerEntries.check(conn)?;
        let spent = "CASE WHEN e.created_at >= ? AND e.kind IN ('charge', 'settlement', 'refund')
                          THEN -e.amount ELSE 0 END";
        let text = format!(
            "SELECT CAST(count(*) AS BIGINT), min(e.created_at), CAST(coalesce(sum({spent}), 0) AS BIGINT),
                    CAST(coalesce(sum({spent}), 0) AS BIGINT)
             FROM (SELECT id FROM {} WHERE user_id = ? ORDER BY id DESC LIMIT {}) k
                  CROSS JOIN ledger_entries e WHERE e.id = k.id",
            UserRows::LedgerEntries.keys(conn),
            MOST_SUMMED + 1
        );
        let binds = vec![Bind::Time(recent), Bind::Time(late), Bind::Integer(user_id)];
        let row = DynamicStatement::<(BigInt, Nullable<Timestamp>, BigInt, BigInt)>::new(text, binds);
        let (number, oldest, recently, lately): (i64, Option<NaiveDateTime>, i64, i64) =
            row.get_result(conn)?;
        let is_cut =
            |since: NaiveDateTime| number > MOST_SUMMED && oldest.is_some_and(|oldest| oldest >= since);
        Ok(Spent { recently, recently_is_cut: is_cut(recent), lately, lately_is_cut: is_cut(late) })
    }

    /// Returns the net cost of each of these chats that has ledger entries, by the chat's id.
    pub fn costs_of(conn: &mut DbConnection, chat_ids: &[i64]) -> QueryResult<HashMap<i64, i64>> {
        use ledger_entries::dsl;
        let amounts: Vec<(Option<i64>, i64)> = dsl::ledger_entries
            .filter(dsl::chat_id.eq_any(chat_ids))
            .select((dsl::chat_id, dsl::amount))
            .load(conn)?;
        let mut costs = HashMap::new();
        for (chat_id, amount) in amounts {
            if let Some(chat_id) = chat_id {
                *costs.entry(chat_id).or_default() -= amount;
            }
        }
        Ok(costs)
    }
}

impl AuditEntry {
    /// Returns a page of a user's entries, the latest first.
    pub fn page_of_user(conn: &mut DbConnection, user_id: i64, page: Keyset) -> QueryResult<Vec<AuditEntry>> {
        use audit_log::dsl;
        dsl::audit_log
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::id.lt(page.before.unwrap_or(i64::MAX)))
            .order(dsl::id.desc())
            .limit(page.limit)
            .select(AuditEntry::as_select())
            .load(conn)
    }
}

impl Chat {
    /// Returns what is held for a user's pending chats, of at most [`MOST_COUNTED`] of them.
    pub fn open_holds_of(conn: &mut DbConnection, user_id: i64) -> QueryResult<OpenHolds> {
        let text = format!(
            "SELECT CAST(count(*) AS BIGINT), CAST(coalesce(sum(h.charge), 0) AS BIGINT), min(h.created_at)
             FROM (SELECT charge, created_at FROM chats WHERE user_id = ? AND state = 'pending' LIMIT {}) h",
            MOST_COUNTED + 1
        );
        let binds = vec![Bind::Integer(user_id)];
        let row = DynamicStatement::<(BigInt, BigInt, Nullable<Timestamp>)>::new(text, binds);
        let (number, tokens, oldest): (i64, i64, Option<NaiveDateTime>) = row.get_result(conn)?;
        Ok(OpenHolds { number, tokens, oldest })
    }

    /// Returns the ids of the chats of a conversation before the one with the id `before`, the
    /// newest first.
    pub fn ids_before(
        conn: &mut DbConnection,
        conversation_id: i64,
        before: i64,
        most: i64,
    ) -> QueryResult<Vec<i64>> {
        use chats::dsl;
        dsl::chats
            .filter(dsl::conversation_id.eq(conversation_id))
            .filter(dsl::id.lt(before))
            .order(dsl::id.desc())
            .limit(most)
            .select(dsl::id)
            .load(conn)
    }

    /// Returns the id of the chat that follows the one with the id `after` in a conversation.
    pub fn id_after(conn: &mut DbConnection, conversation_id: i64, after: i64) -> QueryResult<Option<i64>> {
        use chats::dsl;
        let later = dsl::chats.filter(dsl::conversation_id.eq(conversation_id)).filter(dsl::id.gt(after));
        let ids: Vec<i64> = later.order(dsl::id).limit(1).select(dsl::id).load(conn)?;
        Ok(ids.first().copied())
    }
}
