//! The only source of time. Code that needs the time takes it as an argument, so that tests can
//! choose it.

use chrono::{NaiveDateTime, SubsecRound, Utc};

/// Returns the current time in UTC, truncated to microseconds: PostgreSQL stores no more digits,
/// and both databases must store the same.
pub fn now() -> NaiveDateTime {
    Utc::now().naive_utc().trunc_subsecs(6)
}

/// Formats a time as RFC 3339 in UTC with microseconds, the form that JSON responses use.
pub fn rfc3339(time: NaiveDateTime) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_no_nanoseconds_and_is_shown_in_utc() {
        use chrono::Timelike;
        assert_eq!(now().nanosecond() % 1000, 0);
        let time = chrono::DateTime::from_timestamp(1_700_000_000, 1_000).map(|t| t.naive_utc());
        assert_eq!(time.map(rfc3339).as_deref(), Some("2023-11-14T22:13:20.000001Z"));
    }
}
