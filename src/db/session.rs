//! A connection with what is known about it.

use diesel::connection::SimpleConnection;
use diesel::result::Error as DieselError;

use super::connection::DbConnection;
use super::file::{Ticket, advise, is_damage};
use super::postgres::Backend;
use crate::error::{Error, Result};

/// How long a writer waits for another process that holds SQLite's write lock. With what comes on top, whoever asked is
/// answered within 5 s.
pub(super) const LOCK_WAIT: &str = "busy_timeout = 4300";
/// The same while that process is known to hold it for longer.
const SHORT_LOCK_WAIT: &str = "busy_timeout = 200";

/// A connection and what tells whether it is still good.
pub(super) struct Session {
    connection: DbConnection,
    /// With SQLite. Dropped after the connection, which counts as open until then.
    ticket: Option<Ticket>,
    broken: bool,
    /// Another process held the write lock for as long as we waited.
    locked_out: bool,
    /// The server's end of a writer's connection, on PostgreSQL.
    pub(super) backend: Option<Backend>,
}

impl Session {
    /// `ticket`: with SQLite.
    pub(super) fn new(connection: DbConnection, ticket: Option<Ticket>) -> Session {
        Session { connection, ticket, broken: false, locked_out: false, backend: None }
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

    /// Whether `error` says that another process holds SQLite's write lock. The connection is as good as before. Until the
    /// lock is free, waiting for it again is no use: everybody who asked would wait anew.
    pub(super) fn is_locked_out(&mut self, error: &DieselError) -> bool {
        let is_locked = matches!(self.connection, DbConnection::Sqlite(_))
            && matches!(error, DieselError::DatabaseError(_, information)
                        if information.message() == "database is locked");
        if is_locked && !self.locked_out {
            self.locked_out = true;
            let _ = self.connection.batch_execute(&format!("PRAGMA {SHORT_LOCK_WAIT}"));
        }
        is_locked
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
        if self.locked_out {
            self.locked_out = false;
            let _ = self.connection.batch_execute(&format!("PRAGMA {LOCK_WAIT}"));
        }
    }
}
