//! Checks whether a chat that came now would be written, as `GET /readyz` reports.
//!
//! A queue with a recent commit is fine. For a queue without one, a small write takes the path of
//! all other writes, and must be committed in time. So this writes nothing while chats are written,
//! or while no monitor asks.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Writers;
use super::job::Job;
use super::queue::Lane;
use crate::db::DbConnection;
use crate::error::{Error, Result};

/// How long a commit counts as recent.
const FRESH: Duration = Duration::from_secs(1);
/// How long the trial write may take, and how long the oldest job may wait.
const IN_TIME: Duration = Duration::from_millis(1500);

/// Why no chat can be written now. Each reason has a fixed word for monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// The server has received a stop signal.
    Draining,
    /// The database refuses connections or writes, or cannot be reached.
    Database,
    /// A writer has not committed in time.
    Writer,
    /// The database file is not the one that was opened.
    File,
}

impl NotReady {
    /// Returns the fixed word that `GET /readyz` reports.
    pub const fn word(self) -> &'static str {
        match self {
            NotReady::Draining => "draining",
            NotReady::Database => "database",
            NotReady::Writer => "writer",
            NotReady::File => "file",
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    /// Permits one trial write at a time, whatever the number of requests.
    trial: Mutex<()>,
}

impl Writers {
    /// Returns why no chat can be written now, or `None`. Takes at most 1.5 s.
    pub(in crate::db) async fn not_ready(&self) -> Option<NotReady> {
        let is_stuck = self.queues.iter().any(|queue| queue.oldest().is_some_and(|age| age > IN_TIME));
        if is_stuck || self.crew.is_exhausted() {
            return Some(NotReady::Writer);
        }
        let deadline = Instant::now() + IN_TIME;
        let Ok(_trial) = timeout_at(deadline, self.readiness.trial.lock()).await else {
            return Some(NotReady::Writer);
        };
        let mut answers = Vec::new();
        for (queue, seat) in self.queues.iter().zip(&self.seats) {
            if seat.pulse.is_within(FRESH) {
                continue;
            }
            let (reply, answer) = oneshot::channel();
            if !queue.push(Lane::Main, Box::new(Job::new(Vec::new(), write_something, reply))) {
                return Some(NotReady::Writer);
            }
            answers.push(answer);
        }
        for answer in answers {
            match timeout_at(deadline, answer).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => {
                    log::warn!("not ready: {}", why(&error));
                    return Some(NotReady::Database);
                }
                Ok(Err(_)) | Err(_) => return Some(NotReady::Writer),
            }
        }
        None
    }
}

fn why(error: &Error) -> String {
    if let Error::Unavailable(why) = error { why.clone() } else { error.to_string() }
}

/// Writes something that changes nothing. It uses what a charge uses: the tables' locks and
/// the disk.
fn write_something(conn: &mut DbConnection) -> Result<()> {
    let write = match conn {
        DbConnection::Postgres(_) => {
            "LOCK TABLE users, chats, ledger_entries, idempotency_keys IN ROW EXCLUSIVE MODE;
             SELECT pg_logical_emit_message(true, 'tollgate', 'ready')"
        }
        DbConnection::Sqlite(_) => "UPDATE database_identity SET id = id",
    };
    Ok(conn.batch_execute(write)?)
}
