//! The numbers on the home page. Each is what the list that it links to shows.

use super::days::{Calendar, Day, History, LINE_DAYS};
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::{Count, ListQuery, MOST_COUNTED};
use crate::models::{OpenHolds, PeriodTotals, User};
use crate::panel::kit::chart::Sparkline;
use crate::panel::kit::format;
use crate::panel::kit::list::capped;
use crate::panel::kit::paths;

/// A number in a few characters, with all its digits and the link to its list.
pub(super) struct Figure {
    pub short: String,
    /// All digits, and the unit where it is needed.
    pub whole: String,
    pub href: String,
}

/// The change of a week against the week before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// An arrow and the percentage.
    pub short: String,
    /// The same for screen readers, and when the mouse is over it.
    pub words: String,
}

/// A card: a number of today, its line of 30 days, and the sum of seven days.
pub(super) struct Card {
    pub label: &'static str,
    pub today: Figure,
    pub week: Figure,
    pub change: Option<Change>,
    pub line: Sparkline,
}

/// A number without a line.
pub(super) struct Small {
    pub label: &'static str,
    pub figures: Vec<SmallFigure>,
}

/// A part of a [`Small`], with the words behind it.
pub(super) struct SmallFigure {
    pub figure: Figure,
    pub words: &'static str,
}

/// All numbers, as text.
pub(super) struct Numbers {
    pub cards: Vec<Card>,
    pub small: Vec<Small>,
}

/// Numbers that are counted in tables, and not by the follower.
pub(super) struct Counted {
    users: Count,
    joined_today: i64,
    joined_this_week: i64,
}

impl Counted {
    /// Counts up to 10,000 of each.
    pub(super) fn read(conn: &mut DbConnection, calendar: &Calendar) -> Result<Counted> {
        Ok(Counted {
            users: ListQuery::all("users", "users.id").count(conn)?,
            joined_today: User::joined_since(conn, calendar.start(0), MOST_COUNTED + 1)?,
            joined_this_week: User::joined_since(conn, calendar.start(6), MOST_COUNTED + 1)?,
        })
    }
}

/// What a card shows.
struct Flow {
    label: &'static str,
    /// What the number is, in the text of the line.
    what: &'static str,
    of: fn(&PeriodTotals) -> i64,
    /// The list, with the filters that make it show this number.
    list: &'static str,
    filters: &'static str,
}

const FLOWS: [Flow; 4] = [
    Flow {
        label: "Messages",
        what: "messages",
        of: |totals| totals.messages,
        list: paths::CHATS,
        filters: "endpoint=all",
    },
    Flow {
        label: "Tokens spent",
        what: "tokens spent",
        of: |totals| totals.spent,
        list: paths::LEDGER,
        filters: "kind=chats&sums=1",
    },
    Flow {
        label: "Granted",
        what: "tokens granted",
        of: |totals| totals.granted,
        list: paths::LEDGER,
        filters: "kind=adjustment&sums=1",
    },
    Flow {
        label: "Failed",
        what: "failed chats",
        of: |totals| totals.failed,
        list: paths::CHATS,
        filters: "state=failed&endpoint=all",
    },
];

fn figure(value: i64, href: String) -> Figure {
    Figure { short: format::compact(value), whole: format::tokens(value), href }
}

/// A number that is counted up to 10,000.
fn counted(count: Count, href: String) -> Figure {
    let text = capped(count);
    Figure { short: text.clone(), whole: text, href }
}

fn up_to_most(number: i64) -> Count {
    Count { number: number.min(MOST_COUNTED), at_least: number > MOST_COUNTED }
}

fn card(flow: &Flow, history: &History) -> Card {
    let Flow { label, what, of, list, filters } = flow;
    let href = |days: &str| format!("{list}?{filters}&date={days}");
    let values: Vec<i64> = history.last(LINE_DAYS).iter().map(|day: &Day| of(&day.totals)).collect();
    let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
    let summary = format!(
        "Each of the past {LINE_DAYS} days: {} to {} {what}",
        format::tokens(least.unwrap_or_default()),
        format::tokens(most.unwrap_or_default())
    );
    Card {
        label,
        today: figure(of(&history.today()), href("today")),
        week: figure(of(&history.week), href("7days")),
        change: change(of(&history.week), of(&history.week_before)),
        line: Sparkline::new(&values, summary),
    }
}

/// Returns the change from one week to the next. `None` if there is nothing to compare with.
fn change(now: i64, before: i64) -> Option<Change> {
    const MOST: i128 = 999;
    if before <= 0 {
        return None;
    }
    let (now, before) = (i128::from(now), i128::from(before));
    let percent = ((now - before) * 200 + before * (now - before).signum()) / (before * 2);
    let size = percent.abs();
    let number = if size > MOST { format!("more than {MOST}") } else { size.to_string() };
    let short = if size > MOST { format!(">{MOST}") } else { size.to_string() };
    let (arrow, words) = match percent {
        0 => {
            return Some(Change {
                short: "±0\u{a0}%".to_owned(), words: "As in the week before".to_owned()
            });
        }
        1.. => ("▲", "more"),
        _ => ("▼", "less"),
    };
    Some(Change {
        short: format!("{arrow}\u{a0}{short}\u{a0}%"),
        words: format!("{number} % {words} in the past 7 days than in the 7 days before"),
    })
}

impl Numbers {
    /// Formats what was read.
    pub(super) fn new(history: &History, counted_rows: &Counted, holds: &OpenHolds) -> Numbers {
        let small = |label, figures: Vec<(Figure, &'static str)>| Small {
            label,
            figures: figures.into_iter().map(|(figure, words)| SmallFigure { figure, words }).collect(),
        };
        let refunds = |days: &str| format!("{}?kind=refund&sums=1&date={days}", paths::LEDGER);
        let joined = |days: &str| format!("{}?joined={days}", paths::USERS);
        let (today, week) = (history.today(), history.week);
        Numbers {
            cards: FLOWS.iter().map(|flow| card(flow, history)).collect(),
            small: vec![
                small(
                    "Refunded",
                    vec![
                        (figure(today.refunded, refunds("today")), "today"),
                        (figure(week.refunded, refunds("7days")), "in 7 days"),
                    ],
                ),
                small(
                    "New users",
                    vec![
                        (counted(up_to_most(counted_rows.joined_today), joined("today")), "today"),
                        (counted(up_to_most(counted_rows.joined_this_week), joined("7days")), "in 7 days"),
                    ],
                ),
                small("Users", vec![(counted(counted_rows.users, paths::USERS.to_owned()), "in all")]),
                small(
                    "Open holds",
                    vec![
                        (counted(up_to_most(holds.number), paths::HOLDS.to_owned()), "in all"),
                        (figure(holds.tokens, paths::HOLDS.to_owned()), "tokens held"),
                    ],
                ),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(now: i64, before: i64) -> String {
        change(now, before).map_or(String::new(), |change| change.short.replace('\u{a0}', " "))
    }

    #[test]
    fn a_change_is_a_percentage_of_the_week_before() {
        assert_eq!(short(112, 100), "▲ 12 %");
        assert_eq!(short(29, 100), "▼ 71 %");
        assert_eq!([short(1004, 1000), short(996, 1000)], ["±0 %", "±0 %"]);
        assert_eq!([short(1005, 1000), short(995, 1000)], ["▲ 1 %", "▼ 1 %"], "halves are rounded up");
        assert_eq!(short(0, 5), "▼ 100 %");
        assert_eq!(short(9_000_000_000_000_000, 1), "▲ >999 %");
    }

    #[test]
    fn without_a_week_before_there_is_no_change() {
        assert_eq!([short(5, 0), short(0, 0), short(5, -3)], ["", "", ""]);
    }

    #[test]
    fn a_change_is_said_in_words_too() {
        let words = change(112, 100).unwrap().words;
        assert_eq!(words, "12 % more in the past 7 days than in the 7 days before");
    }
}
