//! The chart of messages per day, and the same as a table.

use super::days::{CHART_DAYS, Calendar, Day, History};
use crate::panel::kit::chart::{Bars, Stack};
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::paths;
use crate::panel::kit::table::{Table, TableHead};

/// A link that shows the chart of another number of days.
pub(super) struct DaysLink {
    pub label: String,
    pub href: String,
    pub is_current: bool,
}

/// The chart, and its table.
pub(super) struct MessagesChart {
    pub choice: Vec<DaysLink>,
    pub bars: Bars,
    pub table: Table,
    /// The number of days that are shown.
    pub days: usize,
}

impl MessagesChart {
    /// Makes the chart of the days that the administrator has chosen.
    pub(super) fn new(calendar: &Calendar, history: &History) -> MessagesChart {
        let count = calendar.chart_days;
        let days = history.last(count);
        let choice = CHART_DAYS.map(|days| DaysLink {
            label: format!("{days} days"),
            href: format!("{}?days={days}", paths::HOME),
            is_current: days == count,
        });
        MessagesChart {
            choice: choice.into(),
            bars: Bars::new(days.iter().map(stack).collect(), summary(days)),
            table: table(days),
            days: count,
        }
    }
}

fn stack(day: &Day) -> Stack {
    let (messages, failed) = (day.totals.messages, day.totals.failed);
    Stack {
        label: day.date.format("%-d %b").to_string(),
        lower: messages.saturating_sub(failed),
        upper: failed,
        title: format!(
            "{}: {}, {} failed",
            day.date.format("%a %-d %b"),
            format::counted(messages, "message", "messages"),
            format::tokens(failed)
        ),
    }
}

/// Describes the chart in a sentence.
fn summary(days: &[Day]) -> String {
    let sum = |of: fn(&Day) -> i64| days.iter().map(of).fold(0_i64, i64::saturating_add);
    let busiest = days.iter().max_by_key(|day| day.totals.messages);
    let most = busiest.filter(|day| day.totals.messages > 0).map_or(String::new(), |day| {
        let most = format::tokens(day.totals.messages);
        format!("; the most on one day were {most}, on {}", day.date.format("%-d %B"))
    });
    format!(
        "Messages per day in {} days: {}, {} failed{most}",
        days.len(),
        format::counted(sum(|day| day.totals.messages), "message", "messages"),
        format::tokens(sum(|day| day.totals.failed))
    )
}

/// The days with their numbers, the latest first. Each number leads to its chats.
fn table(days: &[Day]) -> Table {
    let number = |value: i64, href: String| match value {
        0 => Cell::Tokens(0),
        value => Cell::Link { text: format::tokens(value), href },
    };
    let row = |day: &Day| {
        let chats = format!("{}?endpoint=all&date_from={date}&date_to={date}", paths::CHATS, date = day.date);
        vec![
            Cell::Text(day.date.format("%a %-d %b").to_string()),
            number(day.totals.messages, chats.clone()),
            number(day.totals.failed, format!("{chats}&state=failed")),
        ]
    };
    Table {
        heads: vec![TableHead::text("Day"), TableHead::number("Messages"), TableHead::number("Failed")],
        rows: days.iter().rev().map(row).collect(),
        empty: "There are no days.",
    }
}
