//! Times in lists: how long ago they were, or the date.

use chrono::{Datelike, NaiveDateTime, TimeDelta};

use super::zone::Zone;

/// Returns a time as lists show it. Within an hour it is relative to `now`, within the same day of
/// the zone it is the time of day, and otherwise the date.
pub(in crate::panel) fn ago(zone: Zone, now: NaiveDateTime, at: NaiveDateTime) -> String {
    let minutes = |span: TimeDelta| (span.num_seconds() + 30) / 60;
    let since = now - at;
    let (today, day) = (zone.date_of(now), zone.date_of(at));
    if since.abs() < TimeDelta::seconds(45) {
        "just now".to_owned()
    } else if since.abs() < TimeDelta::seconds(3_570) {
        if since > TimeDelta::zero() {
            format!("{} min ago", minutes(since).max(1))
        } else {
            format!("in {} min", minutes(-since).max(1))
        }
    } else if day == today {
        zone.time_of(at)
    } else if day.year() == today.year() {
        day.format("%-d %b").to_string()
    } else {
        day.format("%-d %b %Y").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_times_are_relative_and_older_ones_are_dates() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let now: NaiveDateTime = "2026-11-29T11:20:00".parse().unwrap();
        for (at, shown) in [
            ("2026-11-29T11:19:20", "just now"),
            ("2026-11-29T11:20:30", "just now"),
            ("2026-11-29T11:19:10", "1 min ago"),
            ("2026-11-29T10:20:31", "59 min ago"),
            ("2026-11-29T10:20:29", "11:20"),
            ("2026-11-29T10:20:00", "11:20"),
            ("2026-11-28T23:00:00", "00:00"),
            ("2026-11-28T22:59:59", "28 Nov"),
            ("2025-12-31T23:00:00", "1 Jan"),
            ("2025-12-31T22:59:59", "31 Dec 2025"),
            ("2026-11-29T11:25:00", "in 5 min"),
            ("2026-11-29T15:00:00", "16:00"),
            ("2027-01-01T15:00:00", "1 Jan 2027"),
        ] {
            assert_eq!(ago(berlin, now, at.parse().unwrap()), shown, "{at}");
        }
    }
}
