//! A connection and its state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::result::Error as DieselError;

use super::connection::DbConnection;
use super::file::{Ticket, advise, is_damage};
use super::index::{Attached, IndexState, Suspicion};
use super::postgres::Backend;
use crate::error::{Error, Result};

/// How long a writer waits for another process that holds SQLite's write lock. With everything
/// else, callers get a response within 5 s.
const LOCK_WAIT: Duration = Duration::from_millis(4_100);
/// How long one attempt waits inside SQLite. SQLite's own timing falls behind on a busy machine.
pub(super) const LOCK_ATTEMPT: &str = "busy_timeout = 200";

/// A connection, and what is needed to tell whether it can still be used.
pub(super) struct Session {
    connection: DbConnection,
    /// The permit of the connection, for SQLite. Dropped after the connection, which counts as open
    /// until then.
    ticket: Option<Ticket>,
    broken: bool,
    /// When another process took the write lock, as far as known. `None` while it is free.
    locked_since: Option<Instant>,
    /// The server's side of a writer's connection, on PostgreSQL.
    pub(super) backend: Option<Backend>,
    /// The index that is attached to a connection that reads, on SQLite.
    index: Option<(Arc<IndexState>, Attached)>,
}

impl Session {
    /// Makes a session. With SQLite it has a ticket.
    pub(super) fn new(connection: DbConnection, ticket: Option<Ticket>) -> Session {
        Session { connection, ticket, broken: false, locked_since: None, backend: None, index: None }
    }

    /// Records which index is attached.
    pub(super) fn with_index(self, index: Option<(Arc<IndexState>, Attached)>) -> Session {
        Session { index, ..self }
    }

    /// Returns whether the index that is attached is the one to read now.
    pub(super) fn reads_the_index_of_now(&self) -> bool {
        self.index.as_ref().is_none_or(|(state, attached)| state.epoch() == attached.epoch)
    }

    /// Lets the writer look at the index, if this connection reads its file. Returns whether it may
    /// be the index that is at fault, rather than the database.
    fn suspect_index(&self, suspicion: Suspicion) -> bool {
        self.index.as_ref().is_some_and(|(state, attached)| attached.is_file && state.suspect(suspicion))
    }

    pub(super) fn connection(&mut self) -> &mut DbConnection {
        &mut self.connection
    }

    /// Splits off the connection, and the ticket that keeps the database open until the connection
    /// is closed.
    pub(super) fn into_parts(self) -> (DbConnection, Option<Ticket>) {
        (self.connection, self.ticket)
    }

    /// Marks the connection as unusable.
    pub(super) fn mark_broken(&mut self) {
        self.broken = true;
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Checks that an SQLite file is still the one that this connection has open. SQLite itself
    /// would keep writing into a file that was moved or deleted, and its chats would be lost at the
    /// next start.
    pub(super) fn check(&self) -> Result<(), String> {
        self.ticket.as_ref().map_or(Ok(()), |ticket| ticket.guard().check())
    }

    /// Checks that what was committed is really there. Call it before callers get a response.
    pub(super) fn check_commit(&mut self) -> Result<(), String> {
        match &self.ticket {
            Some(ticket) => ticket.guard().check_log(&mut self.connection),
            None => Ok(()),
        }
    }

    /// Returns whether `error` means that another process holds SQLite's write lock. The connection
    /// can still be used.
    pub(super) fn is_locked(&mut self, error: &DieselError) -> bool {
        let is_locked = matches!(self.connection, DbConnection::Sqlite(_))
            && matches!(error, DieselError::DatabaseError(_, information)
                        if information.message() == "database is locked");
        if is_locked {
            self.locked_since.get_or_insert_with(Instant::now);
        }
        is_locked
    }

    /// Returns whether a writer has waited long enough for the write lock. Until the lock is free,
    /// waiting again would only delay each further caller as long.
    pub(super) fn is_locked_for_long(&self) -> bool {
        self.locked_since.is_some_and(|since| since.elapsed() >= LOCK_WAIT)
    }

    /// Adds the SQLite file's name, and advice, to a read error that reports damage. If the index
    /// may be what is wrong, no connection reads it before the writer has looked at it.
    pub(super) fn explain(&self, error: Error) -> Error {
        match (error, &self.ticket) {
            (Error::Database(error), Some(ticket)) if is_damage(&error.to_string()) => {
                if self.suspect_index(Suspicion::Damaged) {
                    log::warn!("the index is being checked: {error}");
                    return Error::IndexWrong;
                }
                Error::Unavailable(advise(ticket.guard().path(), &error))
            }
            (Error::IndexWrong, _) => {
                self.suspect_index(Suspicion::Wrong);
                Error::IndexWrong
            }
            (error, _) => error,
        }
    }

    /// Records that the write lock was free.
    pub(super) fn note_unlocked(&mut self) {
        self.locked_since = None;
    }
}
