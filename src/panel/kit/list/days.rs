//! Ranges of days that a filter offers.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, Months, NaiveDate};

/// Ranges of days on offer: as in the query string, and in words.
pub(super) const DAY_PRESETS: [(&str, &str); 4] =
    [("today", "Today"), ("7days", "Past 7 days"), ("month", "This month"), ("year", "This year")];

/// Before anything was ever recorded; also what every time zone can still reckon with.
const FIRST_DAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(1970, 1, 2);

/// After it years have more digits than either database could compare with.
const LAST_DAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(9999, 12, 30);

/// A range of days: a preset under the filter's name, or `NAME_from` and `NAME_to`. Up to, not including, the
/// second day.
pub(super) fn days(
    parameters: &BTreeMap<String, String>,
    name: &str,
    today: NaiveDate,
) -> Option<(String, String, NaiveDate, NaiveDate)> {
    let tomorrow = today + Days::new(1);
    let value = parameters.get(name).map(String::as_str).unwrap_or_default();
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
        let text = parameters.get(&format!("{name}_{end}"))?;
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
