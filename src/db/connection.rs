//! Connections: what one is, how it is set up, and when it is thrown away.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::postgres::{self, Backend};
use super::url::DatabaseUrl;
use crate::error::{Error, Result};

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
    /// A writer of bulk work, on PostgreSQL.
    Bulk,
    /// Migrations: no time limits.
    Migrate,
}

/// Makes connections. It is r2d2's manager of the read pool, too.
///
/// `MultiConnection`'s own `establish` is not used: it tries one database after the other and hides the reason
/// for which it failed, and it would make an SQLite file out of a mistyped scheme.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) url: DatabaseUrl,
    purpose: Purpose,
    patience: Duration,
}

/// A connection and what tells whether it is still good.
pub(super) struct Session {
    connection: DbConnection,
    file: Option<FileId>,
    broken: bool,
    /// The server's end of a writer's connection, on PostgreSQL.
    pub(super) backend: Option<Backend>,
}

/// Which file an SQLite connection has open: a path may come to name another one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> Option<FileId> {
        let metadata = fs::metadata(path).ok()?;
        Some(FileId { device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Connector {
    pub(super) fn new(url: DatabaseUrl, purpose: Purpose) -> Connector {
        Connector { url, purpose, patience: postgres::HANGS_AFTER }
    }

    /// With another time after which a connection counts as hanging.
    pub(super) fn with_patience(self, patience: Duration) -> Connector {
        Connector { patience, ..self }
    }

    /// Connects; the error says why it could not.
    pub(super) fn connect_with_reason(&self) -> Result<Session> {
        let made = match &self.url {
            DatabaseUrl::Sqlite(path) => self.connect_sqlite(path),
            DatabaseUrl::Postgres(url) => self.connect_postgres(url),
        };
        made.map_err(|reason| Error::Unavailable(format!("cannot open {}: {reason}", self.url)))
    }

    fn connect_sqlite(&self, path: &Path) -> Result<Session, String> {
        let file = FileId::of(path).ok_or_else(|| format!("there is no file {}", path.display()))?;
        let mut connection =
            SqliteConnection::establish(&DatabaseUrl::sqlite_uri(path)).map_err(|error| error.to_string())?;
        // busy_timeout comes first, since the others may meet a lock. FULL: a commit is on the disk before it is
        // answered; NORMAL would lose the last ones with the power. recursive_triggers lets INSERT OR REPLACE
        // fire the trigger that keeps the ledger append-only. A PRAGMA each, since one may stop a batch.
        let mut pragmas = vec![
            "busy_timeout = 5000",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "recursive_triggers = ON",
        ];
        match self.purpose {
            Purpose::Read | Purpose::Snapshot => pragmas.push("query_only = ON"),
            // Fewer, larger checkpoints: a page that many chats change is copied once instead of many times.
            Purpose::Write | Purpose::Bulk => {
                pragmas.extend(["cache_size = -8000", "wal_autocheckpoint = 4000"])
            }
            Purpose::Migrate => {}
        }
        for pragma in pragmas {
            connection.batch_execute(&format!("PRAGMA {pragma}")).map_err(|error| error.to_string())?;
        }
        Ok(Session {
            connection: DbConnection::Sqlite(connection),
            file: Some(file),
            broken: false,
            backend: None,
        })
    }

    fn connect_postgres(&self, url: &str) -> Result<Session, String> {
        let mut connection = postgres::connect(url, self.purpose, self.patience)?;
        let backend = match self.purpose {
            Purpose::Write | Purpose::Bulk => postgres::backend(&mut connection),
            _ => None,
        };
        Ok(Session { connection: DbConnection::Postgres(connection), file: None, broken: false, backend })
    }
}

impl Session {
    pub(super) fn connection(&mut self) -> &mut DbConnection {
        &mut self.connection
    }

    pub(super) fn into_connection(self) -> DbConnection {
        self.connection
    }

    /// The connection must not be used again.
    pub(super) fn mark_broken(&mut self) {
        self.broken = true;
    }

    /// Whether the path still names the file that this connection has open. SQLite itself would go on writing
    /// into a file that was moved or deleted, and its chats would be gone at the next start.
    pub(super) fn still_names(&self, url: &DatabaseUrl) -> bool {
        match url {
            DatabaseUrl::Sqlite(path) => self.file.is_some() && self.file == FileId::of(path),
            DatabaseUrl::Postgres(_) => true,
        }
    }
}

impl r2d2::ManageConnection for Connector {
    type Connection = Session;
    type Error = Error;

    fn connect(&self) -> Result<Session> {
        self.connect_with_reason()
    }

    /// Called at each checkout, so it is no query: a dead PostgreSQL connection is found by the read itself.
    /// Reads go on where an SQLite file was moved away, until there is another one at its path.
    fn is_valid(&self, session: &mut Session) -> Result<()> {
        let DatabaseUrl::Sqlite(path) = &self.url else { return Ok(()) };
        match FileId::of(path) {
            Some(id) if session.file != Some(id) => {
                Err(Error::Unavailable(format!("{} is another file now", path.display())))
            }
            _ => Ok(()),
        }
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.broken || std::thread::panicking()
    }
}

/// r2d2 tells its troubles to the log; a database that is away would fill it with errors.
#[derive(Debug)]
pub(super) struct LogQuietly;

impl r2d2::HandleError<Error> for LogQuietly {
    fn handle_error(&self, error: Error) {
        match error {
            Error::Unavailable(why) => log::debug!("read pool: {why}"),
            error => log::debug!("read pool: {error}"),
        }
    }
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
