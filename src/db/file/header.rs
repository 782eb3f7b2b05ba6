//! Checks the file through the descriptor that a server holds open: whether it is still as the
//! server left it.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::generation::{HEADER, MAGIC, generation_in};
use super::sidecar::Sidecar;

/// The position of the number of pages in the header. A database never shrinks while a server runs.
const PAGES: std::ops::Range<usize> = 28..32;
/// The number of attempts, because a checkpoint may be writing the first page during a check.
const ATTEMPTS: usize = 3;

/// A descriptor of the file, and the generations that the file may have.
pub(super) struct Held {
    file: Arc<File>,
    generations: Vec<i32>,
}

/// The size of the file at the last check.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    bytes: u64,
    pages: u32,
}

impl Held {
    /// Watches a file. `file` is the descriptor of the server's lock. `database` is the path,
    /// without symbolic links.
    pub(super) fn new(file: Arc<File>, database: &Path) -> Held {
        let known = Sidecar::read(database).unwrap_or_default().unwrap_or_default();
        let mut generations = known.generations;
        generations.push(header_of(&file).map_or(0, |header| generation_in(&header)));
        Held { file, generations }
    }

    /// Writes what the system has of the file to the disk. An error shows again at SQLite's own
    /// sync.
    pub(super) fn sync(&self) {
        if let Err(error) = self.file.sync_data() {
            log::debug!("the database's file is not synced: {error}");
        }
    }

    /// Returns the size of the file. Returns `None` if it has become smaller, or has another file's
    /// header.
    pub(super) fn size_since(&self, before: Size) -> Option<Size> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            let (Some(header), Ok(metadata)) = (header_of(&self.file), self.file.metadata()) else {
                continue;
            };
            let pages =
                header.get(PAGES).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
            let size = Size { bytes: metadata.len(), pages };
            let is_own = header.starts_with(MAGIC) && self.generations.contains(&generation_in(&header));
            if is_own && size.bytes >= before.bytes && size.pages >= before.pages {
                return Some(size);
            }
        }
        None
    }

    /// Returns the number of names of the file.
    pub(super) fn names(&self) -> u64 {
        self.file.metadata().map_or(1, |metadata| metadata.nlink())
    }

    /// Returns the file's name, as the system knows it.
    pub(super) fn name(&self) -> PathBuf {
        fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())).unwrap_or_default()
    }
}

fn header_of(file: &File) -> Option<[u8; HEADER]> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0).ok()?;
    Some(header)
}
