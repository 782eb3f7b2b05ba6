//! The keeper of SQLite's write-ahead log: a thread that copies the log into the file, keeps it short, and
//! watches both files while nobody writes.
//!
//! A commit that finds the log too long copies it before it returns, so everybody in that batch
//! waits 20 ms more. The keeper copies the log beside the writer, a little at a time, so the commit
//! has almost nothing left to copy.
//!
//! The keeper's connection opens first and closes last, so all connections have the same log open.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::DbConnection;
use super::file::{Guard, close_last, follow, save};
use super::session::Session;

/// Between two checkpoints while there is writing.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Between two looks while there is none.
const IDLE_PAUSE: Duration = Duration::from_millis(500);
/// The size of a log, in bytes, above which it is truncated to zero length as soon as nobody writes.
const LONG_LOG: u64 = 16 * 1024 * 1024;
/// How long the last checkpoint may wait for a reader, in milliseconds.
const LAST_WAIT: u32 = 500;

/// The keeper's thread.
pub(super) struct Checkpointer {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Stop {
    told: Mutex<bool>,
    changed: Condvar,
}

/// What `PRAGMA wal_checkpoint` answers.
#[derive(QueryableByName)]
struct Progress {
    /// Frames in the log.
    #[diesel(sql_type = Integer)]
    log: i32,
}

impl Checkpointer {
    pub(super) fn start(session: Session, guard: Arc<Guard>) -> io::Result<Checkpointer> {
        let stop = Arc::new(Stop::default());
        let told = stop.clone();
        let run = move || Keeper { session, guard, saved: None }.run(&told);
        let thread = thread::Builder::new().name("checkpointer".to_owned()).spawn(run)?;
        Ok(Checkpointer { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Tells the thread to copy the rest of the log and to close its connection. Waits for it until `until`.
    pub(super) fn end(&self, until: Instant) {
        *self.stop.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
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
    /// Waits for `pause`. Returns whether to stop.
    fn wait(&self, pause: Duration) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.changed.wait_timeout_while(told, pause, |told| !*told);
        *told.unwrap_or_else(PoisonError::into_inner).0
    }
}

struct Keeper {
    session: Session,
    guard: Arc<Guard>,
    /// After a fault: whether everything could be saved.
    saved: Option<bool>,
}

impl Keeper {
    fn run(mut self, stop: &Stop) {
        let mut last = 0;
        let mut pause = IDLE_PAUSE;
        while !stop.wait(pause) {
            // Errors do not matter here: the rest is copied later, or by the writer.
            let log = self.checkpoint("PASSIVE").unwrap_or(last);
            if log == last && self.guard.log_size() > LONG_LOG {
                let _ = self.checkpoint("TRUNCATE");
            }
            pause = if log == last { IDLE_PAUSE } else { BUSY_PAUSE };
            last = log;
        }
        let _ = self.session.connection().batch_execute(&format!("PRAGMA busy_timeout = {LAST_WAIT}"));
        let _ = self.checkpoint("TRUNCATE");
        close_last(&self.guard, self.session, self.saved == Some(true));
    }

    /// Copies as much of the log as possible. Returns the number of frames in the log. Copies nothing unless
    /// it is certain to be right.
    fn checkpoint(&mut self, mode: &str) -> Option<i32> {
        let Keeper { session, guard, saved } = self;
        let conn: &mut DbConnection = session.connection();
        if guard.check_log(conn).is_err() {
            match guard.fault() {
                Some(fault) => {
                    saved.get_or_insert_with(|| save(guard, fault, conn));
                }
                None => follow(conn),
            }
            return None;
        }
        let progress: Progress =
            diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(conn).ok()?;
        Some(progress.log)
    }
}
