//! Checks of the machine: open files, the modes of files, the clock.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use rustix::process::{Resource, getrlimit};

use super::check::Check;
use crate::cli::serve::open_files_wanted;
use crate::clock;
use crate::config::{Config, Settings};
use crate::db::check_sqlite;

/// The largest difference of two clocks that needs no warning.
const MOST_DIFFERENCE: TimeDelta = TimeDelta::seconds(5);

/// A clock that was read, and when it was read by our own.
pub(super) struct OtherClock {
    pub(super) name: &'static str,
    pub(super) theirs: NaiveDateTime,
    pub(super) ours: NaiveDateTime,
}

pub(super) fn open_files(config: &Config) -> Check {
    let (limit, wanted) = (getrlimit(Resource::Nofile), open_files_wanted(config));
    match limit.maximum {
        Some(most) if most < wanted => Check::warning(
            "open files",
            format!("at most {most}, and --max-connections with --upstream-calls needs {wanted}"),
            "raise the hard limit (ulimit -Hn; with systemd: LimitNOFILE), or lower --max-connections",
        ),
        Some(most) => Check::ok("open files", format!("at most {most}, and {wanted} are needed")),
        None => Check::ok("open files", "there is no limit"),
    }
}

/// Checks who may read the files that have secrets or the database.
pub(super) fn file_modes(config: &Config, settings: &Settings) -> Check {
    let mut open: Vec<(PathBuf, u32, &str)> = Vec::new();
    let mut seen = 0;
    for setting in settings.iter() {
        let Some(path) = setting.path() else { continue };
        let Ok(metadata) = fs::metadata(path) else { continue };
        let mode = metadata.mode() & 0o7777;
        seen += 1;
        // A certificate, and a settings file without secrets, may be read by all.
        let is_public = ["config", "tls-certificate"].contains(&setting.name.as_str());
        let wrong = if is_public { 0o022 } else { 0o027 };
        if mode & wrong != 0 {
            open.push((path.to_owned(), mode, if is_public { "644" } else { "600" }));
        }
    }
    if let Some(path) = config.database.url().sqlite_path()
        && let Ok(Some(checkup)) = check_sqlite(path)
    {
        seen += 1;
        open.extend(checkup.open_files.into_iter().map(|(file, mode)| (file, mode, "600")));
    }
    if open.is_empty() {
        return Check::ok(
            "file modes",
            format!("nobody else may change or read what is secret in {seen} files"),
        );
    }
    let found = open.iter().map(|(file, mode, _)| format!("{} has mode {mode:o}", file.display()));
    let advice = open.iter().map(|(file, _, wanted)| format!("chmod {wanted} {}", file.display()));
    Check::warning(
        "file modes",
        found.collect::<Vec<_>>().join("; "),
        format!("others may read or change it: {}", advice.collect::<Vec<_>>().join("; ")),
    )
}

/// Compares this machine's clock with others. Auth tokens and sessions expire by it.
pub(super) fn clock(others: impl Iterator<Item = OtherClock>) -> Check {
    let now = clock::now();
    // Before this release was made.
    let earliest = NaiveDate::from_ymd_opt(2026, 12, 1).unwrap_or_default().and_time(Default::default());
    if now < earliest {
        return Check::failure(
            "clock",
            format!("it shows {}", now.format("%F")),
            "set the clock by NTP (timedatectl set-ntp true): auth tokens and sessions expire by it",
        );
    }
    let (mut compared, mut wrong) = (Vec::new(), Vec::new());
    for OtherClock { name, theirs, ours } in others {
        let difference = (theirs - ours).abs();
        compared.push(name);
        if difference > MOST_DIFFERENCE {
            wrong.push(format!("{} s off that of {name}", difference.num_seconds()));
        }
    }
    match (wrong.is_empty(), compared.is_empty()) {
        (false, _) => Check::warning(
            "clock",
            wrong.join(", "),
            "set both clocks by NTP (timedatectl set-ntp true): auth tokens and sessions expire by them",
        ),
        (true, false) => Check::ok("clock", format!("within 5 s of that of {}", compared.join(" and "))),
        (true, true) => {
            Check::ok("clock", format!("{} UTC, with nothing to compare it to", now.format("%F %T")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn other(name: &'static str, seconds: i64) -> OtherClock {
        let ours = clock::now();
        OtherClock { name, theirs: ours + TimeDelta::seconds(seconds), ours }
    }

    #[test]
    fn a_clock_that_is_off_causes_a_warning_that_names_the_other() {
        assert_eq!(clock([].into_iter()).state, State::Ok);
        assert_eq!(clock([other("the database", -5)].into_iter()).state, State::Ok);
        let wrong = clock([other("the database", 0), other("the upstream", -300)].into_iter());
        assert_eq!(wrong.state, State::Warning);
        assert!(wrong.to_string().contains("300 s off that of the upstream"), "{wrong}");
    }
}
