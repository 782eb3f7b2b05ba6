//! One part of the following: what is read is turned into rows outside of the writer, which then only inserts.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, Timelike};

use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::error::Result;
use crate::index::search::{self, Place};
use crate::models::{
    Chat, ChatState, EntryKind, LedgerEntry, Mark, QuarterTotal, ToFollow, User, UserBalance,
};

/// Sums to be added to a quarter of an hour, by kind.
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

/// The quarter of an hour that a moment is in.
fn quarter(at: NaiveDateTime) -> NaiveDateTime {
    let minutes = at.minute() - at.minute() % 15;
    at.with_nanosecond(0)
        .and_then(|at| at.with_second(0))
        .and_then(|at| at.with_minute(minutes))
        .unwrap_or(at)
}

pub(super) async fn follow_users(db: &Db, mark: i64, up_to: i64, most: i64) -> Result<usize> {
    let job = move |conn: &mut DbConnection| {
        Mark::lock(conn, "users")?;
        // Read where nobody can be renamed meanwhile: an old name must not be found for ever.
        let users = User::names_after(conn, mark, up_to, most)?;
        let is_all = (users.len() as i64) < most;
        let next = if is_all { up_to } else { users.last().map_or(up_to, |(id, _, _)| *id) };
        if !Mark::advance(conn, "users", mark, next)? {
            return Ok(0);
        }
        let rows: Vec<(i64, String)> =
            users.iter().map(|(id, name, _)| (*id, search::name_terms(*id, name))).collect();
        search::insert(conn, Place::Users, &rows)?;
        for (id, _, tokens) in &users {
            UserBalance::add(conn, *id, *tokens)?;
        }
        Ok(users.len())
    };
    db.write_bulk(Scope::none(), job).await
}

pub(super) async fn follow_entries(db: &Db, mark: i64, up_to: i64, most: i64) -> Result<usize> {
    let entries = db.read(move |conn| Ok(LedgerEntry::after(conn, mark, up_to, most)?)).await?;
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
        // The ids of one user's entries ascend, so the last one has the balance.
        balances.insert(entry.user_id, entry.balance_after);
    }
    let job = move |conn: &mut DbConnection| {
        if !Mark::advance(conn, "ledger_entries", mark, next)? {
            return Ok(0);
        }
        sums.store(conn)?;
        UserBalance::set(conn, &balances)?;
        Ok(count)
    };
    db.write_bulk(Scope::none(), job).await
}

/// A chat with the terms that it is found by.
struct Found {
    chat: Chat,
    terms: String,
}

fn found(chat: &Chat) -> Found {
    Found { chat: chat.clone(), terms: search::chat_terms(chat) }
}

/// Stores what chats are found by. One whose texts were removed since it was read is found by its marks alone.
fn insert_found(conn: &mut DbConnection, rows: &[Found]) -> Result<()> {
    let ids: Vec<i64> = rows.iter().map(|row| row.chat.id).collect();
    let blanked = Chat::blanked_among(conn, &ids)?;
    let terms = |row: &Found| match blanked.contains(&row.chat.id) {
        true => search::chat_marks(&row.chat),
        false => row.terms.clone(),
    };
    let rows: Vec<(i64, String)> = rows.iter().map(|row| (row.chat.id, terms(row))).collect();
    Ok(search::insert(conn, Place::Chats, &rows)?)
}

fn add_end(sums: &mut Sum, chat: &Chat) {
    if matches!(chat.state, ChatState::Failed | ChatState::Cancelled) {
        sums.add(chat.finished_at.unwrap_or(chat.created_at), chat.state.as_str(), 0);
    }
}

pub(super) async fn follow_chats(db: &Db, mark: i64, up_to: i64, most: i64) -> Result<usize> {
    let chats = db.read(move |conn| Ok(Chat::after(conn, mark, up_to, most)?)).await?;
    let count = chats.len();
    let next = if (count as i64) < most { up_to } else { chats.last().map_or(up_to, |chat| chat.id) };
    let (late, ended): (Vec<Chat>, Vec<Chat>) =
        chats.into_iter().partition(|chat| chat.state == ChatState::Pending);
    let mut sums = Sum::default();
    ended.iter().for_each(|chat| add_end(&mut sums, chat));
    let rows: Vec<Found> = ended.iter().map(found).collect();
    let late: Vec<i64> = late.iter().map(|chat| chat.id).collect();
    let job = move |conn: &mut DbConnection| {
        if !Mark::advance(conn, "chats", mark, next)? {
            return Ok(0);
        }
        insert_found(conn, &rows)?;
        for id in &late {
            ToFollow::insert(conn, *id)?;
        }
        sums.store(conn)?;
        Ok(count)
    };
    db.write_bulk(Scope::none(), job).await
}

/// The chats that were pending when the follower came by, and are no longer; and those that failed and got an answer
/// after all.
pub(super) async fn follow_late_chats(db: &Db) -> Result<usize> {
    let chats = db.read(|conn| Ok(ToFollow::ended(conn, BULK_ROWS)?)).await?;
    if chats.is_empty() {
        return Ok(0);
    }
    let job = move |conn: &mut DbConnection| {
        Mark::lock(conn, "chats")?;
        let ids: Vec<i64> = chats.iter().map(|chat| chat.id).collect();
        let known = search::known_chats(conn, &ids)?;
        search::forget_chats(conn, &known)?;
        let (mut sums, mut rows) = (Sum::default(), Vec::new());
        for chat in &chats {
            // Another follower may have been here. (A row of its making is put back as it was.)
            let is_mine = ToFollow::delete(conn, chat.id)?;
            if is_mine || known.contains(&chat.id) {
                rows.push(found(chat));
            }
            // One that was found before has had its end counted.
            if is_mine && !known.contains(&chat.id) {
                add_end(&mut sums, chat);
            }
        }
        insert_found(conn, &rows)?;
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
