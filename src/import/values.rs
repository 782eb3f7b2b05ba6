//! Reads the values of a Django database. All arrive as text.

use chrono::{NaiveDate, NaiveDateTime, SubsecRound, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::clock;

/// A key of the source. Numbers are in the order of their values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum SourceKey {
    Number(i64),
    Text(Box<str>),
}

impl SourceKey {
    pub(super) fn of(text: &str) -> SourceKey {
        match text.parse::<i64>() {
            // The text of the number must be the key again.
            Ok(number) if number.to_string() == text => SourceKey::Number(number),
            _ => SourceKey::Text(text.into()),
        }
    }
}

impl std::fmt::Display for SourceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SourceKey::Number(number) => write!(f, "{number}"),
            SourceKey::Text(text) => f.write_str(text),
        }
    }
}

/// Reads a time, in UTC with microseconds. A time without an offset is in `zone`: Django stores UTC
/// in SQLite if `USE_TZ` is on, and otherwise the local time. Returns `None` for anything that is
/// not a time.
pub(super) fn time(text: &str, zone: Tz) -> Option<NaiveDateTime> {
    let text = text.trim();
    if let Ok(day) = text.parse::<NaiveDate>() {
        return in_utc(day.and_hms_opt(0, 0, 0)?, zone);
    }
    let (stamp, offset) = split_offset(text);
    let stamp = clock::parse_stored_text(&stamp.trim_end().replacen('T', " ", 1))?.trunc_subsecs(6);
    match offset {
        None => in_utc(stamp, zone),
        Some(offset) => stamp.checked_sub_signed(parse_offset(offset)?),
    }
}

/// Splits what follows the seconds from a time: `Z`, or `+01:00` and the like.
fn split_offset(text: &str) -> (&str, Option<&str>) {
    let place = text.char_indices().skip(19).find(|(_, c)| matches!(c, '+' | '-' | 'Z'));
    place.map_or((text, None), |(at, _)| (&text[..at], Some(&text[at..])))
}

fn parse_offset(text: &str) -> Option<TimeDelta> {
    let sign = match text.chars().next()? {
        'Z' => return (text == "Z").then(TimeDelta::zero),
        '-' => -1,
        _ => 1,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |at: usize| digits.get(at..at + 2).map_or(Some(0), |two| two.parse::<i64>().ok());
    Some(TimeDelta::seconds(sign * (number(0)? * 3600 + number(2)? * 60 + number(4)?)))
}

/// Converts a local time. Where the clock was put back, it is the earlier of the two; one that the
/// clock skipped is read as if it had not.
fn in_utc(local: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    let found = zone.from_local_datetime(&local).earliest();
    let hour = TimeDelta::hours(1);
    let skipped = || {
        let before = zone.from_local_datetime(&local.checked_sub_signed(hour)?).earliest()?;
        before.naive_utc().checked_add_signed(hour)
    };
    found.map(|time| time.naive_utc()).or_else(skipped)
}

/// Reads a truth value, as SQLite (`0`, `1`) and PostgreSQL (`true`) write them.
pub(super) fn truth(text: Option<&str>) -> Option<bool> {
    match text?.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}

/// Reads a balance: a whole number, also one of a decimal column, such as `12.00`. Returns `None`
/// for any other text.
pub(super) fn balance(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    whole.parse().ok()
}

/// Returns the text without U+0000, which no database here stores, and whether it had one.
pub(super) fn storable(text: String) -> (String, bool) {
    match text.contains('\0') {
        true => (text.replace('\0', "\u{FFFD}"), true),
        false => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<String> {
        time(text, Tz::UTC).map(|time| time.to_string())
    }

    #[test]
    fn all_forms_of_a_time_are_read() {
        for (text, expected) in [
            ("2019-05-04 03:02:01", "2019-05-04 03:02:01"),
            ("2019-05-04 03:02:01.123456", "2019-05-04 03:02:01.123456"),
            ("2019-05-04 03:02:01.5", "2019-05-04 03:02:01.500"),
            ("2019-05-04T03:02:01Z", "2019-05-04 03:02:01"),
            ("2019-05-04 03:02:01.25+00", "2019-05-04 03:02:01.250"),
            ("2019-05-04 03:02:01+02", "2019-05-04 01:02:01"),
            ("2019-05-04 03:02:01+05:30", "2019-05-03 21:32:01"),
            ("2019-05-04 03:02:01-0330", "2019-05-04 06:32:01"),
            ("2019-05-04 03:02:01 +01:00", "2019-05-04 02:02:01"),
            ("2019-05-04", "2019-05-04 00:00:00"),
        ] {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "now", "infinity", "2019-13-01 00:00:00", "2019-05-04 03:02:01+x", "1556938921"] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_in_the_zone() {
        let berlin = |text: &str| time(text, chrono_tz::Europe::Berlin).unwrap().to_string();
        assert_eq!(berlin("2026-07-01 12:00:00"), "2026-07-01 10:00:00");
        assert_eq!(berlin("2026-07-01 12:00:00+00"), "2026-07-01 12:00:00");
        // The hour that the clock repeated, and the one that it skipped.
        assert_eq!(berlin("2026-10-25 02:30:00"), "2026-10-25 00:30:00");
        assert_eq!(berlin("2026-03-29 02:30:00"), "2026-03-29 01:30:00");
    }

    #[test]
    fn a_balance_is_a_whole_number() {
        for (text, expected) in [("4000", 4000), (" -5 ", -5), ("12.00", 12), ("-3.0", -3)] {
            assert_eq!(balance(text), Some(expected), "{text}");
        }
        for text in ["", "12.50", "many", "1e3", "99999999999999999999", "."] {
            assert_eq!(balance(text), None, "{text}");
        }
    }

    #[test]
    fn keys_that_are_numbers_are_in_the_order_of_numbers() {
        let mut keys = ["10", "9", "b", "007", "-1"].map(SourceKey::of);
        keys.sort();
        assert_eq!(keys.map(|key| key.to_string()), ["-1", "9", "10", "007", "b"]);
    }
}
