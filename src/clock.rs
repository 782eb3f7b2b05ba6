//! The only source of time. Code that needs the time takes it as an argument, so that tests can
//! choose it.

mod alarm;

use chrono::{Datelike, NaiveDate, NaiveDateTime, SubsecRound, Timelike, Utc};

pub use alarm::Alarm;

/// Returns the current time in UTC, truncated to microseconds: PostgreSQL stores no more digits,
/// and both databases must store the same.
pub fn now() -> NaiveDateTime {
    Utc::now().naive_utc().trunc_subsecs(6)
}

/// Formats a time as RFC 3339 in UTC with microseconds, the form that JSON responses use.
pub fn rfc3339(time: NaiveDateTime) -> String {
    let Some(mut digits) = digits_of(time) else {
        return time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    };
    digits[10] = b'T';
    let mut text = text_of(&digits[..26]);
    text.push('Z');
    text
}

/// Formats a time as SQLite's columns store it: in UTC, with a space, and with as few of 0, 3, 6 or
/// 9 digits of a second as it needs. The database compares these texts.
pub fn stored_text(time: NaiveDateTime) -> String {
    let Some(digits) = digits_of(time) else { return time.format("%F %T%.f").to_string() };
    let nanoseconds = time.nanosecond();
    let length = match nanoseconds {
        0 => 19,
        _ if nanoseconds.is_multiple_of(1_000_000) => 23,
        _ if nanoseconds.is_multiple_of(1_000) => 26,
        _ => 29,
    };
    text_of(&digits[..length])
}

/// Parses the form of [`stored_text`]. Returns `None` for any other form.
pub fn parse_stored_text(text: &str) -> Option<NaiveDateTime> {
    let text = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        Some(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    let has = |place: usize, byte: u8| text.get(place) == Some(&byte);
    let is_separated = has(4, b'-') && has(7, b'-') && has(10, b' ') && has(13, b':') && has(16, b':');
    let nanoseconds = match text.len() {
        19 => 0,
        length @ 21..=29 if has(19, b'.') => {
            number(20, length)? * 10_u32.pow(u32::try_from(29 - length).ok()?)
        }
        _ => return None,
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)?;
    let time = date.and_hms_nano_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, nanoseconds);
    time.filter(|_| is_separated)
}

/// Returns `YYYY-MM-DD HH:MM:SS.nnnnnnnnn`. A format string, which chrono would parse each time,
/// takes ten times as long. Returns `None` for a year without four digits or a leap second.
fn digits_of(time: NaiveDateTime) -> Option<[u8; 29]> {
    let year = u32::try_from(time.year()).ok().filter(|year| *year <= 9999)?;
    let nanoseconds = Some(time.nanosecond()).filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    let mut digits = *b"0000-00-00 00:00:00.000000000";
    for (from, to, number) in [
        (0, 4, year),
        (5, 7, time.month()),
        (8, 10, time.day()),
        (11, 13, time.hour()),
        (14, 16, time.minute()),
        (17, 19, time.second()),
        (20, 29, nanoseconds),
    ] {
        let mut rest = number;
        for place in (from..to).rev() {
            digits[place] += u8::try_from(rest % 10).ok()?;
            rest /= 10;
        }
    }
    Some(digits)
}

fn text_of(digits: &[u8]) -> String {
    String::from_utf8_lossy(digits).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_no_nanoseconds_and_is_shown_in_utc() {
        assert_eq!(now().nanosecond() % 1000, 0);
        let time = chrono::DateTime::from_timestamp(1_700_000_000, 1_000).map(|t| t.naive_utc());
        assert_eq!(time.map(rfc3339).as_deref(), Some("2023-11-14T22:13:20.000001Z"));
    }

    /// Returns the time of a second and a nanosecond.
    fn at(second: i64, nanosecond: u32) -> NaiveDateTime {
        chrono::DateTime::from_timestamp(second, nanosecond).unwrap().naive_utc()
    }

    /// Checks a time against chrono's own format strings.
    fn check(time: NaiveDateTime) {
        assert_eq!(rfc3339(time), time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        let text = time.format("%F %T%.f").to_string();
        assert_eq!(stored_text(time), text);
        if let Some(parsed) = parse_stored_text(&text) {
            assert_eq!(parsed, time, "{text}");
        } else {
            assert!(!(0..=9999).contains(&time.year()), "{text} is not parsed");
        }
    }

    #[test]
    fn every_time_is_formatted_and_parsed_as_by_chrono() {
        let step = |number: i64, most: i64| number.wrapping_mul(6_364_136_223_846_793_005).rem_euclid(most);
        // From the year -1000 to 12000.
        let (first, length) = (-93_720_000_000, 410_000_000_000);
        for number in 0..50_000 {
            let second = first + step(number * 2 + 1, length);
            let nanosecond = u32::try_from(step(number * 2 + 7, 1_000_000_000)).unwrap();
            for unit in [1, 1_000, 1_000_000, 1_000_000_000] {
                check(at(second, nanosecond / unit * unit));
            }
        }
        for second in [-62_167_219_200, 253_402_300_799, 0, -1, 951_782_400, 4_107_542_399] {
            for nanosecond in [0, 1, 999, 1_000, 999_999, 1_000_000, 500_000_000, 999_999_999] {
                check(at(second, nanosecond));
            }
        }
    }

    #[test]
    fn a_leap_second_is_formatted_as_by_chrono() {
        let time = at(1_483_228_799, 0).date().and_hms_nano_opt(23, 59, 59, 1_500_000_000).unwrap();
        assert_eq!(rfc3339(time), time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        assert_eq!(stored_text(time), time.format("%F %T%.f").to_string());
    }

    #[test]
    fn other_forms_of_a_time_are_left_to_chrono() {
        for text in [
            "",
            "2026-11-30",
            "2026-11-30 15:04",
            "2026-11-30T15:04:05",
            "2026-11-30 15:04:05Z",
            "2026-11-30 15:04:05+00:00",
            "2026-11-30 15:04:05.",
            "2026-11-30 15:04:05.1234567890",
            "2026-11-30 15:04:05,123",
            "2026-11-30 15:04:60",
            "2026-13-30 15:04:05",
            "2026-02-29 15:04:05",
            "+026-11-30 15:04:05",
            "12026-11-30 15:04:05",
            "2026-11-30 15:04:0५",
        ] {
            assert_eq!(parse_stored_text(text), None, "{text}");
        }
        let half = at(1_700_000_000, 500_000_000);
        assert_eq!(parse_stored_text("2023-11-14 22:13:20.5"), Some(half));
    }
}
