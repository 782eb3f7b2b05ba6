//! The chart on a user's page: tokens spent per day, from the user's latest ledger entries.

use chrono::{Days, NaiveDate, NaiveDateTime};

use crate::db::DbConnection;
use crate::error::Result;
use crate::models::{EntryAmount, LedgerEntry};
use crate::panel::kit::chart::{Bars, Stack};
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::paths;
use crate::panel::kit::table::{Table, TableHead};
use crate::panel::kit::zone::Zone;

/// The most days that are shown.
const DAYS: u64 = 30;
/// The most entries that are read. SQLite reads them one by one.
const MOST_ENTRIES: i64 = 1_000;

/// Tokens spent per day.
pub(super) struct Spending {
    pub bars: Bars,
    pub table: Table,
    /// Why there are fewer days than usual. Empty if there are not.
    pub note: String,
}

/// A day, and the tokens that were spent on it: charges, less what was returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    date: NaiveDate,
    spent: i64,
}

impl Spending {
    /// Reads the entries of a user and adds them up by the days of a zone. `None` if nothing was
    /// spent lately.
    pub(super) fn read(
        conn: &mut DbConnection,
        user_id: i64,
        zone: Zone,
        now: NaiveDateTime,
    ) -> Result<Option<Spending>> {
        let entries = LedgerEntry::amounts_of(conn, user_id, MOST_ENTRIES)?;
        let days = days(&entries, MOST_ENTRIES, zone, now);
        let is_cut = (days.len() as u64) < DAYS;
        if days.iter().all(|day| day.spent <= 0) {
            return Ok(None);
        }
        let today = zone.date_of(now);
        let is_today_cut = entries.len() as i64 >= MOST_ENTRIES
            && entries.iter().all(|entry| zone.date_of(entry.created_at) == today);
        let note = match days.first() {
            Some(_) if is_today_cut => {
                let most = format::tokens(MOST_ENTRIES);
                format!("Only the latest {most} entries of today are counted: at least this was spent.")
            }
            Some(first) if is_cut => {
                let most = format::tokens(MOST_ENTRIES);
                format!("The latest {most} entries reach back to {}.", first.date.format("%-d %B"))
            }
            _ => String::new(),
        };
        Ok(Some(Spending {
            bars: Bars::new(days.iter().map(stack).collect(), summary(&days)),
            table: table(&days, user_id),
            note,
        }))
    }
}

/// Adds entries up by day, the oldest day first. If there are as many entries as were asked for,
/// the oldest of their days may be incomplete and is left out, and so are the days before.
fn days(entries: &[EntryAmount], most: i64, zone: Zone, now: NaiveDateTime) -> Vec<Day> {
    let today = zone.date_of(now);
    let first = today - Days::new(DAYS - 1);
    let is_cut = entries.len() as i64 >= most;
    let oldest = entries.iter().map(|entry| zone.date_of(entry.created_at)).min().filter(|_| is_cut);
    let first = oldest.map_or(first, |oldest| first.max(oldest + Days::new(1)).min(today));
    let mut days: Vec<Day> =
        first.iter_days().take_while(|date| *date <= today).map(|date| Day { date, spent: 0 }).collect();
    for entry in entries.iter().filter(|entry| entry.is_of_a_chat()) {
        let date = zone.date_of(entry.created_at);
        if let Some(day) = days.iter_mut().find(|day| day.date == date) {
            day.spent = day.spent.saturating_sub(entry.amount);
        }
    }
    days
}

fn stack(day: &Day) -> Stack {
    Stack {
        label: day.date.format("%-d %b").to_string(),
        lower: day.spent,
        upper: 0,
        title: format!(
            "{}: {} spent",
            day.date.format("%a %-d %b"),
            format::counted(day.spent, "token", "tokens")
        ),
    }
}

fn summary(days: &[Day]) -> String {
    let sum = days.iter().map(|day| day.spent).fold(0_i64, i64::saturating_add);
    format!("Tokens spent per day in {} days: {} in all", days.len(), format::tokens(sum))
}

/// The days on which something was spent, the latest first. Each number leads to its entries.
fn table(days: &[Day], user_id: i64) -> Table {
    let row = |day: &Day| {
        let of_day = format!("&kind=chats&sums=1&date_from={date}&date_to={date}", date = day.date);
        let href = format!("{}{of_day}", paths::statement(user_id));
        vec![
            Cell::Text(day.date.format("%a %-d %b").to_string()),
            Cell::Link { text: format::tokens(day.spent), href },
        ]
    };
    Table {
        heads: vec![TableHead::text("Day"), TableHead::number("Tokens spent")],
        rows: days.iter().rev().filter(|day| day.spent != 0).map(row).collect(),
        empty: "Nothing was spent.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::EntryKind;

    fn entry(at: &str, kind: EntryKind, amount: i64) -> EntryAmount {
        EntryAmount { kind, amount, created_at: at.parse().unwrap() }
    }

    fn spent(entries: &[EntryAmount], most: i64) -> Vec<(String, i64)> {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let days = days(entries, most, berlin, "2026-11-29T10:00:00".parse().unwrap());
        days.iter().map(|day| (day.date.to_string(), day.spent)).collect()
    }

    #[test]
    fn days_have_charges_less_what_was_returned_in_the_administrators_zone() {
        let entries = [
            entry("2026-11-29T09:00:00", EntryKind::Charge, -100),
            entry("2026-11-29T08:00:00", EntryKind::Settlement, 30),
            entry("2026-11-28T23:30:00", EntryKind::Charge, -100),
            entry("2026-11-28T22:30:00", EntryKind::Refund, 100),
            entry("2026-11-28T22:00:00", EntryKind::Adjustment, 5_000),
            entry("2026-10-01T22:00:00", EntryKind::Charge, -100),
        ];
        let days = spent(&entries, 1_000);
        assert_eq!(days.len(), 30);
        assert_eq!(days[28..], [("2026-11-28".to_owned(), -100), ("2026-11-29".to_owned(), 170)]);
        assert!(days[..28].iter().all(|(_, spent)| *spent == 0), "{days:?}");
        assert_eq!(spent(&[], 1_000).len(), 30);
    }

    #[test]
    fn a_day_whose_entries_were_not_all_read_is_left_out() {
        let entries = [
            entry("2026-11-29T09:00:00", EntryKind::Charge, -3),
            entry("2026-11-28T09:00:00", EntryKind::Charge, -2),
            entry("2026-11-27T09:00:00", EntryKind::Charge, -1),
        ];
        assert_eq!(spent(&entries, 3), [("2026-11-28".to_owned(), 2), ("2026-11-29".to_owned(), 3)]);
        assert_eq!(spent(&entries[..1], 1), [("2026-11-29".to_owned(), 3)], "today is always shown");
    }
}
