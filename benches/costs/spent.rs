//! What a run has spent.

use std::fs;

use crate::Result;
use crate::sqlite::Database;

/// The size of a page. A page in the log has a header of 24 bytes.
const PAGE: f64 = 4096.0;
const FRAME: f64 = PAGE + 24.0;

/// What some chats cost.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    pub chats: u64,
    /// The pages that were written to the log.
    pub pages: u64,
    /// All bytes that were written, to the log and by checkpoints.
    pub bytes: u64,
    /// The time on a CPU, in nanoseconds.
    pub cpu: u64,
}

impl Spent {
    /// Returns the CPU time and the bytes of this process up to now.
    pub fn so_far() -> Result<Spent> {
        let schedule = fs::read_to_string("/proc/thread-self/schedstat")?;
        let cpu = schedule.split_whitespace().next().ok_or("no CPU time")?.parse()?;
        let io = fs::read_to_string("/proc/self/io")?;
        let bytes = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no bytes")?.parse()?;
        Ok(Spent { chats: 0, pages: 0, bytes, cpu })
    }

    pub fn pages_per_chat(&self) -> f64 {
        self.pages as f64 / self.chats as f64
    }

    pub fn log_kb_per_chat(&self) -> f64 {
        self.pages as f64 * FRAME / 1000.0 / self.chats as f64
    }

    pub fn kb_per_chat(&self) -> f64 {
        self.bytes as f64 / 1000.0 / self.chats as f64
    }

    pub fn cpu_per_chat(&self) -> f64 {
        self.cpu as f64 / 1000.0 / self.chats as f64
    }
}

/// Copies the log into the file. Returns the number of pages that were in the log.
pub fn checkpoint(database: &Database) -> Result<u64> {
    let statement = database.prepare("PRAGMA wal_checkpoint(RESTART)")?;
    let row = statement.row()?;
    Ok(u64::try_from(row.i64(1))?)
}
