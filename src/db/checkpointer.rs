//! The keeper of SQLite's write-ahead log: a thread that copies the log into the file, keeps it
//! short, and checks both files while nothing is written.
//!
//! A commit that finds the log too long copies it before it returns, so that all callers of that
//! batch wait 20 ms more. The keeper copies the log in parallel to the writer, a little at a time,
//! so that the commit has almost nothing left to copy.
//!
//! The keeper's connection opens first and closes last, so that all connections have the same log
//! open.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::DbConnection;
use super::file::{Guard, Rescue, close_last, follow};
use super::session::Session;

/// Interval between two checkpoints while there are writes.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Polling interval while idle.
const IDLE_PAUSE: Duration = Duration::from_millis(500);
/// The size of a log, in bytes, above which it is truncated to zero length as soon as there are no
/// writes.
const LONG_LOG: u64 = 16 * 1024 * 1024;
/// How long the last checkpoint may wait for a reader.
const LAST_WAIT: Duration = Duration::from_millis(500);
/// The time that is reserved for closing after the longest last wait.
const SPARE: Duration = Duration::from_millis(500);

/// The keeper's thread.
pub(super) struct Checkpointer {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Stop {
    /// When the thread must have ended. `None` until [`Checkpointer::end`] is called.
    until: Mutex<Option<Instant>>,
    changed: Condvar,
}

/// The result of `PRAGMA wal_checkpoint`.
#[derive(QueryableByName)]
struct Progress {
    /// Frames in the log.
    #[diesel(sql_type = Integer)]
    log: i32,
}

impl Checkpointer {
    pub(super) fn start(session: Session, guard: Arc<Guard>) -> io::Result<Checkpointer> {
        let stop = Arc::new(Stop::default());
        let shared = stop.clone();
        let run = move || Keeper { session, guard, rescue: Rescue::default() }.run(&shared);
        let thread = thread::Builder::new().name("checkpointer".to_owned()).spawn(run)?;
        Ok(Checkpointer { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Tells the thread to copy the rest of the log and to close its connection. Waits for it until
    /// `until`.
    pub(super) fn end(&self, until: Instant) {
        *self.stop.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.stop.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

impl Stop {
    /// Waits for `pause`, or until [`Checkpointer::end`] is called. Returns when the thread must
    /// have ended, if it was called.
    fn wait(&self, pause: Duration) -> Option<Instant> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.changed.wait_timeout_while(until, pause, |until| until.is_none());
        *until.unwrap_or_else(PoisonError::into_inner).0
    }
}

struct Keeper {
    session: Session,
    guard: Arc<Guard>,
    rescue: Rescue,
}

impl Keeper {
    fn run(mut self, stop: &Stop) {
        let mut last = 0;
        let mut pause = IDLE_PAUSE;
        let until = loop {
            if let Some(until) = stop.wait(pause) {
                break until;
            }
            // What cannot be copied now is copied later, or by the writer, so errors are ignored.
            let log = self.checkpoint("PASSIVE").unwrap_or(last);
            if log == last && self.guard.log_size() > LONG_LOG {
                let _ = self.checkpoint("TRUNCATE");
            }
            pause = if log == last { IDLE_PAUSE } else { BUSY_PAUSE };
            last = log;
        };
        self.wait_for_readers(until);
        let _ = self.checkpoint("TRUNCATE");
        close_last(&self.guard, self.session, &self.rescue);
    }

    /// Lets the last checkpoint wait for readers: as long as there is time if the log would
    /// otherwise be lost.
    fn wait_for_readers(&mut self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now()).saturating_sub(SPARE);
        let must_save = self.guard.fault().is_some() && self.rescue.is_open();
        let wait = if must_save { left.max(LAST_WAIT) } else { LAST_WAIT }.as_millis();
        self.rescue.hurry();
        let _ = self.session.connection().batch_execute(&format!("PRAGMA busy_timeout = {wait}"));
    }

    /// Copies as much of the log as possible. Returns the number of frames in the log. Copies
    /// nothing unless it is certain to be right.
    fn checkpoint(&mut self, mode: &str) -> Option<i32> {
        let Keeper { session, guard, rescue } = self;
        let conn: &mut DbConnection = session.connection();
        if guard.check_log(conn).is_err() {
            match guard.fault() {
                Some(fault) => rescue.attempt(guard, fault, conn),
                None => follow(conn),
            }
            return None;
        }
        let progress: Progress =
            diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(conn).ok()?;
        Some(progress.log)
    }
}
