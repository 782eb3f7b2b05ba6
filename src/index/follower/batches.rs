//! The batches of the follower. Each runs in one transaction of the index.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDateTime, Timelike};

use crate::db::DbConnection;
use crate::error::Result;
use crate::index::search::{self, SearchIndex};
use crate::models::{
    AuditEntry, Chat, ChatState, EntryKind, IndexChange, LedgerEntry, QuarterTotal, ToFollow, User,
    UserBalance, UserRows, Watermark,
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

/// The most bytes of texts that one batch reads, so that memory does not grow with long chats.
const MOST_BYTES: i64 = 8 * 1024 * 1024;

/// Indexes the names of the next users after `watermark`, at most `most`. Returns their number.
pub(super) fn follow_users(conn: &mut DbConnection, watermark: i64, up_to: i64, most: i64) -> Result<usize> {
    skip_changes_if_empty(conn)?;
    Watermark::lock(conn, "users")?;
    // The names are read under the lock of the watermark, while no user can be renamed. Otherwise
    // an old name could stay in the index for ever.
    let users = User::names_after(conn, watermark, up_to, most)?;
    let is_all = (users.len() as i64) < most;
    let next = if is_all { up_to } else { users.last().map_or(up_to, |(id, _, _)| *id) };
    if !Watermark::advance(conn, "users", watermark, next)? {
        return Ok(0);
    }
    let rows = users.iter().map(|(id, name, _)| (*id, search::name_terms(*id, name)));
    search::insert(conn, SearchIndex::Users, rows)?;
    for (id, _, tokens) in &users {
        UserBalance::add(conn, *id, *tokens)?;
    }
    Ok(users.len())
}

/// Adds the next ledger entries after `watermark`, at most `most`, to sums and balances, and
/// indexes their reasons. Returns their number.
pub(super) fn follow_entries(
    conn: &mut DbConnection,
    watermark: i64,
    up_to: i64,
    most: i64,
) -> Result<usize> {
    let entries = LedgerEntry::after(conn, watermark, up_to, most)?;
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
    if !Watermark::advance(conn, "ledger_entries", watermark, next)? {
        return Ok(0);
    }
    search::insert(conn, SearchIndex::Reasons, entries.iter().filter_map(search::reason_terms))?;
    sums.store(conn)?;
    UserBalance::set(conn, &balances)?;
    Ok(count)
}

/// Indexes the next entries of the history after `watermark`, at most `most`. Returns their number.
pub(super) fn follow_history(
    conn: &mut DbConnection,
    watermark: i64,
    up_to: i64,
    most: i64,
) -> Result<usize> {
    skip_changes_if_empty(conn)?;
    // The entries are read under the lock, while none can be blanked or deleted. Otherwise its
    // words could stay in the index for ever.
    Watermark::lock(conn, "audit_log")?;
    let entries = AuditEntry::after(conn, watermark, up_to, most)?;
    let is_all = (entries.len() as i64) < most;
    let next = if is_all { up_to } else { entries.last().map_or(up_to, |entry| entry.id) };
    if !Watermark::advance(conn, "audit_log", watermark, next)? {
        return Ok(0);
    }
    search::insert(conn, SearchIndex::History, entries.iter().map(search::history_terms))?;
    Ok(entries.len())
}

/// Stores the terms of chats. If the texts of a chat were removed since it was read, only its marks
/// are stored.
fn insert_chats(conn: &mut DbConnection, chats: &[Chat]) -> Result<()> {
    let ids: Vec<i64> = chats.iter().map(|chat| chat.id).collect();
    let blanked = Chat::blanked_among(conn, &ids)?;
    let terms = |chat: &Chat| match blanked.contains(&chat.id) {
        true => search::chat_marks(chat),
        false => search::chat_terms(chat),
    };
    Ok(search::insert(conn, SearchIndex::Chats, chats.iter().map(|chat| (chat.id, terms(chat))))?)
}

/// Counts a chat without a whole answer where it was sent, as lists show it, and not where it
/// ended.
fn add_end(sums: &mut Sum, chat: &Chat) {
    if matches!(chat.state, ChatState::Failed | ChatState::Cancelled) {
        sums.add(chat.created_at, chat.state.as_str(), 0);
    }
}

/// Indexes the next chats after `watermark`, at most `most`. Pending ones are noted for later.
/// Returns their number.
pub(super) fn follow_chats(conn: &mut DbConnection, watermark: i64, up_to: i64, most: i64) -> Result<usize> {
    skip_changes_if_empty(conn)?;
    let (next, most) = Chat::end_of_batch(conn, watermark, up_to, most, MOST_BYTES)?;
    let chats = Chat::after(conn, watermark, next, most)?;
    let count = chats.len();
    let (late, ended): (Vec<Chat>, Vec<Chat>) =
        chats.into_iter().partition(|chat| chat.state == ChatState::Pending);
    let mut sums = Sum::default();
    ended.iter().for_each(|chat| add_end(&mut sums, chat));
    if !Watermark::advance(conn, "chats", watermark, next)? {
        return Ok(0);
    }
    insert_chats(conn, &ended)?;
    for chat in &late {
        ToFollow::insert(conn, chat.id)?;
    }
    sums.store(conn)?;
    Ok(count)
}

/// Processes chats that were pending when the follower reached them and have ended since. (On
/// PostgreSQL also those that failed and were answered after all.) Returns their number.
pub(super) fn follow_late_chats(conn: &mut DbConnection, ended: &[i64]) -> Result<usize> {
    let Some(ids) = Chat::parts(conn, ended, MOST_BYTES)?.into_iter().next() else { return Ok(0) };
    // This is the first table of the index that it uses, as in a rebuild: otherwise each could wait
    // for the other.
    Watermark::lock(conn, "chats")?;
    let known = search::known_chats(conn, &ids)?;
    search::forget_chats(conn, &known)?;
    // Another follower may have processed some. (If that one made the row, it is restored.)
    let mut mine = BTreeSet::new();
    for id in &ids {
        if ToFollow::delete(conn, *id)? {
            mine.insert(*id);
        }
    }
    // They are read only now: an answer that comes after this makes its row again.
    let mut chats = Chat::find_many(conn, &ids)?;
    chats.retain(|chat| mine.contains(&chat.id) || known.contains(&chat.id));
    let mut sums = Sum::default();
    // The end of a chat that is already in the index has already been counted.
    chats.iter().filter(|chat| !known.contains(&chat.id)).for_each(|chat| add_end(&mut sums, chat));
    insert_chats(conn, &chats)?;
    sums.store(conn)?;
    Ok(ids.len())
}

/// Adds the keys of the next rows after the index's own watermark to those of their users, at most
/// `most` ids. Only on SQLite. Returns the number of ids.
pub(super) fn follow_keys(conn: &mut DbConnection, keys: UserRows, most: i64) -> Result<i64> {
    let position = Watermark::position(conn, keys.mark())?;
    let next = keys.highest(conn)?.min(position.saturating_add(most));
    if next <= position || !Watermark::advance(conn, keys.mark(), position, next)? {
        return Ok(0);
    }
    keys.add(conn, position, next)?;
    Ok(next - position)
}

/// Indexes the new names and texts of rows that were changed, at most `most` changes. Only on
/// SQLite. Returns the number of changes, or `None` if some were deleted before they were read: the
/// index must be built anew.
pub(super) fn follow_changes(conn: &mut DbConnection, most: i64) -> Result<Option<usize>> {
    skip_changes_if_empty(conn)?;
    let position = Watermark::position(conn, "index_changes")?;
    let changes = IndexChange::after(conn, position, most)?;
    let (Some((first, _)), Some((last, _))) = (changes.first(), changes.last()) else { return Ok(Some(0)) };
    // Their ids have no gaps, and the oldest are deleted first.
    if *first > position + 1 {
        return Ok(None);
    }
    if !Watermark::advance(conn, "index_changes", position, *last)? {
        return Ok(Some(0));
    }
    let (mut users, mut chats, mut entries) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (_, change) in &changes {
        match change {
            IndexChange::User(id) => users.insert(*id),
            IndexChange::Chat(id) => chats.insert(*id),
            IndexChange::Entry(id) => entries.insert(*id),
        };
    }
    search::entries_again(conn, &entries.into_iter().collect::<Vec<_>>())?;
    for id in users {
        search::index_again(conn, id)?;
    }
    let chats: Vec<i64> = chats.into_iter().collect();
    let known = search::known_chats(conn, &chats)?;
    search::forget_chats(conn, &known)?;
    for part in Chat::parts(conn, &known, MOST_BYTES)? {
        let chats = Chat::find_many(conn, &part)?;
        insert_chats(conn, &chats)?;
    }
    Ok(Some(changes.len()))
}

/// Skips the changes so far if nothing that they could change was read: what is read from now on
/// has them. Only on SQLite.
fn skip_changes_if_empty(conn: &mut DbConnection) -> Result<()> {
    let is_empty = matches!(conn, DbConnection::Sqlite(_))
        && Watermark::position(conn, "users")? == 0
        && Watermark::position(conn, "chats")? == 0
        && Watermark::position(conn, "audit_log")? == 0;
    if is_empty {
        let (position, last) = (Watermark::position(conn, "index_changes")?, IndexChange::last(conn)?);
        if last > position {
            Watermark::advance(conn, "index_changes", position, last)?;
        }
    }
    Ok(())
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
