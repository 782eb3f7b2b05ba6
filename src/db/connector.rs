//! Makes connections and sets them up for their purpose.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::checkpointer::LOG_LIMIT;
use super::connection::{DbConnection, Purpose};
use super::file::{Guard, Ticket, advise, is_damage};
use super::index::IndexFile;
use super::postgres;
use super::session::{LOCK_ATTEMPT, Session};
use super::url::DatabaseUrl;
use crate::error::{Error, Result};

/// Makes connections. It is also r2d2's manager of the read pool.
///
/// `MultiConnection`'s own `establish` is not used: it tries one database after the other and hides
/// why it failed, and it would create an SQLite file for a mistyped scheme.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) url: DatabaseUrl,
    purpose: Purpose,
    /// Watches an SQLite file.
    guard: Option<Arc<Guard>>,
    patience: Duration,
    /// The index to attach, on SQLite.
    index: Option<Arc<IndexFile>>,
}

impl Connector {
    pub(super) fn new(url: DatabaseUrl, purpose: Purpose, guard: Option<Arc<Guard>>) -> Connector {
        Connector { url, purpose, guard, patience: postgres::HANGS_AFTER, index: None }
    }

    /// Sets another time after which a connection counts as hanging.
    pub(super) fn with_patience(self, patience: Duration) -> Connector {
        Connector { patience, ..self }
    }

    /// Attaches the index to each connection.
    pub(super) fn with_index(self, index: Option<Arc<IndexFile>>) -> Connector {
        Connector { index, ..self }
    }

    /// Permits one more connection to an SQLite file.
    ///
    /// # Errors
    /// Fails with the reason why none is permitted.
    pub(super) fn ticket(&self) -> Result<Option<Ticket>, String> {
        self.guard.as_ref().map(Guard::ticket).transpose()
    }

    /// Connects. The error has the reason in full.
    pub(super) fn connect_with_reason(&self) -> Result<Session> {
        match &self.url {
            DatabaseUrl::Sqlite(path) => self.connect_sqlite(path).map_err(Error::Unavailable),
            DatabaseUrl::Postgres(url) => self
                .connect_postgres(url)
                .map_err(|reason| Error::Unavailable(format!("cannot open {}: {reason}", self.url))),
        }
    }

    /// Adds the SQLite file's name, and advice, to a database error that reports damage.
    pub(super) fn advise(&self, why: String) -> String {
        match self.url.sqlite_path() {
            Some(path) if is_damage(&why) => advise(path, &why),
            _ => why,
        }
    }

    /// Checks that an SQLite file may be read, because it is still the one that was opened.
    pub(super) fn check_lately(&self) -> Result<()> {
        self.guard.as_ref().map_or(Ok(()), |guard| guard.check_lately()).map_err(Error::Unavailable)
    }

    /// Returns the guard of an SQLite file.
    pub(super) fn guard(&self) -> Option<Arc<Guard>> {
        self.guard.clone()
    }

    fn connect_sqlite(&self, path: &Path) -> Result<Session, String> {
        let ticket = self.ticket()?;
        let failed = |error: &dyn std::fmt::Display| advise(path, &error);
        let mut connection =
            SqliteConnection::establish(&DatabaseUrl::sqlite_uri(path)).map_err(|error| failed(&error))?;
        // busy_timeout comes first, since the other PRAGMAs may meet a lock. FULL: a commit is on
        // the disk before callers get a response; NORMAL would lose the last commits in a power
        // cut. recursive_triggers makes INSERT OR REPLACE fire the trigger that keeps the ledger
        // append-only. Each PRAGMA is run separately, since one may stop a batch.
        let mut pragmas = vec![
            "busy_timeout = 5000",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "recursive_triggers = ON",
        ];
        match self.purpose {
            Purpose::Read | Purpose::Snapshot => {}
            // Only the keeper copies the log, so that no commit waits for it. A log that became
            // long because of a reader is truncated when it restarts. Deleted data is overwritten,
            // so that free parts of the file contain no data of an anonymised user. A statement
            // over many rows keeps the pages that it changes until it is done: in memory, as they
            // would otherwise go into a file.
            Purpose::Write | Purpose::Bulk => pragmas.extend([
                LOCK_ATTEMPT,
                "cache_size = -3000",
                "temp_store = MEMORY",
                "wal_autocheckpoint = 0",
                "secure_delete = ON",
                LOG_LIMIT,
            ]),
            Purpose::Migrate => pragmas.push("secure_delete = ON"),
            Purpose::Keep => pragmas.extend(["wal_autocheckpoint = 0", "busy_timeout = 0"]),
            // See `IndexFile::open`, which opens another file.
            Purpose::Index => {}
        }
        for pragma in pragmas {
            connection.batch_execute(&format!("PRAGMA {pragma}")).map_err(|error| failed(&error))?;
        }
        // From its first query on, the connection has the log open.
        connection.batch_execute("SELECT count(*) FROM sqlite_master").map_err(|error| failed(&error))?;
        let index = match &self.index {
            Some(index) => {
                let attached = index.attach(&mut connection).map_err(|error| failed(&error))?;
                Some((index.state().clone(), attached))
            }
            None => None,
        };
        if matches!(self.purpose, Purpose::Read | Purpose::Snapshot) {
            connection.batch_execute("PRAGMA query_only = ON").map_err(|error| failed(&error))?;
        }
        if let Some(guard) = &self.guard {
            guard.check()?;
        }
        Ok(Session::new(DbConnection::Sqlite(connection), ticket).with_index(index))
    }

    fn connect_postgres(&self, url: &str) -> Result<Session, String> {
        let mut connection = postgres::connect(url, self.purpose, self.patience)?;
        let backend = match self.purpose {
            // Without it, a writer that loses the connection could not end it.
            Purpose::Write | Purpose::Bulk => {
                Some(postgres::backend(&mut connection).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let mut session = Session::new(DbConnection::Postgres(connection), None);
        session.backend = backend;
        Ok(session)
    }
}

impl r2d2::ManageConnection for Connector {
    type Connection = Session;
    type Error = Error;

    fn connect(&self) -> Result<Session> {
        self.connect_with_reason()
    }

    /// Called at each checkout, so it runs no query: the read itself detects a dead PostgreSQL
    /// connection. A connection that reads an earlier index connects again.
    fn is_valid(&self, session: &mut Session) -> Result<()> {
        self.index.iter().for_each(|index| index.check_lately());
        if !session.reads_the_index_of_now() {
            return Err(Error::Unavailable("there is another index".to_owned()));
        }
        self.check_lately()
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.is_broken() || std::thread::panicking()
    }
}

/// Drops r2d2's log messages: while a database is unavailable, they would fill the log.
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
