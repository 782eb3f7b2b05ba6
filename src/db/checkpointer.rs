//! Checkpoints of SQLite's write-ahead log, on a thread of their own.
//!
//! A commit that finds the log too long copies it into the database file before it returns, and everybody who waits
//! for that batch waits 20 ms more. Copying beside the writer, a little at a time, leaves it next to nothing to do.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::connection::{Connector, Session};

/// Between two checkpoints while there is writing.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Between two looks while there is none.
const IDLE_PAUSE: Duration = Duration::from_millis(500);

/// The thread. Dropping it ends it.
pub(super) struct Checkpointer {
    stop: Arc<Stop>,
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
    pub(super) fn start(connector: Connector) -> io::Result<Checkpointer> {
        let stop = Arc::new(Stop::default());
        let told = stop.clone();
        thread::Builder::new().name("checkpointer".to_owned()).spawn(move || run(&connector, &told))?;
        Ok(Checkpointer { stop })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        *self.stop.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
    }
}

impl Stop {
    /// Waits; answers whether to stop.
    fn wait(&self, pause: Duration) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.changed.wait_timeout_while(told, pause, |told| !*told);
        *told.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn run(connector: &Connector, stop: &Stop) {
    let mut session: Option<Session> = None;
    let mut last = 0;
    let mut pause = IDLE_PAUSE;
    while !stop.wait(pause) {
        // What cannot be copied now is copied later, or by the writer: no error matters here.
        let log = checkpoint(connector, &mut session).unwrap_or(last);
        pause = if log == last { IDLE_PAUSE } else { BUSY_PAUSE };
        last = log;
    }
}

/// Copies what can be copied without anybody waiting (PASSIVE); answers how long the log is.
fn checkpoint(connector: &Connector, kept: &mut Option<Session>) -> Option<i32> {
    let mut session = match kept.take().filter(|session| session.still_names(&connector.url)) {
        Some(session) => session,
        None => connector.connect_with_reason().ok()?,
    };
    let progress: Progress =
        diesel::sql_query("PRAGMA wal_checkpoint(PASSIVE)").get_result(session.connection()).ok()?;
    *kept = Some(session);
    Some(progress.log)
}
