//! A connection with what is known about it.

use std::time::{Duration, Instant};

use diesel::result::Error as DieselError;

use super::connection::DbConnection;
use super::file::{Ticket, advise, is_damage};
use super::postgres::Backend;
use crate::error::{Error, Result};

/// How long a writer waits for another process that holds SQLite's write lock. With what comes on top, whoever asked is
/// answered within 5 s.
const LOCK_WAIT: Duration = Duration::from_millis(4_100);
/// How long one attempt waits, in SQLite, whose own count of time falls behind on a busy machine.
pub(super) const LOCK_ATTEMPT: &str = "busy_timeout = 200";

/// A connection and what tells whether it is still good.
pub(super) struct Session {
    connection: DbConnection,
    /// With SQLite. Dropped after the connection, which counts as open until then.
    ticket: Option<Ticket>,
    broken: bool,
    /// Since when another process holds the write lock.
    locked_since: Option<Instant>,
    /// The server's end of a writer's connection, on PostgreSQL.
    pub(super) backend: Option<Backend>,
}

impl Session {
    /// `ticket`: with SQLite.
    pub(super) fn new(connection: DbConnection, ticket: Option<Ticket>) -> Session {
        Session { connection, ticket, broken: false, locked_since: None, backend: None }
    }

    pub(super) fn connection(&mut self) -> &mut DbConnection {
        &mut self.connection
    }

    /// Lets go of everything but the connection, and of the ticket that keeps the database from being closed before it.
    pub(super) fn into_parts(self) -> (DbConnection, Option<Ticket>) {
        (self.connection, self.ticket)
    }

    /// The connection must not be used again.
    pub(super) fn mark_broken(&mut self) {
        self.broken = true;
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether an SQLite file is still the one that this connection has open. SQLite itself would go on writing into a file
    /// that was moved or deleted, and its chats would be gone at the next start.
    pub(super) fn check(&self) -> Result<(), String> {
        self.ticket.as_ref().map_or(Ok(()), |ticket| ticket.guard().check())
    }

    /// Whether what was committed is really there. Nobody is told so before.
    pub(super) fn check_commit(&mut self) -> Result<(), String> {
        match &self.ticket {
            Some(ticket) => ticket.guard().check_log(&mut self.connection),
            None => Ok(()),
        }
    }

    /// Whether `error` says that another process holds SQLite's write lock. The connection is as good as before.
    pub(super) fn is_locked(&mut self, error: &DieselError) -> bool {
        let is_locked = matches!(self.connection, DbConnection::Sqlite(_))
            && matches!(error, DieselError::DatabaseError(_, information)
                        if information.message() == "database is locked");
        if is_locked {
            self.locked_since.get_or_insert_with(Instant::now);
        }
        is_locked
    }

    /// Whether the write lock has been waited for long enough. Until it is free, waiting anew is no use: everybody who asks
    /// would wait as long again.
    pub(super) fn is_locked_for_long(&self) -> bool {
        self.locked_since.is_some_and(|since| since.elapsed() >= LOCK_WAIT)
    }

    /// An error of a read, with the SQLite file's name and what to do where that is damaged.
    pub(super) fn explain(&self, error: Error) -> Error {
        match (error, &self.ticket) {
            (Error::Database(error), Some(ticket)) if is_damage(&error.to_string()) => {
                Error::Unavailable(advise(ticket.guard().path(), &error))
            }
            (error, _) => error,
        }
    }

    /// The write lock was free.
    pub(super) fn note_unlocked(&mut self) {
        self.locked_since = None;
    }
}
