//! Connections on which a statement may still be on its way to PostgreSQL.
//!
//! A charge that is a transaction of its own locks nothing before it arrives. If its connection
//! breaks, a proxy or the network may deliver it later, after the look-up has rejected it for a
//! balance that has grown since. So before anything is looked up, such a connection is ended from
//! outside. After that, its statement has been committed, or never will be.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use diesel::QueryResult;

use crate::db::DbConnection;
use crate::db::connection::is_disconnect;
use crate::db::postgres::{self, Backend};

/// How long to wait for the end of the connections. One whose process is stopped ends when it
/// continues, and before it reads a statement.
const END_WITHIN: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(2);
/// After this time, all callers of a lost connection have their response.
const NEEDED_FOR: Duration = Duration::from_secs(6);

const _: () = assert!(NEEDED_FOR.as_millis() > super::CONFIRM_WITHIN.as_millis());

const NEEDED_RIGHT: &str = "The server's role needs the right to call pg_terminate_backend";

/// The connections that the writers of this node have lost, until they are ended.
#[derive(Default)]
pub(super) struct Fence {
    lost: Mutex<Vec<(Backend, Instant)>>,
}

impl Fence {
    /// Records a connection that was lost.
    pub(super) fn add(&self, backend: Backend) {
        self.lost().push((backend, Instant::now()));
    }

    /// Ends all connections that were lost. Call it outside a transaction, which would see only the
    /// connections of when it began.
    ///
    /// # Errors
    /// Fails if they cannot be ended. The next call tries again, unless nobody waits for their
    /// statements any more.
    pub(super) fn end_lost(&self, conn: &mut DbConnection) -> QueryResult<()> {
        let lost: Vec<Backend> = self.lost().iter().map(|(backend, _)| backend.clone()).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + END_WITHIN;
        loop {
            match postgres::terminate(conn, &lost) {
                Ok(left) if left > 0 && Instant::now() < until => thread::sleep(PAUSE),
                Ok(_) => {
                    self.lost().retain(|(backend, _)| !lost.contains(backend));
                    return Ok(());
                }
                Err(error) => {
                    self.lost().retain(|(_, since)| since.elapsed() < NEEDED_FOR);
                    if !is_disconnect(&error) {
                        log::warn!("cannot end a lost connection: {error}. {NEEDED_RIGHT}");
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change.
    fn lost(&self) -> MutexGuard<'_, Vec<(Backend, Instant)>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
