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

/// How long to wait for the end of a connection. One whose process is stopped ends when it
/// continues, and before it reads a statement.
const ENDS_WITHIN: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(2);

/// The connections that the writers of this node have lost, until they are ended.
#[derive(Default)]
pub(super) struct Fence {
    lost: Mutex<Vec<Backend>>,
}

impl Fence {
    /// Records a connection that was lost.
    pub(super) fn add(&self, backend: Backend) {
        self.lost().push(backend);
    }

    /// Ends all connections that were lost. Call it outside a transaction, which would see only the
    /// connections of when it began.
    ///
    /// # Errors
    /// Fails if this connection breaks. Then the rest is ended the next time.
    pub(super) fn end_lost(&self, conn: &mut DbConnection) -> QueryResult<()> {
        let lost = self.lost().clone();
        for backend in lost {
            match end(conn, &backend) {
                Err(error) if is_disconnect(&error) => return Err(error),
                // Nothing would be charged any more if this were tried again and again.
                Err(error) => log::warn!(
                    "the lost connection {} could not be ended, and may still make a charge: {error}. The server's role                      needs the right to call pg_terminate_backend",
                    backend.pid
                ),
                Ok(()) => {}
            }
            self.lost().retain(|other| *other != backend);
        }
        Ok(())
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change.
    fn lost(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(conn: &mut DbConnection, backend: &Backend) -> QueryResult<()> {
    let until = Instant::now() + ENDS_WITHIN;
    while postgres::terminate(conn, backend)? && Instant::now() < until {
        thread::sleep(PAUSE);
    }
    Ok(())
}
