//! The door to the database: [`Db::read`] for queries, [`Db::write`] for everything that changes something.
//!
//! Reads take a pooled connection. Writes go through a queue to a writer, which commits many of them at once
//! (see [`writer`]). No other code of the server writes, so it never meets "database is locked" from within.

mod about;
mod checkpointer;
mod connection;
mod migrate;
mod pooler;
mod postgres;
mod reader;
mod serve_lock;
mod statement;
mod url;
mod watchdog;
pub mod writer;

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;

pub use about::{About, about};
pub use connection::DbConnection;
pub use migrate::{MigrationError, MigrationState};
pub use postgres::{Exclusive, HANGS_AFTER, clock_of, exclusive};
pub use serve_lock::{ServeLock, ServeLockError};
pub use statement::{Bind, DynamicStatement, Statement};
pub use url::{DatabaseUrl, DatabaseUrlError};
pub use writer::{NotReady, Scope, SetCommand, lock_users};

use crate::error::{Error, Result};
use checkpointer::Checkpointer;
use connection::{Connector, Purpose};
use reader::{Lease, Pool, Readers};
use watchdog::Watchdog;
use writer::{Lane, Writers};

/// Rows that one job of the second lane may touch, so that a chat never waits long behind it.
pub const BULK_ROWS: i64 = 200;

/// How long a request waits for a read connection before it is answered 503.
const POOL_TIMEOUT: Duration = Duration::from_secs(3);

/// How to reach the database; see the settings of the same names.
#[derive(Clone, Debug)]
pub struct DbOptions {
    pub url: DatabaseUrl,
    pub read_connections: u32,
    pub pg_writers: usize,
    /// How long a writer on PostgreSQL may make no progress: [`HANGS_AFTER`], but for tests that hold one up.
    pub hangs_after: Duration,
}

/// A handle on the database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    pool: Pool,
    readers: Arc<Readers>,
    writers: Arc<Writers>,
    _checkpointer: Option<Checkpointer>,
    _watchdog: Option<Watchdog>,
}

impl Db {
    /// Opens the database, making an SQLite file that is not there yet. Blocks.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the database's own words when it cannot be reached.
    pub fn open(options: &DbOptions) -> Result<Db> {
        options
            .url
            .create_if_missing()
            .map_err(|error| Error::Unavailable(format!("{}: {error}", options.url)))?;
        let connector = Connector::new(options.url.clone(), Purpose::Read);
        // The first connection is made here, so that a wrong address or password is told at once and in full.
        let first = connector.connect_with_reason()?;
        if options.url.is_postgres() {
            refuse_pooler(first, &connector)?;
        }
        // A thread that hangs keeps its connection.
        let spare = if options.url.is_postgres() { reader::MOST_ABANDONED } else { 0 };
        let pool = r2d2::Pool::builder()
            .max_size(options.read_connections.saturating_add(spare))
            .min_idle(Some(1))
            .connection_timeout(POOL_TIMEOUT)
            .error_handler(Box::new(connection::LogQuietly))
            .build_unchecked(connector);
        let count = if options.url.is_postgres() { options.pg_writers.max(1) } else { 1 };
        let writers = Writers::start(&options.url, count, options.hangs_after).map_err(no_thread)?;
        let threads = usize::try_from(options.read_connections).unwrap_or(1);
        let readers = Readers::start(&pool, threads).map_err(no_thread)?;
        let (writers, readers) = (Arc::new(writers), Arc::new(readers));
        let checkpointer = match options.url.is_postgres() {
            true => None,
            false => Some(Connector::new(options.url.clone(), Purpose::Write)),
        };
        let _checkpointer = checkpointer.map(Checkpointer::start).transpose().map_err(no_thread)?;
        let _watchdog = match options.url.is_postgres() {
            true => Some(Watchdog::start(writers.clone(), readers.clone()).map_err(no_thread)?),
            false => None,
        };
        let url = options.url.clone();
        Ok(Db { inner: Arc::new(Inner { url, pool, readers, writers, _checkpointer, _watchdog }) })
    }

    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// Runs `job` on a pooled connection, on a thread of its own kind (see [`reader`]). It must only read.
    ///
    /// A connection that turns out to be dead (PostgreSQL was restarted) is thrown away and the job run once more.
    ///
    /// # Errors
    /// Those of the job; [`Error::Unavailable`] when no connection is free in time.
    pub async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        self.inner.readers.read(job).await
    }

    /// Like [`Db::read`], for a look-up of a few rows that a request cannot go on without. On SQLite, whose readers wait
    /// for no writer, it runs right here if a connection is free: handing it over takes several times as long.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn read_few<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        if !self.inner.url.is_postgres()
            && let Some(mut lease) = Lease::at_once(&self.inner.pool)
        {
            return lease.read(&job);
        }
        self.read(job).await
    }

    /// Like [`Db::read`], for callers that may block: the command line.
    pub fn read_blocking<T>(&self, job: impl Fn(&mut DbConnection) -> Result<T>) -> Result<T> {
        Lease::new(&self.inner.pool).read(&job)
    }

    /// Queues `job` for a writer and waits until it is committed.
    ///
    /// The job runs inside a transaction, together with others; `scope` names the users whose rows it changes.
    /// `Ok` means: commit what I wrote. `Err` means: undo what I wrote; so a refusal that wrote nothing is best
    /// returned inside `Ok`, as it then costs the others of its batch nothing. The job may run again, even after
    /// a COMMIT whose outcome is unknown: it must have no effect but on the database, and must find what it has
    /// already done by its operation id or another value that is unique to it.
    ///
    /// # Errors
    /// Those of the job; [`Error::Unavailable`] when it is not confirmed that the job was committed.
    pub async fn write<T, F>(&self, scope: Scope, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + Sync + 'static,
    {
        self.inner.writers.job(Lane::Main, scope, job).await
    }

    /// Like [`Db::write`], but in the second lane, where bulk work waits so that chats do not. A job there
    /// touches at most [`BULK_ROWS`] rows.
    pub async fn write_bulk<T, F>(&self, scope: Scope, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + Sync + 'static,
    {
        self.inner.writers.job(Lane::Bulk, scope, job).await
    }

    /// Why a write that came now would not be done, if so. Takes at most 1.5 s.
    pub async fn not_ready(&self) -> Option<NotReady> {
        match &self.inner.url {
            DatabaseUrl::Sqlite(path) if !path.exists() => Some(NotReady::File),
            _ => self.inner.writers.not_ready().await,
        }
    }

    /// How many writes that somebody waits for were begun so far: whoever works in the background sees by it how busy
    /// the writers are.
    pub fn writes_so_far(&self) -> u64 {
        self.inner.writers.main_jobs()
    }

    /// Runs `part` in the second lane until it finds less than the rows that it may touch, which it is given. It
    /// answers how many it touched; this, how many there were in all.
    pub async fn write_in_parts<F>(&self, part: F) -> Result<usize>
    where
        F: Fn(&mut DbConnection, i64) -> Result<usize> + Send + Sync + Copy + 'static,
    {
        let mut touched = 0;
        loop {
            let count = self.write_bulk(Scope::none(), move |conn| part(conn, BULK_ROWS)).await?;
            touched += count;
            if count < usize::try_from(BULK_ROWS).unwrap_or(usize::MAX) {
                return Ok(touched);
            }
        }
    }

    /// Queues a command that can run together with others of its kind; see [`SetCommand`].
    pub async fn write_set<C: SetCommand>(&self, command: C) -> Result<C::Answer> {
        self.inner.writers.set(command).await
    }

    /// Lets SQLite bring its statistics up to date; PostgreSQL does so by itself.
    pub async fn optimize(&self) -> Result<()> {
        let job = |conn: &mut DbConnection| match conn {
            DbConnection::Sqlite(conn) => Ok(conn.batch_execute("PRAGMA optimize")?),
            DbConnection::Postgres(_) => Ok(()),
        };
        self.write_bulk(Scope::none(), job).await
    }

    /// Opens a connection of its own, outside the pool, that only reads: for `verify`, which holds one snapshot
    /// for long. Blocks.
    pub fn reader(&self) -> Result<DbConnection> {
        let connector = Connector::new(self.url().clone(), Purpose::Snapshot);
        Ok(connector.connect_with_reason()?.into_connection())
    }

    /// Applies the migrations that are missing. Blocks. Safe when several nodes do it at once.
    pub fn migrate(&self) -> Result<Vec<String>, MigrationError> {
        migrate::up(&mut self.migrator()?)
    }

    /// Takes the newest migration back. Blocks. Answers its name, or `None` when there is none left.
    pub fn migrate_down(&self) -> Result<Option<String>, MigrationError> {
        migrate::down(&mut self.migrator()?)
    }

    /// Which migrations are applied. Blocks.
    pub fn migration_state(&self) -> Result<Vec<MigrationState>, MigrationError> {
        migrate::state(&mut self.migrator()?)
    }

    fn migrator(&self) -> Result<DbConnection, MigrationError> {
        let connector = Connector::new(self.url().clone(), Purpose::Migrate);
        Ok(connector.connect_with_reason().map_err(MigrationError::Connect)?.into_connection())
    }
}

/// # Errors
/// [`Error::Unavailable`] with what to do when a pooler shares its connections between clients.
fn refuse_pooler(first: connection::Session, connector: &Connector) -> Result<()> {
    let second = connector.connect_with_reason()?.into_connection();
    let (DbConnection::Postgres(mut first), DbConnection::Postgres(mut second)) =
        (first.into_connection(), second)
    else {
        return Ok(());
    };
    let refused = |why: &str| Error::Unavailable(format!("cannot use {}: {why}", connector.url));
    match pooler::shares_connections(&mut first, &mut second) {
        Ok(false) => Ok(()),
        Ok(true) => Err(refused(pooler::REFUSAL)),
        Err(why) => Err(refused(&why)),
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::Unavailable(format!("cannot start a thread for the database: {error}"))
}
