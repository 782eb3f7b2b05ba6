//! Filters by days: the presets, reading a range from the query string, and the way from years to
//! days.

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

/// Reads a range of days: dates in `NAME_from` and `NAME_to`, or in the parameter `NAME` a preset,
/// a year, a month or a day. `None` if there is no valid one.
pub(super) fn days(
    parameters: &BTreeMap<String, String>,
    name: &str,
    today: NaiveDate,
) -> Option<PickedDays> {
    typed(parameters, name, today).or_else(|| {
        let value = parameters.get(name)?;
        preset(value, today).or_else(|| {
            let period = Period::parse(value)?;
            let (from, to) = (period.first(), period.end());
            Some(PickedDays { value: value.clone(), shown: period.label(), from, to })
        })
    })
}

fn preset(value: &str, today: NaiveDate) -> Option<PickedDays> {
    let preset = DAY_PRESETS.iter().find(|preset| preset.value == value)?;
    let from = match value {
        "today" => today,
        "7days" => today - Days::new(6),
        "month" => first_of_month(today),
        _ => NaiveDate::from_yo_opt(today.year(), 1).unwrap_or(today),
    };
    let to = today + Days::new(1);
    Some(PickedDays { value: value.to_owned(), shown: preset.label.to_owned(), from, to })
}

fn is_possible(day: NaiveDate) -> bool {
    FIRST_DAY <= Some(day) && Some(day) <= LAST_DAY
}

fn typed(parameters: &BTreeMap<String, String>, name: &str, today: NaiveDate) -> Option<PickedDays> {
    let day = |end: &str| {
        let text = parameters.get(&format!("{name}_{end}"))?;
        text.parse::<NaiveDate>().ok().filter(|day| is_possible(*day))
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
        .or_else(|| today.checked_add_months(Months::new(12)))?;
    Some(PickedDays { value: String::new(), shown, from, to })
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// A year, a month or a day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    /// The first day of a year.
    Year(NaiveDate),
    /// The first day of a month.
    Month(NaiveDate),
    Day(NaiveDate),
}

impl Period {
    /// Reads `2026`, `2026-11` or `2026-11-29`.
    pub(super) fn parse(text: &str) -> Option<Period> {
        let period = match text.len() {
            4 => Period::Year(format!("{text}-01-01").parse().ok()?),
            7 => Period::Month(format!("{text}-01").parse().ok()?),
            10 => Period::Day(text.parse().ok()?),
            _ => return None,
        };
        (is_possible(period.first()) && is_possible(period.end())).then_some(period)
    }

    pub(super) fn first(self) -> NaiveDate {
        match self {
            Period::Year(first) | Period::Month(first) | Period::Day(first) => first,
        }
    }

    /// Returns the day after the last one.
    pub(super) fn end(self) -> NaiveDate {
        let end = match self {
            Period::Year(first) => first.checked_add_months(Months::new(12)),
            Period::Month(first) => first.checked_add_months(Months::new(1)),
            Period::Day(day) => day.succ_opt(),
        };
        end.unwrap_or(NaiveDate::MAX)
    }

    /// Returns its value in the query string.
    pub(super) fn value(self) -> String {
        let format = match self {
            Period::Year(_) => "%Y",
            Period::Month(_) => "%Y-%m",
            Period::Day(_) => "%Y-%m-%d",
        };
        self.first().format(format).to_string()
    }

    /// Returns it in words.
    pub(super) fn label(self) -> String {
        let format = match self {
            Period::Year(_) => "%Y",
            Period::Month(_) => "%B %Y",
            Period::Day(_) => "%-d %B %Y",
        };
        self.first().format(format).to_string()
    }

    /// Returns it as short as it can be below the period that it belongs to.
    pub(super) fn short_label(self) -> String {
        let format = match self {
            Period::Year(_) => "%Y",
            Period::Month(_) => "%b",
            Period::Day(_) => "%-d",
        };
        self.first().format(format).to_string()
    }

    /// Returns the periods that contain this one, the largest first, and then itself.
    pub(super) fn way(self) -> Vec<Period> {
        let first = self.first();
        let year = Period::Year(NaiveDate::from_yo_opt(first.year(), 1).unwrap_or(first));
        match self {
            Period::Year(_) => vec![year],
            Period::Month(_) => vec![year, self],
            Period::Day(_) => vec![year, Period::Month(first_of_month(first)), self],
        }
    }

    /// Returns the months of a year or the days of a month, up to `today`. A day has no parts.
    pub(super) fn parts(self, today: NaiveDate) -> Vec<Period> {
        let part = match self {
            Period::Year(_) => Period::Month,
            Period::Month(_) => Period::Day,
            Period::Day(_) => return Vec::new(),
        };
        let mut parts = vec![];
        let mut next = part(self.first());
        while next.first() < self.end() && next.first() <= today {
            parts.push(next);
            next = part(next.end());
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn picked(pairs: &[(&str, &str)]) -> Option<(String, NaiveDate, NaiveDate)> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        days(&pairs, "date", day("2026-11-29")).map(|days| (days.shown, days.from, days.to))
    }

    #[test]
    fn a_year_a_month_and_a_day_are_ranges() {
        for (value, shown, from, to) in [
            ("2024", "2024", "2024-01-01", "2025-01-01"),
            ("2024-02", "February 2024", "2024-02-01", "2024-03-01"),
            ("2024-02-29", "29 February 2024", "2024-02-29", "2024-03-01"),
            ("2025-12", "December 2025", "2025-12-01", "2026-01-01"),
        ] {
            assert_eq!(picked(&[("date", value)]), Some((shown.to_owned(), day(from), day(to))), "{value}");
        }
        for wrong in ["", "20", "1969", "2023-13", "2023-02-29", "9999-12-31", "+024", "2024-1"] {
            assert_eq!(picked(&[("date", wrong)]), None, "{wrong}");
        }
    }

    #[test]
    fn typed_days_come_before_a_preset() {
        let (shown, from, _) = picked(&[("date", "today"), ("date_from", "2026-01-02")]).unwrap();
        assert_eq!((shown.as_str(), from), ("since 2026-01-02", day("2026-01-02")));
        let (shown, ..) = picked(&[("date", "today"), ("date_from", "yesterday")]).unwrap();
        assert_eq!(shown, "Today");
    }

    #[test]
    fn periods_lead_from_years_to_days() {
        let today = day("2026-11-03");
        let texts = |periods: Vec<Period>| periods.into_iter().map(Period::value).collect::<Vec<_>>();
        let short = |periods: Vec<Period>| periods.into_iter().map(Period::short_label).collect::<Vec<_>>();
        let at = |text: &str| Period::parse(text).unwrap();
        assert_eq!(short(at("2026").parts(today)).join(" "), "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov");
        assert_eq!(texts(at("2026-11").parts(today)), ["2026-11-01", "2026-11-02", "2026-11-03"]);
        assert_eq!(at("2024-02").parts(today).len(), 29);
        assert!(at("2026-11-03").parts(today).is_empty() && at("2027").parts(today).is_empty());
        assert_eq!(texts(at("2026-11-03").way()), ["2026", "2026-11", "2026-11-03"]);
    }
}
