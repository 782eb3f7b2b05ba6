//! When the next backup is due, and which ones are kept. Both follow the names in the folder, so
//! that neither a restart nor a restored database changes them.
//!
//! A clock may be wrong for a while. Backups from the future do not count for the schedule, so that
//! the next one is not years away. And while there are any, nothing is deleted: either they were
//! made while the clock was ahead, or it is behind now, and the newest ones look oldest.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};

use super::folder::BackupFile;

/// A time that is ahead of the clock by less than this is not from the future.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// The pause before the first retry of a backup that has failed. It doubles with each failure.
const FIRST_RETRY: Duration = Duration::from_secs(10 * 60);
/// The longest pause before a retry.
const LAST_RETRY: Duration = Duration::from_secs(6 * 60 * 60);

fn is_from_the_future(begun_at: NaiveDateTime, now: NaiveDateTime) -> bool {
    begun_at > now + AHEAD
}

/// Returns the number of backups from the future.
pub(super) fn from_the_future(files: &[BackupFile], now: NaiveDateTime) -> usize {
    files.iter().filter(|file| is_from_the_future(file.name.begun_at, now)).count()
}

/// Returns when the latest backup was begun, without those from the future. `made` is the latest
/// one that this process has made: another program may have moved it away since.
pub(super) fn latest(
    files: &[BackupFile],
    made: Option<NaiveDateTime>,
    now: NaiveDateTime,
) -> Option<NaiveDateTime> {
    let times = files.iter().map(|file| file.name.begun_at).chain(made);
    times.filter(|begun_at| !is_from_the_future(*begun_at, now)).max()
}

/// Returns when the next backup is due after the `latest`, which may be in the past.
pub(super) fn due_at(latest: Option<NaiveDateTime>, every: TimeDelta, now: NaiveDateTime) -> NaiveDateTime {
    latest.map_or(now, |latest| latest + every)
}

/// Returns the pause after this many failures in a row.
pub(super) fn retry_after(failures: u32, every: Duration) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LAST_RETRY).min(every)
}

/// Returns the backups that may be deleted: all but the latest `keep` scheduled ones, and the
/// latest `keep` manual ones. So nobody can press the others out of the folder. 0 keeps all.
pub(super) fn expired(files: &[BackupFile], keep: usize, now: NaiveDateTime) -> Vec<&BackupFile> {
    if keep == 0 || from_the_future(files, now) > 0 {
        return Vec::new();
    }
    let mut expired = Vec::new();
    for is_manual in [false, true] {
        let mut of_kind: Vec<_> = files.iter().filter(|file| file.name.is_manual == is_manual).collect();
        of_kind.sort_by_key(|file| std::cmp::Reverse(file.name.begun_at));
        expired.extend(of_kind.into_iter().skip(keep));
    }
    expired
}

#[cfg(test)]
mod tests {
    use super::super::name::BackupName;
    use super::*;

    fn at(hour: i64) -> NaiveDateTime {
        "2026-12-02T00:00:00".parse::<NaiveDateTime>().unwrap() + TimeDelta::hours(hour)
    }

    fn file(hour: i64, is_manual: bool) -> BackupFile {
        BackupFile { name: BackupName::new(at(hour), "9f3a1c2b", is_manual), size: 1 }
    }

    fn scheduled(hours: &[i64]) -> Vec<BackupFile> {
        hours.iter().map(|hour| file(*hour, false)).collect()
    }

    fn hours(files: &[&BackupFile]) -> Vec<i64> {
        files.iter().map(|file| (file.name.begun_at - at(0)).num_hours()).collect()
    }

    #[test]
    fn the_next_backup_is_due_a_period_after_the_latest() {
        assert_eq!(due(&[], None), at(5), "there is none yet");
        assert_eq!(due(&scheduled(&[3, 1, 2]), None), at(27));
        assert_eq!(due(&[file(1, false), file(4, true)], None), at(28), "a manual one counts");
        assert_eq!(due(&scheduled(&[-90]), None), at(-66), "the server was off");
        assert_eq!(due(&[], Some(at(4))), at(28), "it was moved away");
        assert_eq!(due(&scheduled(&[1]), Some(at(4))), at(28));
    }

    /// Returns when a daily backup is due at five o'clock.
    fn due(files: &[BackupFile], made: Option<NaiveDateTime>) -> NaiveDateTime {
        due_at(latest(files, made, at(5)), TimeDelta::hours(24), at(5))
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_put_off_the_next_backup() {
        assert_eq!(due(&scheduled(&[9_000, 1]), None), at(25));
        assert_eq!(due(&scheduled(&[9_000]), None), at(5));
        assert_eq!(due(&scheduled(&[1]), Some(at(9_000))), at(25));
    }

    #[test]
    fn the_latest_of_each_kind_are_kept() {
        let mut files = scheduled(&[1, 5, 3, 4, 2]);
        files.extend([file(6, true), file(7, true), file(8, true)]);
        assert_eq!(hours(&expired(&files, 2, at(9))), [3, 2, 1, 6]);
        assert_eq!(hours(&expired(&files, 5, at(9))), Vec::<i64>::new());
        assert_eq!(hours(&expired(&files, 0, at(9))), Vec::<i64>::new(), "0 keeps all");
    }

    #[test]
    fn nothing_is_deleted_while_the_clock_contradicts_the_names() {
        // The clock is a year behind: the newest backup has the oldest name.
        let files = scheduled(&[-8_760, 1, 2, 3]);
        assert_eq!(hours(&expired(&files, 1, at(-8_760))), Vec::<i64>::new());
        assert_eq!(hours(&expired(&files, 1, at(3))), [2, 1, -8_760]);
    }

    #[test]
    fn retries_become_rarer_but_not_rarer_than_backups() {
        let minutes =
            |failures, every: u64| retry_after(failures, Duration::from_secs(every * 60)).as_secs() / 60;
        let day = 24 * 60;
        let pauses = [1, 2, 3, 4, 5, 6, 7, 90].map(|failures| minutes(failures, day));
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 360, 360]);
        assert_eq!(minutes(9, 5), 5);
    }
}
