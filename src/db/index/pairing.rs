//! Tells whether the index's file and its log are still those that were left there.
//!
//! SQLite takes any file of the log's name for the log, and a file that is overwritten in place
//! (`cp`) for the same file. Either would mix two indexes, and a user's history could lack rows
//! without anybody noticing. But the file is only written when the log is copied into it, which the
//! index's thread does itself. So the time of the last change tells whether somebody else has
//! written it, and the log's salt, which counts its restarts, tells whether it is the log of that
//! time. A note beside the index (`tollgate-index.db-pair`) has both while there is a log:
//!
//! ```text
//! file 66306 1835301 1764500000.123456789
//! log 2840114
//! boot 163fd7c82b8f4e6f9a0d3b1c5e7f9a2b
//! ```
//!
//! The note is written often, so nobody waits until it is on the disk, where commits of charges
//! would wait, too. After a power cut it may be older than the files, and so may the times. So
//! after a boot only the file itself must be the same.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::db::file::beside;

/// The suffix of the note.
pub(super) const NOTE: &str = "-pair";
/// The place of the first half of the salt in the log's header. SQLite adds one at each restart.
const SALT: u64 = 16;
/// The length of the note, which is overwritten in place.
const LENGTH: usize = 160;
/// Identifies the time since the machine was started.
static BOOT: LazyLock<Option<u128>> = LazyLock::new(|| {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    u128::from_str_radix(&id.trim().replace('-', ""), 16).ok()
});
/// Stands for what is not known.
const UNKNOWN: &str = "*";

/// A file, and when it was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds. `None` while the log is copied into the file.
    changed: Option<(i64, i64)>,
}

impl Version {
    /// Returns the version of the file that is there now.
    pub(super) fn of(path: &Path) -> Option<Version> {
        let found = fs::metadata(path).ok()?;
        let changed = Some((found.mtime(), found.mtime_nsec()));
        Some(Version { device: found.dev(), inode: found.ino(), changed })
    }

    /// Returns the version of a file that is being written.
    pub(super) fn in_change(self) -> Version {
        Version { changed: None, ..self }
    }

    /// Returns whether it is the same file, whatever was written into it.
    pub(super) fn is_same_file(self, other: Version) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Returns whether `found` is the same file, and was not changed in between.
    pub(super) fn fits(self, found: Version) -> bool {
        self.is_same_file(found) && (self.changed.is_none() || self.changed == found.changed)
    }
}

/// A file and its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// The file.
    pub(super) file: Version,
    /// The salt of the log. `None`: there was no log yet.
    pub(super) log: Option<u32>,
    /// When the machine was started last.
    boot: Option<u128>,
}

impl Pair {
    /// Returns the pair that is there now.
    pub(super) fn of(index: &Path) -> Option<Pair> {
        Some(Pair { log: salt(index), ..Pair::without_log(Version::of(index)?) })
    }

    /// Returns the pair of a file and a log that is still to come.
    pub(super) fn without_log(file: Version) -> Pair {
        Pair { file, log: None, boot: *BOOT }
    }

    /// Returns whether `found` may be the same pair. A folder that was copied with its times is
    /// the same. The log may have been restarted once since the note.
    pub(super) fn fits(self, found: Pair) -> bool {
        if self.boot != found.boot {
            return self.file.is_same_file(found.file);
        }
        let is_file = match self.file.changed {
            Some(_) => self.file.changed == found.file.changed,
            None => self.file.is_same_file(found.file),
        };
        let is_log = match (self.log, found.log) {
            (Some(noted), Some(found)) => found == noted || found == noted.wrapping_add(1),
            _ => true,
        };
        is_file && is_log
    }

    /// Reads the note beside the index. `None` if there is none that can be read.
    pub(super) fn read(index: &Path) -> Option<Pair> {
        Pair::parse(&fs::read_to_string(beside(index, NOTE)).ok()?)
    }

    /// Writes the note beside the index. If it cannot be written, there is none.
    pub(super) fn write(self, index: &Path) {
        if let Err(error) = self.try_write(index) {
            log::debug!("{}{NOTE} cannot be written: {error}", index.display());
            let _ = fs::remove_file(beside(index, NOTE));
        }
    }

    fn try_write(self, index: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let note = options.write(true).create(true).truncate(false).mode(0o600).open(beside(index, NOTE))?;
        note.write_all_at(format!("{:LENGTH$}", self.text()).as_bytes(), 0)
    }

    fn text(self) -> String {
        let known = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
        let changed = self.file.changed.map(|(seconds, nanos)| format!("{seconds}.{nanos:09}"));
        format!(
            "file {} {} {}\nlog {}\nboot {}\n",
            self.file.device,
            self.file.inode,
            known(changed),
            known(self.log.map(|salt| salt.to_string())),
            known(self.boot.map(|id| format!("{id:x}"))),
        )
    }

    fn parse(text: &str) -> Option<Pair> {
        let (file, rest) = text.strip_prefix("file ")?.split_once("\nlog ")?;
        let (log, boot) = rest.split_once("\nboot ")?;
        let (boot, _) = boot.split_once('\n')?;
        let mut parts = file.split(' ');
        let (device, inode) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let changed = match parts.next()? {
            UNKNOWN => None,
            time => {
                let (seconds, nanos) = time.split_once('.')?;
                Some((seconds.parse().ok()?, nanos.parse().ok()?))
            }
        };
        let log = match log {
            UNKNOWN => None,
            salt => Some(salt.parse().ok()?),
        };
        let boot = match boot {
            UNKNOWN => None,
            id => Some(u128::from_str_radix(id, 16).ok()?),
        };
        Some(Pair { file: Version { device, inode, changed }, log, boot })
    }
}

/// Returns the salt of the index's log. `None` if nothing was written into it.
fn salt(index: &Path) -> Option<u32> {
    let mut salt = [0; 4];
    // SQLite's locks are not on this file.
    File::open(beside(index, "-wal")).ok()?.read_exact_at(&mut salt, SALT).ok()?;
    Some(u32::from_be_bytes(salt))
}

/// Returns what a symbolic link leads to, also if nothing is there yet.
pub(super) fn behind_link(path: PathBuf) -> PathBuf {
    match fs::read_link(&path) {
        Ok(target) => {
            let target = path.parent().unwrap_or(Path::new(".")).join(target);
            target.canonicalize().unwrap_or(target)
        }
        Err(_) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(inode: u64, changed: Option<(i64, i64)>, log: Option<u32>) -> Pair {
        Pair { file: Version { device: 1, inode, changed }, log, boot: Some(5) }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("a-index.db");
        for noted in [pair(7, Some((3, 40)), Some(9)), pair(7, None, None)] {
            noted.write(&index);
            assert_eq!(Pair::read(&index), Some(noted));
        }
        for text in
            ["", "file 1 2 3.4\n", "file 1 2 3.4\nlog 5", "file 1 2 3\nlog *\n", "file 1 2 x.y\nlog *\n"]
        {
            assert_eq!(Pair::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_pair_fits_if_nobody_else_has_changed_it() {
        let (noted, time) = (pair(7, Some((3, 4)), Some(9)), Some((3, 4)));
        for (found, fits) in [
            (noted, true),
            (pair(8, time, Some(9)), true),
            (pair(7, Some((3, 5)), Some(9)), false),
            (pair(7, time, Some(10)), true),
            (pair(7, time, Some(11)), false),
            (pair(7, time, Some(8)), false),
        ] {
            assert_eq!(noted.fits(found), fits, "{found:?}");
        }
        let after_boot = |inode| Pair { boot: Some(6), ..pair(inode, Some((9, 9)), Some(99)) };
        assert!(noted.fits(after_boot(7)) && !noted.fits(after_boot(8)));
        let in_change = pair(7, None, None);
        assert!(
            in_change.fits(pair(7, Some((9, 9)), Some(1))) && !in_change.fits(pair(8, Some((9, 9)), None))
        );
        assert!(pair(7, time, Some(u32::MAX)).fits(pair(7, time, Some(0))));
    }
}
