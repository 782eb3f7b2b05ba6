//! Days: the ranges that can be asked for, and where they begin and end in a list that is in the order of its ids. Rows
//! were added in the order of time, so the ids of a range are found by halving, and no index on the time is needed.

use chrono::{Datelike, Days, Months, NaiveDate, TimeDelta};

use super::Asked;
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::first_id_since;
use crate::models::list::{ListQuery, Value};

/// Clocks of nodes, and transactions that overtake each other, put rows out of order by less than this.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// The ids of the days that the filter `date` asks for: from one to before another; `None`: it is not set. Rows near the
/// edges may be of another day.
pub(in crate::admin) fn ids_of_days(
    conn: &mut DbConnection,
    asked: &Asked,
    table: &'static str,
) -> Result<Option<(i64, i64)>> {
    let Some([Value::Time(from), Value::Time(to)]) = asked.values_of("date") else { return Ok(None) };
    let above = first_id_since(conn, table, *from - SLACK)?.unwrap_or(i64::MAX);
    let below = first_id_since(conn, table, *to + SLACK)?.unwrap_or(i64::MAX);
    Ok(Some((above, below)))
}

/// Bounds the walk to the ids of the days that the filter `date` asks for. Its own condition still decides at the edges.
pub(in crate::admin) fn between_ids(
    conn: &mut DbConnection,
    asked: &Asked,
    query: &mut ListQuery,
    table: &'static str,
) -> Result<()> {
    query.between = ids_of_days(conn, asked, table)?;
    Ok(())
}

/// Ranges of days on offer: as in the query string, and in words.
pub(super) const DAY_PRESETS: [(&str, &str); 4] =
    [("today", "Today"), ("7days", "Past 7 days"), ("month", "This month"), ("year", "This year")];

/// Before anything was ever recorded; also what every time zone can still reckon with.
const FIRST_DAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(1970, 1, 2);

/// After it years have more digits than either database could compare with.
const LAST_DAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(9999, 12, 30);

/// A range of days: a preset under the filter's name, or `NAME_from` and `NAME_to`. Up to, not including, the
/// second day.
pub(super) fn days(asked: &Asked, name: &str) -> Option<(String, String, NaiveDate, NaiveDate)> {
    let today = asked.zone.date_of(asked.now);
    let tomorrow = today + Days::new(1);
    let value = asked.parameters.get(name).map(String::as_str).unwrap_or_default();
    if let Some((_, label)) = DAY_PRESETS.iter().find(|(preset, _)| *preset == value) {
        let from = match value {
            "today" => today,
            "7days" => today - Days::new(6),
            "month" => first_of_month(today),
            _ => NaiveDate::from_yo_opt(today.year(), 1).unwrap_or(today),
        };
        return Some((value.to_owned(), (*label).to_owned(), from, tomorrow));
    }
    let day = |end: &str| {
        let text = asked.parameters.get(&format!("{name}_{end}"))?;
        text.parse::<NaiveDate>().ok().filter(|day| FIRST_DAY <= Some(*day) && Some(*day) <= LAST_DAY)
    };
    let (from, to) = (day("from"), day("to"));
    let shown = match (from, to) {
        (Some(from), Some(to)) => format!("{from} to {to}"),
        (Some(from), None) => format!("since {from}"),
        (None, Some(to)) => format!("until {to}"),
        (None, None) => return None,
    };
    let from = from.or(FIRST_DAY)?;
    let to = to
        .and_then(|to| to.checked_add_days(Days::new(1)))
        .or_else(|| tomorrow.checked_add_months(Months::new(12)))?;
    Some((String::new(), shown, from, to))
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}
