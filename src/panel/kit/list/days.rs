//! Filters by days: the presets, and reading a range from the query string.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, Months, NaiveDate};

/// A range of days on offer in a filter.
pub(super) struct DayPreset {
    /// The value in the query string.
    pub value: &'static str,
    pub label: &'static str,
}

/// The presets of every filter by days.
pub(super) const DAY_PRESETS: [DayPreset; 4] = [
    DayPreset { value: "today", label: "Today" },
    DayPreset { value: "7days", label: "Past 7 days" },
    DayPreset { value: "month", label: "This month" },
    DayPreset { value: "year", label: "This year" },
];

/// A range of days that was selected.
pub(super) struct PickedDays {
    /// The value of the preset. Empty if the range was typed.
    pub value: String,
    /// The range in words, for the filter's chip.
    pub shown: String,
    pub from: NaiveDate,
    /// The day after the last one of the range.
    pub to: NaiveDate,
}

/// The first day that can be asked for: earlier than any row, and valid in every time zone.
const FIRST_DAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(1970, 1, 2);

/// The last day that can be asked for. Later years have more digits than the databases can compare.
const LAST_DAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(9999, 12, 30);

/// Reads a range of days: a preset in the parameter `NAME`, or dates in `NAME_from` and `NAME_to`.
/// `None` if there is no valid one.
pub(super) fn days(
    parameters: &BTreeMap<String, String>,
    name: &str,
    today: NaiveDate,
) -> Option<PickedDays> {
    let tomorrow = today + Days::new(1);
    let value = parameters.get(name).map(String::as_str).unwrap_or_default();
    if let Some(preset) = DAY_PRESETS.iter().find(|preset| preset.value == value) {
        let from = match value {
            "today" => today,
            "7days" => today - Days::new(6),
            "month" => first_of_month(today),
            _ => NaiveDate::from_yo_opt(today.year(), 1).unwrap_or(today),
        };
        return Some(PickedDays {
            value: value.to_owned(),
            shown: preset.label.to_owned(),
            from,
            to: tomorrow,
        });
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
    Some(PickedDays { value: String::new(), shown, from, to })
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}
