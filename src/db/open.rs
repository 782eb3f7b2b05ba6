//! Opens and closes the database.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use scheduled_thread_pool::ScheduledThreadPool;

use super::checkpointer::Checkpointer;
use super::connection::Purpose;
use super::connector::{Connector, LogQuietly};
use super::file::{self, Guard, Ticket};
use super::index::{IndexFile, IndexWriter, attach_index};
use super::reader::{self, Readers};
use super::watchdog::Watchdog;
use super::writer::Writers;
use super::{
    DatabaseUrl, Db, DbConnection, DbOptions, Inner, ServeLock, SqliteFile, pooler, postgres, unavailable,
    writer_count,
};
use crate::error::{Error, Result};

/// How long a request waits for a read connection before it gets a 503.
const POOL_TIMEOUT: Duration = Duration::from_secs(3);

/// How many times as long as a writer a job of the index may take: a minute, as each of its
/// statements may take half of that.
const INDEX_PATIENCE: u32 = 40;

/// A separate connection for one long read. The database is not closed before it.
pub struct OwnConnection {
    connection: DbConnection,
    _ticket: Option<Ticket>,
}

impl std::ops::Deref for OwnConnection {
    type Target = DbConnection;

    fn deref(&self) -> &DbConnection {
        &self.connection
    }
}

impl std::ops::DerefMut for OwnConnection {
    fn deref_mut(&mut self) -> &mut DbConnection {
        &mut self.connection
    }
}

impl Db {
    /// Opens the database, and creates an SQLite file if it is missing. Blocks the thread.
    ///
    /// # Errors
    /// [`Error::Unavailable`], with the database's own message if it cannot be reached, or with the
    /// reason why an SQLite file must not be opened.
    pub fn open(options: &DbOptions) -> Result<Db> {
        ServeLock::check_beside(&options.url).map_err(unavailable)?;
        Db::open_under(options, None)
    }

    /// Opens the database like [`Db::open`], for a command that changes data. If no server runs,
    /// the SQLite file first gets a new generation (see [`mod@file`]), so that the log of an
    /// earlier copy does not match what the command writes.
    ///
    /// # Errors
    /// As for [`Db::open`].
    pub fn open_to_change(options: &DbOptions) -> Result<Db> {
        if let Some(lock) = ServeLock::take_if_free(&options.url).map_err(unavailable)? {
            lock.renew_generation().map_err(unavailable)?;
        }
        Db::open(options)
    }

    /// Opens the database like [`Db::open`], for a server, which holds the lock until the database
    /// is closed.
    ///
    /// # Errors
    /// As for [`Db::open`].
    pub fn open_to_serve(options: &DbOptions, lock: &ServeLock) -> Result<Db> {
        lock.renew_generation().map_err(unavailable)?;
        Db::open_under(options, Some(lock))
    }

    fn open_under(options: &DbOptions, lock: Option<&ServeLock>) -> Result<Db> {
        let guard = options.url.sqlite_path().map(|path| open_file(path, lock)).transpose()?.map(Arc::new);
        let connector = |purpose| Connector::new(options.url.clone(), purpose, guard.clone());
        // Open the first connection here, so that a wrong address or password is reported at once
        // and in full. On SQLite it belongs to the keeper of the log and is closed last.
        let file = match &guard {
            Some(guard) => {
                let session = connector(Purpose::Keep).connect_with_reason()?;
                guard.watch_log().map_err(Error::Unavailable)?;
                let checkpointer =
                    Checkpointer::start(session, guard.clone(), lock.is_some()).map_err(no_thread)?;
                Some(SqliteFile { guard: guard.clone(), checkpointer })
            }
            None => {
                let connector = connector(Purpose::Read);
                let cannot_open = format!("cannot open {}", options.url);
                postgres::in_time(move || refuse_pooler(&connector))
                    .map_err(|why| Error::Unavailable(format!("{cannot_open}: {why}")))??;
                None
            }
        };
        let index = guard.as_ref().map(|guard| Arc::new(IndexFile::beside(guard.real())));
        // A thread that hangs keeps its connection.
        let spare = if options.url.is_postgres() { reader::MOST_ABANDONED } else { 0 };
        let most = options.read_connections.saturating_add(spare);
        let pool = r2d2::Pool::builder()
            .max_size(most)
            .thread_pool(connecting_threads(if options.url.is_postgres() { most } else { 1 }))
            .min_idle(Some(1))
            .connection_timeout(POOL_TIMEOUT)
            .error_handler(Box::new(LogQuietly))
            .build_unchecked(connector(Purpose::Read).with_index(index.clone()));
        let count = match options.url.is_postgres() {
            true if lock.is_some() => writer_count::choose(connector(Purpose::Write), options.pg_writers),
            true => options.pg_writers.unwrap_or(1).max(1),
            false => 1,
        };
        let writer = |purpose| connector(purpose).with_patience(options.hangs_after);
        let writers = Arc::new(Writers::start(writer, count, options.hangs_after).map_err(no_thread)?);
        let threads = usize::try_from(options.read_connections).unwrap_or(1);
        let readers = Arc::new(Readers::start(&pool, threads).map_err(no_thread)?);
        let limit = options.hangs_after * INDEX_PATIENCE;
        let index = Arc::new(IndexWriter::new(connector(Purpose::Index), index, limit));
        let _watchdog = match options.url.is_postgres() {
            true => {
                Some(Watchdog::start(writers.clone(), readers.clone(), index.clone()).map_err(no_thread)?)
            }
            false => None,
        };
        let (url, pool) = (options.url.clone(), RwLock::new(Some(pool)));
        Ok(Db { inner: Arc::new(Inner { url, pool, readers, writers, index, file, _watchdog }) })
    }

    /// Ends all threads once they have finished the queued work, closes all connections, and leaves
    /// an SQLite database as a single file. Blocks the thread until `until` at most. Afterwards all
    /// reads and writes through any handle fail.
    ///
    /// # Errors
    /// Fails with the reason why the SQLite file alone is not the whole database.
    pub fn close(&self, until: Instant) -> Result<(), String> {
        self.inner.close(until);
        self.inner.file.as_ref().map_or(Ok(()), |file| file.guard.check_closed())
    }

    /// Returns whether a server runs on this SQLite database, or another command has its lock for a
    /// moment. On PostgreSQL nobody can tell.
    pub fn is_served(&self) -> bool {
        self.inner.file.as_ref().is_some_and(|file| ServeLock::is_held(file.guard.real()))
    }

    /// Opens a separate connection that reads the database with the index as it is on the disk now,
    /// whichever process writes it. Blocks the thread.
    ///
    /// # Errors
    /// Fails if the database cannot be reached.
    pub fn index_reader(&self) -> Result<OwnConnection> {
        let mut own = self.own_connection(Purpose::Read)?;
        if let (DbConnection::Sqlite(conn), Some(file)) = (&mut own.connection, &self.inner.file) {
            // If there is no index, an empty one is made in memory.
            conn.batch_execute("PRAGMA query_only = OFF")?;
            attach_index(conn, file.guard.real())?;
            conn.batch_execute("PRAGMA query_only = ON")?;
        }
        Ok(own)
    }

    pub(super) fn own_connection(&self, purpose: Purpose) -> Result<OwnConnection> {
        let guard = self.inner.file.as_ref().map(|file| file.guard.clone());
        let session = Connector::new(self.url().clone(), purpose, guard).connect_with_reason()?;
        let (connection, _ticket) = session.into_parts();
        Ok(OwnConnection { connection, _ticket })
    }
}

/// Checks an SQLite file before SQLite opens it.
fn open_file(path: &Path, lock: Option<&ServeLock>) -> Result<Guard> {
    let real = || path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    file::check_presence(&real()).map_err(unavailable)?;
    DatabaseUrl::Sqlite(path.to_owned())
        .create_if_missing()
        .map_err(|error| Error::Unavailable(format!("{}: {error}", path.display())))?;
    file::check_place(path).map_err(unavailable)?;
    let real = real();
    file::tighten_mode(&real).map_err(unavailable)?;
    file::check_before_open(&real).map_err(unavailable)?;
    let held = lock.and_then(ServeLock::database);
    Guard::new(path, &real, held)
        .ok_or_else(|| Error::Unavailable(format!("there is no file {}", path.display())))
}

/// Makes the threads on which the pool connects: one for each connection, as each may hang, and one
/// for the pool's own maintenance.
fn connecting_threads(connections: u32) -> Arc<ScheduledThreadPool> {
    let threads = usize::try_from(connections).unwrap_or(1).saturating_add(1);
    Arc::new(ScheduledThreadPool::builder().num_threads(threads).thread_name_pattern("read-pool-{}").build())
}

fn no_thread(error: std::io::Error) -> Error {
    Error::Unavailable(format!("cannot start a thread for the database: {error}"))
}

/// Checks that no pooler shares the connections of PostgreSQL between clients.
///
/// # Errors
/// [`Error::Unavailable`], with advice, if PostgreSQL cannot be reached, or if there is such a
/// pooler.
fn refuse_pooler(connector: &Connector) -> Result<()> {
    let (first, _) = connector.connect_with_reason()?.into_parts();
    let (second, _) = connector.connect_with_reason()?.into_parts();
    let (DbConnection::Postgres(mut first), DbConnection::Postgres(mut second)) = (first, second) else {
        return Ok(());
    };
    let refused = |why: &str| Error::Unavailable(format!("cannot use {}: {why}", connector.url));
    match pooler::shares_connections(&mut first, &mut second) {
        Ok(false) => Ok(()),
        Ok(true) => Err(refused(pooler::REFUSAL)),
        Err(why) => Err(refused(&why)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::db::HANGS_AFTER;

    /// The pool connects on a thread of its own, and a request may still read.
    #[test]
    fn a_database_that_is_being_closed_has_not_lost_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("t.db"));
        let options = DbOptions { url, read_connections: 1, pg_writers: None, hangs_after: HANGS_AFTER };
        for _ in 0..3 {
            let db = Db::open(&options).unwrap();
            db.migrate().unwrap();
            let guard = db.inner.file.as_ref().unwrap().guard.clone();
            let (is_closed, asked) = (AtomicBool::new(false), guard.clone());
            let closed = thread::scope(|scope| {
                scope.spawn(|| {
                    while !is_closed.load(Ordering::Acquire) {
                        drop(asked.ticket());
                        let _ = asked.check();
                    }
                });
                let closed = db.close(Instant::now() + Duration::from_secs(30));
                is_closed.store(true, Ordering::Release);
                closed
            });
            assert_eq!(closed, Ok(()));
            assert!(!folder.path().join("t.db-wal").exists());
            assert!(guard.ticket().is_err() && guard.check().is_err());
            assert_eq!(guard.fault(), None);
        }
    }
}
