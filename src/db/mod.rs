//! Access to the database: [`Db::read`] for queries, [`Db::write`] for all changes.
//!
//! Reads take a pooled connection. Writes go through a queue to a writer, which commits many of
//! them at once (see [`writer`]). No other code of the server writes, so it never gets "database is
//! locked" because of itself.

mod about;
mod checkpointer;
mod checkup;
mod connection;
mod connector;
pub mod file;
mod index;
mod lease;
mod migrate;
mod open;
mod pooler;
mod postgres;
mod postgres_url;
mod reader;
mod serve_lock;
mod session;
mod statement;
mod stored_time;
pub mod tally;
mod url;
mod watchdog;
pub mod writer;
mod writer_count;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;

pub use about::{About, about, free_space};
pub use checkup::{DiskCheckup, PostgresCheckup, SqliteCheckup, check_disk, check_postgres, check_sqlite};
pub use connection::DbConnection;
pub(crate) use connection::on_either;
pub use index::{ANCHOR, attach_index, index_path};
pub use migrate::{MigrationError, MigrationState};
pub use open::OwnConnection;
pub use postgres::{Exclusive, HANGS_AFTER, clock_of, connect_to_read, exclusive};
pub use serve_lock::{ServeLock, ServeLockError};
pub use statement::{Bind, DynamicStatement, IdsStatement, RowsStatement, Statement, fixed};
pub use stored_time::{MaybeStoredTime, StoredTime};
pub use url::{DatabaseUrl, DatabaseUrlError};
pub use writer::{NotReady, Scope, SetCommand, Waiting, WriterMeasures, lock_users};

use crate::error::{Error, Result};
use checkpointer::Checkpointer;
use connection::Purpose;
use file::{CopyError, Guard, Pace, PartialCopy};
use index::IndexWriter;
use lease::{Lease, Pool};
use reader::Readers;
use watchdog::Watchdog;
use writer::{Lane, Writers};

/// The most rows that one job of the second lane may change, so that a chat never waits long for
/// it.
pub const BULK_ROWS: i64 = 200;

/// How long a start waits for the index.
const OPEN_INDEX_WITHIN: Duration = Duration::from_secs(2);
/// How long dropping a handle waits for its threads.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How to connect to the database. The settings have the same names.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// The database (`--database-url`).
    pub url: DatabaseUrl,
    /// The number of connections that read (`--read-connections`).
    pub read_connections: u32,
    /// The number of PostgreSQL connections that write for requests (`--pg-writers`). `None`: a
    /// server chooses it, and a command has one.
    pub pg_writers: Option<usize>,
    /// How long a writer on PostgreSQL may make no progress: [`HANGS_AFTER`], except in some tests.
    pub hangs_after: Duration,
}

/// A handle on the database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    /// `None` after it was closed.
    pool: RwLock<Option<Pool>>,
    readers: Arc<Readers>,
    writers: Arc<Writers>,
    index: Arc<IndexWriter>,
    /// The file, for SQLite.
    file: Option<SqliteFile>,
    /// The watchdog, for PostgreSQL.
    _watchdog: Option<Watchdog>,
}

/// How the connections that read are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Open connections.
    pub open: u32,
    /// Connections that are reading now.
    pub in_use: u32,
    /// Reads that wait for a thread.
    pub waiting: usize,
}

struct SqliteFile {
    guard: Arc<Guard>,
    checkpointer: Checkpointer,
}

impl Db {
    /// Returns the SQLite file's fault, if any. With a fault, nothing is read or written until a
    /// restart.
    pub fn fault(&self) -> Option<String> {
        self.inner.check_file().err().map(|error| match error {
            Error::Unavailable(why) => why,
            error => error.to_string(),
        })
    }

    /// Returns the database's URL.
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// Runs `job` on a pooled connection, on a thread for reads (see [`reader`]). It must only
    /// read.
    ///
    /// A connection that turns out to be dead (PostgreSQL was restarted) is dropped, and the job is
    /// run once more.
    ///
    /// # Errors
    /// The job's error, or [`Error::Unavailable`] if no connection is free in time.
    pub async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        self.inner.check_file()?;
        self.inner.readers.read(job).await
    }

    /// Reads like [`Db::read`], for a look-up of a few rows that a request cannot continue without.
    /// On SQLite, whose readers do not wait for writers, it runs on this thread if a connection is
    /// free: handing it over takes several times as long.
    ///
    /// # Errors
    /// As for [`Db::read`].
    pub async fn read_few<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        if !self.inner.url.is_postgres()
            && let Some(pool) = self.inner.pool()
            && let Some(mut lease) = Lease::at_once(&pool)
        {
            self.inner.check_file()?;
            return lease.read(&job);
        }
        self.read(job).await
    }

    /// Returns why a write would fail now, or `None`. Takes at most 1.5 s.
    pub async fn not_ready(&self) -> Option<NotReady> {
        match self.fault() {
            Some(why) => {
                log::warn!("not ready: {why}");
                Some(NotReady::File)
            }
            None => self.inner.writers.not_ready().await,
        }
    }

    /// Reads like [`Db::read`], for lists, searches and other long reads. They leave one thread for
    /// look-ups.
    ///
    /// # Errors
    /// As for [`Db::read`], and [`Error::TooManyRequests`] or [`Error::Busy`] if too many wait.
    pub async fn read_in_turn<T, F>(&self, user_id: i64, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        self.inner.check_file()?;
        self.inner.readers.read_in_turn(user_id, job).await
    }

    /// Reads like [`Db::read`], but blocks the thread. For the command line.
    ///
    /// # Errors
    /// As for [`Db::read`].
    pub fn read_blocking<T>(&self, job: impl Fn(&mut DbConnection) -> Result<T>) -> Result<T> {
        self.inner.check_file()?;
        let pool =
            self.inner.pool().ok_or_else(|| Error::Unavailable("the database is closed".to_owned()))?;
        Lease::new(&pool).read(&job)
    }

    /// Queues `job` for a writer and waits until it is committed.
    ///
    /// The job runs inside a transaction, together with others. `scope` names the users whose rows
    /// it changes. `Ok` means: commit what I wrote. `Err` means: undo what I wrote. A rejection
    /// that wrote nothing is therefore best returned inside `Ok`, as it then costs the other jobs
    /// of its batch nothing. The job may run again, even after a COMMIT whose outcome is unknown:
    /// it must have no effect except on the database, and must find what it has already done by its
    /// operation id or another value that is unique to it.
    ///
    /// # Errors
    /// The job's error, or [`Error::Unavailable`] if it is not confirmed that the job was
    /// committed.
    pub async fn write<T, F>(&self, scope: Scope, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + Sync + 'static,
    {
        self.inner.writers.job(Lane::Main, scope, job).await
    }

    /// Writes like [`Db::write`], but ahead of other jobs: for the ends of holds, whose clients
    /// have already waited for the answer.
    ///
    /// # Errors
    /// As for [`Db::write`].
    pub async fn write_end<T, F>(&self, scope: Scope, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + Sync + 'static,
    {
        self.inner.writers.job(Lane::Ends, scope, job).await
    }

    /// Writes like [`Db::write`], but in the second lane, where bulk work waits so that chats do
    /// not. A job there changes at most [`BULK_ROWS`] rows.
    ///
    /// # Errors
    /// As for [`Db::write`].
    pub async fn write_bulk<T, F>(&self, scope: Scope, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + Sync + 'static,
    {
        self.inner.writers.job(Lane::Bulk, scope, job).await
    }

    /// Runs `job` in a transaction that writes the index, after those that were queued before it.
    /// On SQLite it may also read everything else, but not write it. Its commit does not wait for
    /// the disk, so a crash may undo it: what is written must be found missing and written again.
    ///
    /// # Errors
    /// The job's error, or [`Error::Unavailable`] if the index cannot be opened or written.
    pub async fn write_index<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        self.inner.check_file()?;
        self.inner.index.run(job).await
    }

    /// Opens the index on SQLite before the first read, which would otherwise find none. If that
    /// fails, the server works without it until it can be opened: [`Db::index_failure`] says why.
    /// Blocks the thread for a short time.
    pub fn open_index(&self) {
        if !self.inner.url.is_postgres()
            && let Err(error) = self.inner.index.open(OPEN_INDEX_WITHIN)
        {
            log::debug!("the index is opened later: {error}");
        }
    }

    /// Returns why there is no index, if it could not be opened.
    pub fn index_failure(&self) -> Option<String> {
        self.inner.index.failure()
    }

    /// Deletes the index's file on SQLite. The next job finds an empty one. The log says why.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be deleted, or the index's thread does not run.
    pub async fn discard_index(&self, why: &'static str) -> Result<()> {
        if self.inner.url.is_postgres() { Ok(()) } else { self.inner.index.discard(why).await }
    }

    /// Copies the log of SQLite's index into its file and empties it, so that what was deleted is
    /// in neither.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if readers prevent it for long.
    pub async fn empty_index_log(&self) -> Result<()> {
        if self.inner.url.is_postgres() { Ok(()) } else { self.inner.index.empty_log().await }
    }

    /// Copies SQLite's log into the file and empties it, so that what was deleted is in neither.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if something reads an old state of the database for long.
    pub async fn empty_log(&self) -> Result<()> {
        match &self.inner.file {
            Some(file) => file.checkpointer.empty().await,
            None => Ok(()),
        }
    }

    /// Returns how many writes of requests have begun since the start. Background work uses it to
    /// see how busy the writers are.
    pub fn writes_so_far(&self) -> u64 {
        self.inner.writers.main_jobs()
    }

    /// Returns what the writers have measured since the start.
    pub fn writer_measures(&self) -> &WriterMeasures {
        self.inner.writers.measures()
    }

    /// Returns the jobs that wait for the writers now.
    pub fn waiting_writes(&self) -> Waiting {
        self.inner.writers.waiting()
    }

    /// Returns how the connections that read are used now.
    pub fn reading(&self) -> Reading {
        let state = self.inner.pool().map(|pool| pool.state());
        let (open, idle) = state.map_or((0, 0), |state| (state.connections, state.idle_connections));
        Reading { open, in_use: open.saturating_sub(idle), waiting: self.inner.readers.waiting() }
    }

    /// Runs `part` in the second lane until it changes fewer rows than it may. `part` gets the most
    /// rows that it may change, and returns how many it changed. Returns the sum.
    ///
    /// # Errors
    /// As for [`Db::write`]. Earlier parts remain committed.
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
    ///
    /// # Errors
    /// As for [`Db::write`].
    pub async fn write_set<C: SetCommand>(&self, command: C) -> Result<C::Answer> {
        self.inner.writers.set(command).await
    }

    /// Updates SQLite's statistics. PostgreSQL does so by itself.
    pub async fn optimize(&self) -> Result<()> {
        let job = |conn: &mut DbConnection| match conn {
            DbConnection::Sqlite(conn) => Ok(conn.batch_execute("PRAGMA optimize")?),
            DbConnection::Postgres(_) => Ok(()),
        };
        self.write_bulk(Scope::none(), job).await
    }

    /// Opens a separate connection, outside the pool, that only reads: for `verify`, which holds
    /// one snapshot for long. Blocks the thread.
    ///
    /// # Errors
    /// Fails if the database cannot be reached.
    pub fn reader(&self) -> Result<OwnConnection> {
        self.own_connection(Purpose::Snapshot)
    }

    /// Copies the current state of an SQLite database while others read and write it. Blocks the
    /// thread.
    ///
    /// # Errors
    /// Fails if reading or writing fails, or if the database's file was replaced meanwhile.
    pub fn copy_into(&self, copy: &mut PartialCopy, pace: &mut Pace<'_>) -> Result<(), CopyError> {
        let Some(file) = &self.inner.file else { return Ok(()) };
        copy.fill_from_live(file.guard.real(), pace)?;
        // Check that the copy came from the file that was opened.
        file.guard.check().map_err(CopyError::Replaced)
    }
}

impl Inner {
    fn pool(&self) -> Option<Pool> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check_file(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.guard.check_lately()).map_err(Error::Unavailable)
    }

    fn close(&self, until: Instant) {
        self.writers.close();
        self.readers.close();
        // The readers' threads hold clones: the connections close when the last one is dropped.
        drop(self.pool.write().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(file) = &self.file {
            // Only the connection that writes the index can leave it as one file, so it closes
            // after those that read it.
            file.guard.connections().close(2, until);
            self.index.close(until);
            file.guard.connections().close(1, until);
            file.checkpointer.end(until);
        }
        self.index.close(until);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close(Instant::now() + CLOSE_WITHIN);
    }
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(error.to_string())
}
