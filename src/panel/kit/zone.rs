//! The administrator's time zone. The database has UTC; people read times and name days in their
//! own zone.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::clock;

/// A time zone by its name in the tz database, such as `Europe/Berlin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Zone(Tz);

impl Zone {
    /// UTC, the default.
    pub(crate) const UTC: Zone = Zone(Tz::UTC);

    /// Finds a zone by its name. `None` if there is no such zone.
    pub(crate) fn parse(name: &str) -> Option<Zone> {
        name.parse().ok().map(Zone)
    }

    /// Returns the name.
    pub(crate) fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns the names of all zones, in alphabetical order.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// Formats a time in this zone, to the second.
    pub(crate) fn show(self, utc: NaiveDateTime) -> String {
        self.0.from_utc_datetime(&utc).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Formats the time of day in this zone, to the minute.
    pub(crate) fn time_of(self, utc: NaiveDateTime) -> String {
        self.0.from_utc_datetime(&utc).format("%H:%M").to_string()
    }

    /// Formats a time in this zone, to the minute.
    pub(crate) fn minute(self, utc: NaiveDateTime) -> String {
        self.0.from_utc_datetime(&utc).format("%Y-%m-%d %H:%M").to_string()
    }

    /// Formats a time in few characters: how long ago it was, the time of day if it is today, and
    /// otherwise the date.
    pub(crate) fn brief(self, utc: &NaiveDateTime) -> String {
        self.brief_at(*utc, clock::now())
    }

    fn brief_at(self, utc: NaiveDateTime, now: NaiveDateTime) -> String {
        let minutes = (now - utc).num_minutes();
        match minutes {
            0 if now >= utc => "just now".to_owned(),
            1..60 => format!("{minutes} min ago"),
            _ if self.date_of(utc) == self.date_of(now) => {
                self.0.from_utc_datetime(&utc).format("%H:%M").to_string()
            }
            _ => self.date_of(utc).to_string(),
        }
    }

    /// Formats a time as a `datetime-local` field has it, to the minute.
    pub(crate) fn to_field(self, utc: NaiveDateTime) -> String {
        self.0.from_utc_datetime(&utc).format("%Y-%m-%dT%H:%M").to_string()
    }

    /// Like [`to_field`](Zone::to_field), but returns an empty string for `None`.
    pub(crate) fn to_field_of(self, utc: Option<NaiveDateTime>) -> String {
        utc.map(|utc| self.to_field(utc)).unwrap_or_default()
    }

    /// Parses a `datetime-local` field and returns the time in UTC. `None` if it is not a time, or
    /// if the clocks skip it. Of a time that occurs twice, the first one counts.
    pub(crate) fn of_field(self, text: &str) -> Option<NaiveDateTime> {
        let time = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
        let years = 1970..=9998;
        let year = chrono::Datelike::year(&time);
        years
            .contains(&year)
            .then(|| self.0.from_local_datetime(&time).earliest())?
            .map(|time| time.naive_utc())
    }

    /// Returns the date in this zone.
    pub(crate) fn date_of(self, utc: NaiveDateTime) -> NaiveDate {
        self.0.from_utc_datetime(&utc).date_naive()
    }

    /// Returns the start of a day, in UTC. Where the clocks skip midnight, the day starts at the
    /// first quarter of an hour that exists.
    pub(crate) fn start_of(self, day: NaiveDate) -> NaiveDateTime {
        let midnight = day.and_time(NaiveTime::MIN);
        let quarters = (0..=8).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
        let first = quarters.filter_map(|time| self.0.from_local_datetime(&time).earliest()).next();
        first.map_or(midnight, |time| time.naive_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn days_begin_where_the_zone_says() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let day = |text: &str| berlin.start_of(text.parse().unwrap());
        assert_eq!(day("2026-01-15"), utc("2026-01-14T23:00:00"));
        assert_eq!(day("2026-07-15"), utc("2026-07-14T22:00:00"));
        assert_eq!(berlin.date_of(utc("2026-01-14T23:00:00")), "2026-01-15".parse().unwrap());
        assert_eq!(berlin.show(utc("2026-07-14T22:00:01.5")), "2026-07-15 00:00:01");
    }

    #[test]
    fn a_day_without_midnight_begins_at_its_first_moment() {
        let cairo = Zone::parse("Africa/Cairo").unwrap();
        assert_eq!(cairo.start_of("2024-04-26".parse().unwrap()), utc("2024-04-25T22:00:00"));
    }

    #[test]
    fn a_brief_time_is_relative_at_first_and_then_a_time_of_day_and_then_a_date() {
        let (berlin, now) = (Zone::parse("Europe/Berlin").unwrap(), utc("2026-11-29T22:30:00"));
        let brief = |time: &str| berlin.brief_at(utc(time), now);
        assert_eq!(brief("2026-11-29T22:29:31"), "just now");
        assert_eq!(brief("2026-11-29T21:31:00"), "59 min ago");
        assert_eq!(brief("2026-11-29T21:30:00"), "22:30");
        assert_eq!(brief("2026-11-28T22:59:59"), "2026-11-28");
        assert_eq!(brief("2026-11-28T23:00:00"), "00:00");
        assert_eq!(brief("2026-11-29T22:30:30"), "23:30", "a time in the future");
        assert_eq!(brief("2026-12-31T12:00:00"), "2026-12-31");
    }

    #[test]
    fn an_unknown_name_is_no_zone() {
        assert_eq!(Zone::parse("Mars/Olympus"), None);
        assert_eq!(Zone::parse("UTC"), Some(Zone::UTC));
    }
}
