//! The charts on a model's page: messages, failures, and the time to the first token. They are made
//! of the model's latest chats, which the search index finds, by days or by hours.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDateTime, TimeDelta};

use crate::db::DbConnection;
use crate::error::Result;
use crate::index::search::{self, SearchIndex, Span, Term, Wanted};
use crate::models::{ChatState, ChatTiming};
use crate::panel::kit::chart::{Bars, Stack};
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::table::{Table, TableHead};
use crate::panel::kit::zone::Zone;

/// The most days that are shown.
const DAYS: u64 = 30;
/// The most chats that are read. SQLite reads them one by one.
const MOST_CHATS: usize = 1_000;
/// If the chats are all younger than this, and there were more, the charts show hours.
const FEW_DAYS: TimeDelta = TimeDelta::days(3);

/// The charts, and their numbers as a table.
pub(super) struct Performance {
    pub messages: Bars,
    /// `None` if no answer has begun.
    pub first_token: Option<Bars>,
    pub table: Table,
    /// `day` or `hour`.
    pub unit: &'static str,
    /// Why the charts do not reach back further. Empty if they do.
    pub note: String,
}

/// A day or an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Period {
    /// In the order of time, and unique.
    key: String,
    label: String,
    messages: i64,
    failed: i64,
    /// The times to the first token, in milliseconds.
    waits: Vec<i64>,
}

impl Performance {
    /// Reads the latest chats of a model. `None` if there were none lately.
    pub(super) fn read(
        conn: &mut DbConnection,
        model: &str,
        zone: Zone,
        now: NaiveDateTime,
    ) -> Result<Option<Performance>> {
        let span = Span { above: 0, below: i64::MAX, descending: true, limit: MOST_CHATS };
        let hits = search::find(conn, SearchIndex::Chats, &Wanted::terms([Term::model(model)]), span)?;
        let is_cut = hits.ids.len() >= MOST_CHATS || hits.looked_until.is_some();
        let since = zone.start_of(zone.date_of(now) - Days::new(DAYS - 1));
        let timings = ChatTiming::of(conn, &hits.ids, since)?;
        // Chats from before the first day are no reason to leave the first day out.
        let is_cut = is_cut && timings.len() == hits.ids.len();
        Ok(Performance::new(&timings, is_cut, zone, now))
    }

    fn new(timings: &[ChatTiming], is_cut: bool, zone: Zone, now: NaiveDateTime) -> Option<Performance> {
        let oldest = timings.iter().map(|timing| timing.created_at).min()?;
        let by_hours = is_cut && now - oldest < FEW_DAYS;
        let periods = periods(timings, oldest, is_cut, by_hours, zone, now);
        let unit = if by_hours { "hour" } else { "day" };
        let note = match is_cut {
            true => format!("The latest {} chats.", format::tokens(timings.len() as i64)),
            false => String::new(),
        };
        let has_waits = periods.iter().any(|period| !period.waits.is_empty());
        Some(Performance {
            messages: Bars::new(periods.iter().map(Period::messages).collect(), summary(&periods, unit)),
            first_token: has_waits.then(|| {
                let summary = format!("Median time to the first token per {unit}, in milliseconds");
                Bars::new(periods.iter().map(Period::first_token).collect(), summary)
            }),
            table: table(&periods),
            unit,
            note,
        })
    }
}

impl Period {
    fn messages(&self) -> Stack {
        Stack {
            label: self.label.clone(),
            lower: self.messages - self.failed,
            upper: self.failed,
            title: format!(
                "{}: {}, {} failed",
                self.label,
                format::counted(self.messages, "message", "messages"),
                format::tokens(self.failed)
            ),
        }
    }

    fn first_token(&self) -> Stack {
        let median = self.median();
        let shown = median.map_or_else(|| "no answer".to_owned(), |wait| format::span(milliseconds(wait)));
        Stack {
            label: self.label.clone(),
            lower: median.unwrap_or_default(),
            upper: 0,
            title: format!("{}: {shown}", self.label),
        }
    }

    /// Returns the median time to the first token. Of two in the middle, the longer one counts.
    fn median(&self) -> Option<i64> {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits.get(waits.len() / 2).copied()
    }
}

fn milliseconds(number: i64) -> TimeDelta {
    TimeDelta::try_milliseconds(number).unwrap_or_default()
}

/// Adds chats up by days, or by hours, the oldest first. If further chats were not read, the period
/// of the oldest one may be incomplete and is left out.
fn periods(
    timings: &[ChatTiming],
    oldest: NaiveDateTime,
    is_cut: bool,
    by_hours: bool,
    zone: Zone,
    now: NaiveDateTime,
) -> Vec<Period> {
    let key_of = |time: NaiveDateTime| -> String {
        match by_hours {
            true => zone.minute(time).chars().take(13).collect(),
            false => zone.date_of(time).to_string(),
        }
    };
    let today = zone.date_of(now);
    let starts: Vec<NaiveDateTime> = match by_hours {
        true => (0..=FEW_DAYS.num_hours()).rev().map(|hours| now - TimeDelta::hours(hours)).collect(),
        false => (0..DAYS).rev().map(|days| zone.start_of(today - Days::new(days))).collect(),
    };
    let first = key_of(oldest);
    let is_whole = |key: &String| !is_cut || *key > first || *key == key_of(now);
    let mut periods: BTreeMap<String, Period> = BTreeMap::new();
    for start in starts {
        let key = key_of(start);
        let label = match by_hours {
            true => format!("{}:00", key.chars().skip(11).collect::<String>()),
            false => zone.date_of(start).format("%-d %b").to_string(),
        };
        if is_whole(&key) {
            periods.insert(key.clone(), Period { key, label, ..Period::default() });
        }
    }
    for timing in timings {
        let Some(period) = periods.get_mut(&key_of(timing.created_at)) else { continue };
        period.messages += 1;
        period.failed += i64::from(timing.state == ChatState::Failed);
        let wait = timing.first_byte_at.map(|first| (first - timing.created_at).num_milliseconds());
        period.waits.extend(wait.filter(|wait| *wait >= 0));
    }
    periods.into_values().collect()
}

fn summary(periods: &[Period], unit: &str) -> String {
    let sum = |of: fn(&Period) -> i64| periods.iter().map(of).fold(0_i64, i64::saturating_add);
    format!(
        "Messages per {unit}: {}, {} failed",
        format::counted(sum(|period| period.messages), "message", "messages"),
        format::tokens(sum(|period| period.failed))
    )
}

/// The periods with messages, the latest first.
fn table(periods: &[Period]) -> Table {
    let row = |period: &Period| {
        let wait = period.median().map(|wait| Cell::Text(format::span(milliseconds(wait))));
        vec![
            Cell::Text(period.key.clone()),
            Cell::Tokens(period.messages),
            Cell::Tokens(period.failed),
            wait.unwrap_or(Cell::Nothing),
        ]
    };
    Table {
        heads: vec![
            TableHead::text("When"),
            TableHead::number("Messages"),
            TableHead::number("Failed"),
            TableHead::number("First token (median)"),
        ],
        rows: periods.iter().rev().filter(|period| period.messages > 0).map(row).collect(),
        empty: "No messages.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-29T10:20:00";

    fn timing(at: &str, state: ChatState, wait: Option<i64>) -> ChatTiming {
        let created_at: NaiveDateTime = at.parse().unwrap();
        ChatTiming { state, created_at, first_byte_at: wait.map(|wait| created_at + milliseconds(wait)) }
    }

    fn made(timings: &[ChatTiming], is_cut: bool) -> Performance {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        Performance::new(timings, is_cut, berlin, NOW.parse().unwrap()).unwrap()
    }

    fn rows(performance: &Performance) -> Vec<String> {
        let written = |cell: &Cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::Tokens(number) => number.to_string(),
            _ => "-".to_owned(),
        };
        let rows = performance.table.rows.iter();
        rows.map(|row| row.iter().map(written).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn chats_are_added_up_by_the_days_of_the_zone() {
        let chats = [
            timing("2026-11-29T09:00:00", ChatState::Complete, Some(900)),
            timing("2026-11-28T23:30:00", ChatState::Complete, Some(100)),
            timing("2026-11-28T23:40:00", ChatState::Complete, Some(300)),
            timing("2026-11-28T22:30:00", ChatState::Failed, None),
        ];
        let performance = made(&chats, false);
        assert_eq!(performance.unit, "day");
        assert_eq!(rows(&performance), ["2026-11-29 3 0 300 ms", "2026-11-28 1 1 -"]);
        assert_eq!((performance.messages.bars.len(), performance.note.as_str()), (30, ""));
        assert!(made(&chats[3..], false).first_token.is_none());
    }

    #[test]
    fn many_chats_are_added_up_by_hours_and_an_hour_that_was_not_read_whole_is_left_out() {
        let chats = [
            timing("2026-11-29T10:10:00", ChatState::Complete, Some(1_500)),
            timing("2026-11-29T09:59:00", ChatState::Complete, None),
            timing("2026-11-29T08:30:00", ChatState::Complete, None),
        ];
        let performance = made(&chats, true);
        assert_eq!(performance.unit, "hour");
        assert_eq!(rows(&performance), ["2026-11-29 11 1 0 1.5 s", "2026-11-29 10 1 0 -"]);
        assert_eq!(performance.messages.bars.len(), 2);
        assert_eq!(performance.note, "The latest 3 chats.");
        assert_eq!(rows(&made(&chats[..1], true)), ["2026-11-29 11 1 0 1.5 s"], "this hour is always shown");
    }

    #[test]
    fn a_model_without_chats_has_no_charts() {
        assert!(Performance::new(&[], false, Zone::UTC, NOW.parse().unwrap()).is_none());
    }
}
