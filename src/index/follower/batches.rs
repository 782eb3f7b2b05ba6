//! The batches of the follower. What is read is turned into rows outside the writer, which then
//! only inserts them.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, Timelike};

use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::error::Result;
use crate::index::search::{self, SearchIndex};
use crate::models::{
    Chat, ChatState, EntryKind, LedgerEntry, QuarterTotal, ToFollow, User, UserBalance, Watermark,
};

/// Sums to be added to quarters of an hour, by kind: the count and the amount.
#[derive(Clone, Debug, Default)]
pub struct Sum(BTreeMap<(NaiveDateTime, &'static str), (i64, i64)>);

impl Sum {
    fn add(&mut self, at: NaiveDateTime, kind: &'static str, amount: i64) {
        let (count, sum) = self.0.entry((quarter(at), kind)).or_default();
        *count += 1;
        *sum = sum.saturating_add(amount);
    }

    fn store(&self, conn: &mut DbConnection) -> Result<()> {
        for ((quarter, kind), (count, amount)) in &self.0 {
            QuarterTotal::add(conn, *quarter, kind, *count, *amount)?;
        }
        Ok(())
    }
}

/// Returns the beginning of the quarter of an hour that a moment is in.
fn quarter(at: NaiveDateTime) -> NaiveDateTime {
    let minutes = at.minute() - at.minute() % 15;
    at.with_nanosecond(0)
        .and_then(|at| at.with_second(0))
        .and_then(|at| at.with_minute(minutes))
        .unwrap_or(at)
}

/// Indexes the names of the next users after `watermark`, at most `most`. Returns their number.
pub(super) async fn follow_users(db: &Db, watermark: i64, up_to: i64, most: i64) -> Result<usize> {
    let job = move |conn: &mut DbConnection| {
        Watermark::lock(conn, "users")?;
        // The names are read under the lock of the watermark, while no user can be renamed.
        // Otherwise an old name could stay in the index for ever.
        let users = User::names_after(conn, watermark, up_to, most)?;
        let is_all = (users.len() as i64) < most;
        let next = if is_all { up_to } else { users.last().map_or(up_to, |(id, _, _)| *id) };
        if !Watermark::advance(conn, "users", watermark, next)? {
            return Ok(0);
        }
        let rows: Vec<(i64, String)> =
            users.iter().map(|(id, name, _)| (*id, search::name_terms(*id, name))).collect();
        search::insert(conn, SearchIndex::Users, &rows)?;
        for (id, _, tokens) in &users {
            UserBalance::add(conn, *id, *tokens)?;
        }
        Ok(users.len())
    };
    db.write_bulk(Scope::none(), job).await
}

/// Adds the next ledger entries after `watermark`, at most `most`, to sums and balances. Returns
/// their number.
pub(super) async fn follow_entries(db: &Db, watermark: i64, up_to: i64, most: i64) -> Result<usize> {
    let entries = db.read(move |conn| Ok(LedgerEntry::after(conn, watermark, up_to, most)?)).await?;
    let count = entries.len();
    let next = if (count as i64) < most { up_to } else { entries.last().map_or(up_to, |entry| entry.id) };
    let mut sums = Sum::default();
    let mut balances = BTreeMap::new();
    for entry in &entries {
        sums.add(entry.created_at, entry.kind.as_str(), entry.amount);
        if entry.kind == EntryKind::Adjustment {
            let way = if entry.amount > 0 { "granted" } else { "taken" };
            sums.add(entry.created_at, way, entry.amount);
        }
        // The ids of one user's entries ascend, so the last entry has the balance.
        balances.insert(entry.user_id, entry.balance_after);
    }
    let job = move |conn: &mut DbConnection| {
        if !Watermark::advance(conn, "ledger_entries", watermark, next)? {
            return Ok(0);
        }
        sums.store(conn)?;
        UserBalance::set(conn, &balances)?;
        Ok(count)
    };
    db.write_bulk(Scope::none(), job).await
}

/// A chat and the terms by which it is found.
struct IndexedChat {
    chat: Chat,
    terms: String,
}

fn indexed(chat: &Chat) -> IndexedChat {
    IndexedChat { chat: chat.clone(), terms: search::chat_terms(chat) }
}

/// Stores the terms of chats. If the texts of a chat were removed since it was read, only its marks
/// are stored.
fn insert_chats(conn: &mut DbConnection, rows: &[IndexedChat]) -> Result<()> {
    let ids: Vec<i64> = rows.iter().map(|row| row.chat.id).collect();
    let blanked = Chat::blanked_among(conn, &ids)?;
    let terms = |row: &IndexedChat| match blanked.contains(&row.chat.id) {
        true => search::chat_marks(&row.chat),
        false => row.terms.clone(),
    };
    let rows: Vec<(i64, String)> = rows.iter().map(|row| (row.chat.id, terms(row))).collect();
    Ok(search::insert(conn, SearchIndex::Chats, &rows)?)
}

fn add_end(sums: &mut Sum, chat: &Chat) {
    if matches!(chat.state, ChatState::Failed | ChatState::Cancelled) {
        sums.add(chat.finished_at.unwrap_or(chat.created_at), chat.state.as_str(), 0);
    }
}

/// Indexes the next chats after `watermark`, at most `most`. Pending ones are noted for later.
/// Returns their number.
pub(super) async fn follow_chats(db: &Db, watermark: i64, up_to: i64, most: i64) -> Result<usize> {
    let chats = db.read(move |conn| Ok(Chat::after(conn, watermark, up_to, most)?)).await?;
    let count = chats.len();
    let next = if (count as i64) < most { up_to } else { chats.last().map_or(up_to, |chat| chat.id) };
    let (late, ended): (Vec<Chat>, Vec<Chat>) =
        chats.into_iter().partition(|chat| chat.state == ChatState::Pending);
    let mut sums = Sum::default();
    ended.iter().for_each(|chat| add_end(&mut sums, chat));
    let rows: Vec<IndexedChat> = ended.iter().map(indexed).collect();
    let late: Vec<i64> = late.iter().map(|chat| chat.id).collect();
    let job = move |conn: &mut DbConnection| {
        if !Watermark::advance(conn, "chats", watermark, next)? {
            return Ok(0);
        }
        insert_chats(conn, &rows)?;
        for id in &late {
            ToFollow::insert(conn, *id)?;
        }
        sums.store(conn)?;
        Ok(count)
    };
    db.write_bulk(Scope::none(), job).await
}

/// Processes chats that were pending when the follower reached them and have ended since, and chats
/// that failed and were answered after all.
pub(super) async fn follow_late_chats(db: &Db) -> Result<usize> {
    let chats = db.read(|conn| Ok(ToFollow::ended(conn, BULK_ROWS)?)).await?;
    if chats.is_empty() {
        return Ok(0);
    }
    let job = move |conn: &mut DbConnection| {
        Watermark::lock(conn, "chats")?;
        let ids: Vec<i64> = chats.iter().map(|chat| chat.id).collect();
        let known = search::known_chats(conn, &ids)?;
        search::forget_chats(conn, &known)?;
        let (mut sums, mut rows) = (Sum::default(), Vec::new());
        for chat in &chats {
            // Another follower may have processed it. (If that one made the row, it is restored.)
            let is_mine = ToFollow::delete(conn, chat.id)?;
            if is_mine || known.contains(&chat.id) {
                rows.push(indexed(chat));
            }
            // The end of a chat that is already in the index has already been counted.
            if is_mine && !known.contains(&chat.id) {
                add_end(&mut sums, chat);
            }
        }
        insert_chats(conn, &rows)?;
        sums.store(conn)?;
        Ok(chats.len())
    };
    db.write_bulk(Scope::none(), job).await
}

#[cfg(test)]
mod tests {
    use super::quarter;

    #[test]
    fn a_quarter_begins_where_the_clock_strikes() {
        let at = |text: &str| quarter(text.parse().unwrap()).to_string();
        assert_eq!(at("2026-11-24T10:14:59.999999"), "2026-11-24 10:00:00");
        assert_eq!(at("2026-11-24T10:45:00"), "2026-11-24 10:45:00");
    }
}
