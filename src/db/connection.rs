//! A connection to either database, and the purposes that connections serve.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A connection to either database. Queries are written once and run on both. Where a database
/// needs its own statement, match on the variant.
#[derive(diesel::MultiConnection)]
pub enum DbConnection {
    /// A connection to a PostgreSQL server.
    Postgres(PgConnection),
    /// A connection to an SQLite file.
    Sqlite(SqliteConnection),
}

/// Runs an expression with the connection of the one database or of the other, under the same name:
/// `on_either!(conn => fixed(query).get_result(conn))`. It needs [`DbConnection`] in scope. For
/// queries that each request or each chat runs. Through [`DbConnection`] itself, Diesel writes the
/// text of a query twice at each call, and wraps each parameter and each value of a row.
macro_rules! on_either {
    ($conn:ident => $run:expr) => {
        match $conn {
            DbConnection::Sqlite($conn) => $run,
            DbConnection::Postgres($conn) => $run,
        }
    };
}
pub(crate) use on_either;

/// The purpose of a connection, which decides how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The read pool: short queries that change nothing.
    Read,
    /// One long read, without time limits.
    Snapshot,
    /// A writer.
    Write,
    /// A writer for bulk work, on PostgreSQL.
    Bulk,
    /// The writer of the index.
    Index,
    /// Migrations: no time limits.
    Migrate,
    /// The keeper of SQLite's log, which never waits for another connection.
    Keep,
}

/// Returns whether the connection was lost, because PostgreSQL or the network failed.
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
