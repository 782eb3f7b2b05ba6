//! The disk's own latency: what a commit of a batch costs without a database. Each write replaces a
//! part of a file that has its full size already, as SQLite's log has, and is synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::paced::percentile;

/// The size of the file that is written in a circle, as large as the server's log.
const LOG: u64 = 128 << 20;
/// The size of the file into which checkpoints copy.
const DATABASE: u64 = 256 << 20;
const PAGE: u64 = 4096;
/// A checkpoint copies this many pages to random places, and syncs.
const CHECKPOINT_PAGES: u64 = 256;
const CHECKPOINT_EVERY: Duration = Duration::from_millis(100);

/// Commits `bytes` at a time at a fixed rate, alone and then beside checkpoints of another file.
pub fn run(directory: &str, bytes: usize, rate: usize, length: Duration) -> Result<()> {
    let directory = Path::new(directory);
    let log = filled(&directory.join("disk-log"), LOG)?;
    let database = filled(&directory.join("disk-database"), DATABASE)?;
    print("disk", &commits(&log, bytes, rate, length)?);
    let stop = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        let checkpoints = scope.spawn(|| checkpoints(&database, &stop));
        let beside = commits(&log, bytes, rate, length);
        stop.store(true, Ordering::Relaxed);
        checkpoints.join().unwrap_or_else(|_| Err(io::Error::other("the thread of checkpoints died")))?;
        beside
    })?;
    print("disk_beside_checkpoints", &beside);
    for name in ["disk-log", "disk-database"] {
        std::fs::remove_file(directory.join(name))?;
    }
    Ok(())
}

/// Creates a file whose blocks exist, so that a sync need not write where they are.
fn filled(path: &Path, size: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let part = vec![1; 1 << 20];
    for at in (0..size).step_by(part.len()) {
        file.write_all_at(&part, at)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Returns how long each commit took, sorted.
fn commits(log: &File, bytes: usize, rate: usize, length: Duration) -> io::Result<Vec<Duration>> {
    let interval = Duration::from_secs(1).div_f64(rate.max(1) as f64);
    let (part, start) = (vec![2; bytes], Instant::now());
    let (mut times, mut at, mut number) = (Vec::new(), 0, 0);
    while start.elapsed() < length {
        let due = start + interval * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let begun = Instant::now();
        log.write_all_at(&part, at)?;
        log.sync_data()?;
        times.push(begun.elapsed());
        at = (at + bytes as u64) % (LOG - bytes as u64);
        number += 1;
    }
    times.sort_unstable();
    Ok(times)
}

fn checkpoints(database: &File, stop: &AtomicBool) -> io::Result<()> {
    let page = vec![3; PAGE as usize];
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..CHECKPOINT_PAGES {
            database.write_all_at(&page, rand::random_range(0..DATABASE / PAGE) * PAGE)?;
        }
        database.sync_data()?;
        thread::sleep(CHECKPOINT_EVERY);
    }
    Ok(())
}

fn print(name: &str, times: &[Duration]) {
    for (suffix, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        println!("{name}_{suffix} {:.3} ms", percentile(times, share).as_secs_f64() * 1000.0);
    }
}
