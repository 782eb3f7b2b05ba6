//! A connection to either database, and the purposes that connections serve.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// One connection to either database. Queries are written once and run on both; where one database truly needs
/// a statement of its own, match on the variant.
#[derive(diesel::MultiConnection)]
pub enum DbConnection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// What a connection is for, which decides how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The pool: short queries that change nothing.
    Read,
    /// One long read, without time limits.
    Snapshot,
    /// A writer.
    Write,
    /// A writer for bulk work, on PostgreSQL.
    Bulk,
    /// Migrations: no time limits.
    Migrate,
    /// The keeper of SQLite's log, which never waits for anybody.
    Keep,
}

/// Whether PostgreSQL, or the way to it, went away under the connection.
pub(super) fn is_disconnect(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _)
        | DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, _) => true,
        DieselError::DatabaseError(_, information) => {
            let message = information.message();
            ["terminating connection", "server closed the connection", "no connection to the server"]
                .iter()
                .any(|text| message.contains(text))
        }
        _ => false,
    }
}
