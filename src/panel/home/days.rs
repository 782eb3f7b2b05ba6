//! The days that Home shows, in the administrator's time zone, with the sums of each.

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta};

use crate::db::DbConnection;
use crate::error::Result;
use crate::models::PeriodTotals;
use crate::panel::kit::zone::Zone;

/// The days of the small lines.
pub(super) const LINE_DAYS: usize = 30;
/// The days of the chart that can be chosen.
pub(super) const CHART_DAYS: [usize; 3] = [7, 30, 90];
/// The days of a week, and of the sums beside the numbers of today.
const WEEK: usize = 7;

/// The periods that Home reads. Days are those of the administrator's time zone.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    zone: Zone,
    now: NaiveDateTime,
    today: NaiveDate,
    /// The days that the chart shows: one of [`CHART_DAYS`].
    pub chart_days: usize,
}

/// A day and what happened on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    pub date: NaiveDate,
    pub totals: PeriodTotals,
}

/// The days up to today, and the sums of the past weeks.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The days of the chart and of the lines, whichever are more. The last one is today.
    days: Vec<Day>,
    /// The seven days up to today.
    pub week: PeriodTotals,
    /// The seven days before, up to the same time of day.
    pub week_before: PeriodTotals,
}

impl Calendar {
    /// Makes the calendar of a moment. `days` is what the query string asks for.
    pub(super) fn new(zone: Zone, now: NaiveDateTime, days: &str) -> Calendar {
        let chosen = days.parse().ok().filter(|days| CHART_DAYS.contains(days));
        Calendar { zone, now, today: zone.date_of(now), chart_days: chosen.unwrap_or(LINE_DAYS) }
    }

    /// Returns the date of the day that was `days` days ago.
    pub(super) fn day(&self, days: u64) -> NaiveDate {
        self.today - Days::new(days)
    }

    /// Returns the day, the time and the zone as text: `Sunday 29 November, 11:20, Europe/Berlin`.
    pub(super) fn as_of(&self) -> String {
        let time = self.zone.to_field(self.now);
        let time = time.split_once('T').map_or("", |(_, time)| time);
        format!("{}, {time}, {}", self.today.format("%A %-d %B"), self.zone.name())
    }

    /// Returns the present time.
    pub(super) fn now(&self) -> NaiveDateTime {
        self.now
    }

    /// Returns when the day began that was `days` days ago.
    pub(super) fn start(&self, days: u64) -> NaiveDateTime {
        self.zone.start_of(self.day(days))
    }

    /// Reads the sums from the index, in one statement.
    pub(super) fn read(&self, conn: &mut DbConnection) -> Result<History> {
        let count = self.chart_days.max(LINE_DAYS) as u64;
        let period = |ago: u64| (self.start(ago), self.zone.start_of(self.day(ago) + Days::new(1)));
        let mut periods: Vec<_> = (0..count).rev().map(period).collect();
        periods.push(self.same_day_last_week());
        let mut totals = PeriodTotals::of(conn, &periods)?;
        let same_day = totals.pop().unwrap_or_default();
        let date = |place: usize| self.day(count.saturating_sub(place as u64 + 1));
        let days: Vec<Day> =
            totals.into_iter().enumerate().map(|(place, totals)| Day { date: date(place), totals }).collect();
        let sum = |skip: usize, take: usize| {
            let days = days.iter().rev().skip(skip).take(take);
            days.fold(PeriodTotals::default(), |sum, day| sum.and(day.totals))
        };
        Ok(History { week: sum(0, WEEK), week_before: sum(WEEK + 1, WEEK - 1).and(same_day), days })
    }

    /// Returns the day a week ago up to the present time of day, rounded to quarters of an hour.
    fn same_day_last_week(&self) -> (NaiveDateTime, NaiveDateTime) {
        let (from, to) = (self.start(7), self.start(6));
        let quarters = (self.now - self.start(0)).num_minutes() / 15;
        (from, (from + TimeDelta::minutes(15 * quarters)).min(to))
    }
}

impl History {
    /// Returns the last days, the oldest first.
    pub(super) fn last(&self, count: usize) -> &[Day] {
        self.days.get(self.days.len().saturating_sub(count)..).unwrap_or_default()
    }

    /// Returns what has happened today.
    pub(super) fn today(&self) -> PeriodTotals {
        self.days.last().map(|day| day.totals).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str, now: &str, days: &str) -> Calendar {
        Calendar::new(Zone::parse(zone).unwrap(), now.parse().unwrap(), days)
    }

    #[test]
    fn only_the_offered_numbers_of_days_can_be_chosen() {
        let chosen = ["7", "30", "90", "", "8", "-7", "99999999999999999999"]
            .map(|days| calendar("UTC", "2026-11-29T10:00:00", days).chart_days);
        assert_eq!(chosen, [7, 30, 90, 30, 30, 30, 30]);
    }

    #[test]
    fn days_begin_at_midnight_of_the_zone_also_across_a_change_of_clocks() {
        let berlin = calendar("Europe/Berlin", "2026-10-27T10:00:00", "7");
        let starts = [0, 1, 2, 3].map(|days| berlin.start(days).to_string());
        assert_eq!(
            starts,
            ["2026-10-26 23:00:00", "2026-10-25 23:00:00", "2026-10-24 22:00:00", "2026-10-23 22:00:00"]
        );
    }

    #[test]
    fn the_week_before_ends_at_the_same_time_of_day() {
        let utc = calendar("UTC", "2026-11-29T10:44:59", "7");
        let (from, to) = utc.same_day_last_week();
        assert_eq!(
            (from.to_string(), to.to_string()),
            ("2026-11-22 00:00:00".into(), "2026-11-22 10:30:00".into())
        );
        // On a day of 25 hours, the day a week ago has ended before.
        let berlin = calendar("Europe/Berlin", "2026-10-25T22:50:00", "7");
        assert_eq!(berlin.same_day_last_week().1, berlin.start(6));
    }
}
