//! A file system that is soon full.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{require, temporary};

/// A separate file system of 8 MiB, in memory.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` if this machine does not allow it.
    pub fn mount() -> Option<SmallDisk> {
        let directory = temporary::directory();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tollgate-test"]).arg(directory.path());
        let mounted = mount.stdin(Stdio::null()).stderr(Stdio::null()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            require::skipped(
                "mounting a file system is not allowed here; the test with a limit on file sizes covers it",
            );
            return None;
        }
        Some(SmallDisk(directory))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills all but `free` bytes. Returns the file that takes the room.
    pub fn fill(&self, free: u64) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        let taken = filler.metadata().unwrap().len();
        filler.set_len(taken - free).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
