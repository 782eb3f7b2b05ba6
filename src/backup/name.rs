//! The names of backups. The server touches no other file of their folder.

use std::fmt;

use chrono::{NaiveDateTime, SubsecRound, TimeDelta};

const BEGINNING: &str = "tollgate-";
/// The form of the time in a name.
const TIME: &str = "%Y%m%dT%H%M%SZ";
const MANUAL: &str = "-manual";
const END: &str = ".db";

/// The name of a backup, such as `tollgate-20261202T031500Z-9f3a1c2b.db`: the time at which it was
/// begun, in UTC, and the mark of its database. So the servers of several databases may share a
/// folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupName {
    /// When it was begun.
    pub begun_at: NaiveDateTime,
    mark: String,
    /// Whether an administrator has asked for it.
    pub is_manual: bool,
}

impl BackupName {
    /// Makes the name of a backup that begins now.
    pub(super) fn new(now: NaiveDateTime, mark: &str, is_manual: bool) -> BackupName {
        BackupName { begun_at: now.trunc_subsecs(0), mark: mark.to_owned(), is_manual }
    }

    /// Returns the name of a backup that would begin a second later.
    pub(super) fn later(self) -> BackupName {
        BackupName { begun_at: self.begun_at + TimeDelta::seconds(1), ..self }
    }

    /// Parses the name of a file. `None` unless the server of the database with this mark gives
    /// such names.
    pub(super) fn parse(text: &str, mark: &str) -> Option<BackupName> {
        let rest = text.strip_prefix(BEGINNING)?.strip_suffix(END)?;
        let (rest, is_manual) = rest.strip_suffix(MANUAL).map_or((rest, false), |rest| (rest, true));
        let (time, _) = rest.split_once('-').filter(|(_, found)| *found == mark)?;
        let begun_at = NaiveDateTime::parse_from_str(time, TIME).ok()?;
        let name = BackupName { begun_at, mark: mark.to_owned(), is_manual };
        // A time may be written in more than one way.
        (name.to_string() == text).then_some(name)
    }

    /// Returns the time as a number, such as 20261202031500, by which the history names it.
    pub fn id(&self) -> i64 {
        self.begun_at.format("%Y%m%d%H%M%S").to_string().parse().unwrap_or_default()
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manual = if self.is_manual { MANUAL } else { "" };
        write!(f, "{BEGINNING}{}-{}{manual}{END}", self.begun_at.format(TIME), self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let now: NaiveDateTime = "2026-12-02T03:15:00.123456".parse().unwrap();
        for (is_manual, text) in [
            (false, "tollgate-20261202T031500Z-9f3a1c2b.db"),
            (true, "tollgate-20261202T031500Z-9f3a1c2b-manual.db"),
        ] {
            let name = BackupName::new(now, "9f3a1c2b", is_manual);
            assert_eq!(name.to_string(), text);
            assert_eq!(BackupName::parse(text, "9f3a1c2b"), Some(name.clone()));
            assert_eq!(name.id(), 20_261_202_031_500);
        }
    }

    #[test]
    fn other_names_are_not_ours() {
        for text in [
            "",
            "tollgate.db",
            "tollgate-.db",
            "tollgate-20261202T031500Z-9f3a1c2b",
            "tollgate-20261202T031500Z-9f3a1c2b.db.part",
            "tollgate-20261202T031500Z-9f3a1c2b.db-wal",
            "tollgate-20261202T031500Z-00000000.db",
            "tollgate-20261202T031500Z.db",
            "tollgate-20261202T031500Z-9f3a1c2b-old.db",
            "tollgate-20261202T031500Z-9f3a1c2b-manual-manual.db",
            "tollgate-20261302T031500Z-9f3a1c2b.db",
            "tollgate-20261202T0315Z-9f3a1c2b.db",
            "tollgate-+20261202T031500Z-9f3a1c2b.db",
            "tollgate- 20261202T031500Z-9f3a1c2b.db",
            "tollgate-2026122T031500Z-9f3a1c2b.db",
            "Tollgate-20261202T031500Z-9f3a1c2b.db",
            "my-tollgate-20261202T031500Z-9f3a1c2b.db",
            "tollgate-before-upgrade.db",
        ] {
            assert_eq!(BackupName::parse(text, "9f3a1c2b"), None, "{text}");
        }
    }
}
