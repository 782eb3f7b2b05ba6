//! A user's activity: chats, money and actions in one timeline, the newest first.
//!
//! Each of the three comes from its own table, in the order of ids, and a page reads a bounded part
//! of each. The address of the next page has the last id that was passed of each.

use std::collections::VecDeque;

use chrono::NaiveDateTime;

use crate::audit::Action;
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::{AuditEntry, Chat, ChatState, EntryKind, Keyset, LedgerEntry};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::names::Named;
use crate::panel::{chats, ledger};

/// The most ledger entries that a page looks at. Most of them are charges, which belong to chats.
const MOST_ENTRIES: i64 = 60;

/// What happened, in one line.
pub(super) struct Line {
    pub at: NaiveDateTime,
    pub event: Event,
    /// Tokens that it moved, or nothing.
    pub amount: Cell,
}

/// What happened.
pub(super) enum Event {
    /// The user sent a message.
    Chat {
        id: i64,
        message: Cell,
        /// The state. `Nothing` for a chat that was answered.
        state: Cell,
    },
    /// The balance changed for another reason than a chat.
    Money {
        kind: &'static str,
        /// The chat that was refunded, if one was.
        chat_id: Option<i64>,
        actor: Cell,
        note: String,
    },
    /// An administrator or the user did something.
    Action(Box<HistoryLine>),
}

/// A page of the timeline.
pub(super) struct Activity {
    pub lines: Vec<Line>,
    /// Where the next page begins. `None` if this is the last one.
    pub older: Option<String>,
    /// Whether this is not the first page.
    pub is_older: bool,
}

/// The last id that was passed in each of the tables: chats, ledger entries, audit entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place([Option<i64>; 3]);

impl Place {
    /// Reads a place from an address. Anything else is the beginning.
    pub(super) fn parse(text: &str) -> Place {
        let mut ids = text.split('~').map(|id| id.parse().ok());
        Place(std::array::from_fn(|_| ids.next().flatten()))
    }

    fn text(self) -> String {
        let id = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
        self.0.map(id).join("~")
    }
}

/// The rows that were read of one table, the newest first. Rows that are not shown have no line.
struct Source {
    rows: VecDeque<(i64, NaiveDateTime, Option<Line>)>,
    /// If the table may have more rows, the time of the last one that was read.
    read_to: Option<NaiveDateTime>,
    /// The last id that was passed.
    passed: Option<i64>,
}

impl Source {
    fn new(
        rows: impl IntoIterator<Item = (i64, NaiveDateTime, Option<Line>)>,
        limit: i64,
        passed: Option<i64>,
    ) -> Source {
        let rows: VecDeque<_> = rows.into_iter().collect();
        let is_cut = rows.len() as i64 >= limit;
        let read_to = rows.back().filter(|_| is_cut).map(|(_, at, _)| *at);
        Source { rows, read_to, passed }
    }

    /// Passes the rows that are not shown.
    fn skip(&mut self) {
        while let Some((id, _, None)) = self.rows.front() {
            self.passed = Some(*id);
            self.rows.pop_front();
        }
    }

    fn next_time(&self) -> Option<NaiveDateTime> {
        self.rows.front().map(|(_, at, _)| *at)
    }

    fn take(&mut self) -> Option<Line> {
        let (id, _, line) = self.rows.pop_front()?;
        self.passed = Some(id);
        line
    }

    fn has_more(&self) -> bool {
        self.read_to.is_some() || !self.rows.is_empty()
    }

    /// Whether rows that were not read may be newer than this time.
    fn may_precede(&self, time: NaiveDateTime) -> bool {
        self.rows.is_empty() && self.read_to.is_some_and(|read_to| time < read_to)
    }
}

/// Merges the sources, the newest line first, until there are `most` lines, or a source may have
/// rows in between that were not read.
fn merge(mut sources: [Source; 3], most: usize) -> (Vec<Line>, Option<Place>) {
    let mut lines = Vec::new();
    while lines.len() < most {
        sources.iter_mut().for_each(Source::skip);
        let newest = sources.iter().filter_map(Source::next_time).max();
        let Some(newest) = newest else { break };
        if sources.iter().any(|source| source.may_precede(newest)) {
            break;
        }
        let source = sources.iter_mut().find(|source| source.next_time() == Some(newest));
        lines.extend(source.and_then(Source::take));
    }
    let has_more = sources.iter().any(Source::has_more);
    (lines, has_more.then(|| Place(sources.map(|source| source.passed))))
}

/// Reads a page of the timeline, which begins after `place`.
pub(super) fn read(conn: &mut DbConnection, user_id: i64, place: Place, most: i64) -> Result<Activity> {
    let [chat, entry, audit] = place.0;
    let sources = [
        chats_of(conn, user_id, Keyset { limit: most, before: chat })?,
        money_of(conn, user_id, Keyset { limit: MOST_ENTRIES, before: entry })?,
        actions_of(conn, user_id, Keyset { limit: 2 * most, before: audit })?,
    ];
    let (lines, older) = merge(sources, usize::try_from(most).unwrap_or(usize::MAX));
    Ok(Activity { lines, older: older.map(Place::text), is_older: place != Place::default() })
}

fn chats_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Source> {
    let chats = Chat::excerpts_of(conn, user_id, page)?;
    let ids: Vec<i64> = chats.iter().map(|chat| chat.id).collect();
    let costs = LedgerEntry::costs_of(conn, &ids)?;
    let line = |chat: &Chat| {
        let cost = costs.get(&chat.id).copied().unwrap_or(chat.charge);
        let state = match chat.state {
            ChatState::Complete => Cell::Nothing,
            state => chats::state(state),
        };
        let event = Event::Chat { id: chat.id, message: Cell::excerpt(&chat.message), state };
        let amount = match chat.state {
            ChatState::Pending => Cell::Text(format!("{} held", format::tokens(cost))),
            _ if cost == 0 => Cell::Tokens(0),
            _ => Cell::Signed(-cost),
        };
        (chat.id, chat.created_at, Some(Line { at: chat.created_at, event, amount }))
    };
    Ok(Source::new(chats.iter().map(line), page.limit, page.before))
}

/// The entries that belong to no chat that lists show, and refunds by administrators.
fn money_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Source> {
    let entries = LedgerEntry::page_of(conn, user_id, page)?;
    let entries = ledger::named(conn, entries)?;
    let chats: Vec<i64> = entries.iter().filter_map(|entry| entry.row.chat_id).collect();
    let unlisted = Chat::unlisted_among(conn, &chats)?;
    let line = |entry: &Named<LedgerEntry>| {
        let row = &entry.row;
        let is_shown = match row.kind {
            EntryKind::Opening | EntryKind::Adjustment => true,
            EntryKind::Refund if row.actor_id.is_some() => true,
            // The chats of the timeline show their costs.
            _ => row.chat_id.is_some_and(|id| unlisted.contains(&id)),
        };
        let line = is_shown.then(|| Line {
            at: row.created_at,
            event: Event::Money {
                kind: row.kind.as_str(),
                chat_id: row.chat_id,
                actor: row.actor_id.map_or(Cell::Nothing, |id| entry.user(id)),
                note: row.note.clone(),
            },
            amount: Cell::Signed(row.amount),
        });
        (row.id, row.created_at, line)
    };
    Ok(Source::new(entries.iter().map(line), page.limit, page.before))
}

/// The actions other than those that moved tokens, which the ledger has.
fn actions_of(conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Source> {
    let entries = AuditEntry::page_of_user(conn, user_id, page)?;
    let moves_tokens = |entry: &AuditEntry| {
        let text = Action::text_of(&entry.action);
        [Action::Adjust, Action::Refund, Action::Release].iter().any(|action| action.text() == text)
    };
    let rows: Vec<(i64, NaiveDateTime, bool)> =
        entries.iter().map(|entry| (entry.id, entry.created_at, !moves_tokens(entry))).collect();
    let lines = describe(conn, entries)?;
    let line = |((id, at, is_shown), line): ((i64, NaiveDateTime, bool), HistoryLine)| {
        let shown = || Line { at, event: Event::Action(Box::new(line)), amount: Cell::Nothing };
        (id, at, is_shown.then(shown))
    };
    Ok(Source::new(rows.into_iter().zip(lines).map(line), page.limit, page.before))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(second: i64) -> NaiveDateTime {
        DateTime::from_timestamp(second, 0).unwrap().naive_utc()
    }

    /// Makes a source of rows, the newest first: id, second, and whether the row is shown.
    fn source(rows: &[(i64, i64, bool)], limit: i64) -> Source {
        let event = |id| Event::Chat { id, message: Cell::Nothing, state: Cell::Nothing };
        let line = |id, second| Line { at: at(second), event: event(id), amount: Cell::Nothing };
        let row = |(id, second, is_shown): &(i64, i64, bool)| {
            (*id, at(*second), is_shown.then(|| line(*id, *second)))
        };
        Source::new(rows.iter().map(row), limit, None)
    }

    fn merged(sources: [Source; 3], most: usize) -> (Vec<i64>, Option<String>) {
        let (lines, place) = merge(sources, most);
        let id = |line: Line| if let Event::Chat { id, .. } = line.event { id } else { 0 };
        (lines.into_iter().map(id).collect(), place.map(Place::text))
    }

    #[test]
    fn lines_are_merged_by_time_and_the_place_has_what_was_passed_of_each_table() {
        let chats = || source(&[(9, 90, true), (8, 50, true)], 5);
        let money = || source(&[(70, 60, false), (69, 55, true)], 5);
        let actions = || source(&[(3, 95, true), (2, 10, true)], 5);
        assert_eq!(merged([chats(), money(), actions()], 10), (vec![3, 9, 69, 8, 2], None));
        let first = merged([chats(), money(), actions()], 3);
        assert_eq!(first, (vec![3, 9, 69], Some("9~69~3".to_owned())));
    }

    #[test]
    fn a_page_ends_where_a_table_has_rows_that_were_not_read() {
        let chats = source(&[(9, 90, true), (8, 50, true)], 5);
        // The next entry may be newer than the second chat.
        let money = source(&[(70, 80, false), (69, 70, false)], 2);
        assert_eq!(merged([chats, money, source(&[], 5)], 10), (vec![9], Some("9~69~".to_owned())));
    }

    #[test]
    fn a_place_in_an_address_is_read_leniently() {
        assert_eq!(Place::parse("9~69~3"), Place([Some(9), Some(69), Some(3)]));
        assert_eq!(Place::parse("~69~"), Place([None, Some(69), None]));
        for text in ["", "x", "~~", "1e9~~", "~~~~~"] {
            assert_eq!(Place::parse(text), Place::default(), "{text}");
        }
    }
}
