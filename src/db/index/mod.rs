//! The index: what the panel looks things up in, and what a user's own history is found by. All of
//! it can be rebuilt from the rest of the database.
//!
//! On SQLite it is a file of its own beside the database ([`mod@file`]), so that neither its writes
//! nor its commits delay a charge. On PostgreSQL it is tables of the same database, written by a
//! connection of their own that does not wait for the disk.
//!
//! All writes go through one thread ([`IndexWriter`]), which runs each job in a transaction.

mod check;
mod contents;
mod file;
mod pairing;
mod state;
mod thread;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use tokio::sync::oneshot;

pub use contents::ANCHOR;
pub(super) use file::IndexFile;
pub use file::{attach_index, index_path};
pub(super) use state::{Attached, IndexState, Suspicion};

use super::DbConnection;
use super::connector::Connector;
use super::file::is_damage;
use super::session::Session;
use crate::error::{Error, Result};
use thread::IndexThread;

/// The longest that a job waits while the log of the database is emptied.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(1);
/// How soon the index is not built anew again because its rows contradict each other: a fault of
/// the database, or of this program, would otherwise take it away for ever.
const REBUILD_PAUSE: Duration = Duration::from_secs(600);

type Transactions = <DbConnection as Connection>::TransactionManager;

/// The thread that writes the index. It starts with the first job: commands that do not need the
/// index do not open it.
pub(super) struct IndexWriter {
    thread: IndexThread<Writer>,
    file: Option<Arc<IndexFile>>,
    /// How long a job may take on PostgreSQL.
    limit: Duration,
}

/// The connection of the thread.
struct Writer {
    connector: Connector,
    file: Option<Arc<IndexFile>>,
    session: Option<Session>,
    /// When the file was deleted because its rows contradicted each other.
    rebuilt: Option<Instant>,
}

impl IndexWriter {
    /// `file` is `None` on PostgreSQL.
    pub(super) fn new(connector: Connector, file: Option<Arc<IndexFile>>, limit: Duration) -> IndexWriter {
        let own = file.clone();
        let make =
            move || Writer { connector: connector.clone(), file: own.clone(), session: None, rebuilt: None };
        IndexWriter { thread: IndexThread::new(make), file, limit }
    }

    /// Runs `job` in a transaction of its own, and waits until it is committed. A power cut may
    /// undo the last jobs.
    ///
    /// # Errors
    /// The job's error, or [`Error::Unavailable`] if the index cannot be opened or written.
    pub(super) async fn run<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        self.ask(move |writer| writer.run(job)).await?
    }

    /// Deletes the file. The next job finds an empty one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be deleted, or the thread does not run.
    pub(super) async fn discard(&self, why: &'static str) -> Result<()> {
        self.ask(move |writer| writer.discard(why)).await?
    }

    /// Opens the file now, rather than with the first job, so that what is read first finds it.
    /// Blocks the thread, but not for longer than `patience`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be opened, or not in this time.
    pub(super) fn open(&self, patience: Duration) -> Result<()> {
        let (reply, answer) = mpsc::channel();
        let run = move |writer: &mut Writer| drop(reply.send(writer.session().map(|_| ())));
        let _hangs =
            self.thread.send(Box::new(run)).map_err(|error| Error::Unavailable(error.to_string()))?;
        answer.recv_timeout(patience).unwrap_or_else(|_| Err(no_answer()))
    }

    /// Returns why there is no index, if it could not be opened.
    pub(super) fn failure(&self) -> Option<String> {
        self.file.as_ref().and_then(|file| file.state().failure())
    }

    /// Copies the log into the file and empties it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if readers prevent it for long.
    pub(super) async fn empty_log(&self) -> Result<()> {
        self.ask(|writer| writer.empty_log()).await?
    }

    async fn ask<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let run = move |writer: &mut Writer| match catch_unwind(AssertUnwindSafe(|| task(writer))) {
            Ok(outcome) => drop(reply.send(outcome)),
            Err(_) => {
                // The state of the connection is unknown now.
                log::error!("a task of the index panicked");
                writer.session = None;
            }
        };
        let hangs = self.thread.send(Box::new(run)).map_err(|error| Error::Unavailable(error.to_string()))?;
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| no_answer()),
            Ok(()) = hangs => Err(Error::Unavailable(format!(
                "the database has not answered the index for {} s",
                self.limit.as_secs()
            ))),
        }
    }

    /// Lets a new thread take over if the current one hangs. On PostgreSQL, the watchdog calls it
    /// several times a second.
    pub(super) fn relieve(&self) {
        self.thread.relieve(self.limit);
    }

    /// Accepts no more jobs, and drops those that wait. Waits until `until` for the thread to end
    /// and to close its connection.
    pub(super) fn close(&self, until: Instant) {
        self.file.iter().for_each(|file| file.end_checks());
        self.thread.close(until);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end_session();
    }
}

impl Writer {
    fn run<T>(&mut self, job: impl FnOnce(&mut DbConnection) -> Result<T>) -> Result<T> {
        let guard = self.connector.guard();
        let session = self.session()?;
        let following = guard.as_ref().map(|guard| guard.turns().follow(FOLLOWS_WITHIN));
        let outcome = transaction(session.connection(), job);
        drop(following);
        match (&outcome, &self.file) {
            // While another process writes, the connection stays as it is.
            (Err(error @ Error::Database(_)), _) if !error.is_locked() => {
                self.end_session();
                self.heal(error);
            }
            (_, Some(file)) => {
                if let Some(session) = &mut self.session {
                    file.note_commit(session.connection());
                }
            }
            (_, None) => {}
        }
        outcome
    }

    /// Deletes the file if an error shows that it is damaged.
    fn heal(&mut self, error: &Error) {
        let (Some(file), Error::Database(found)) = (&self.file, error) else { return };
        let why = found.to_string();
        let is_wrong = if is_damage(&why) {
            // A check of the whole index takes long, and the database may be what is damaged.
            !file.state().was_found_sound() && file.is_sound().is_ok_and(|is_sound| !is_sound)
        } else {
            // The jobs write only what is missing. If it is there, the index is not what its marks
            // say: its file may be older than its log.
            let is_contradiction = error.is_constraint_violation() || why.contains("constraint failed");
            is_contradiction && self.rebuilt.is_none_or(|at| at.elapsed() > REBUILD_PAUSE)
        };
        if !is_wrong {
            return;
        }
        if !is_damage(&why) {
            self.rebuilt = Some(Instant::now());
        }
        if let Err(error) = file.discard(&why) {
            log::warn!("the index is not built anew: {error}");
        }
    }

    /// Closes the connection.
    fn end_session(&mut self) {
        match (self.session.take(), &self.file) {
            (Some(session), Some(file)) => file.close(session),
            (session, _) => drop(session),
        }
    }

    fn discard(&mut self, why: &str) -> Result<()> {
        self.end_session();
        self.file.as_ref().map_or(Ok(()), |file| file.discard(why)).map_err(Error::Unavailable)
    }

    fn empty_log(&mut self) -> Result<()> {
        self.session()?;
        let (Some(session), Some(file)) = (&mut self.session, &self.file) else { return Ok(()) };
        match file.empty_log(session.connection())? {
            true => Ok(()),
            false => {
                Err(Error::Unavailable("the index is being read, so its log cannot be emptied".to_owned()))
            }
        }
    }

    /// Returns the open connection, or a new one if there is none or the index's file is no longer
    /// the one that was opened.
    fn session(&mut self) -> Result<&mut Session> {
        if let Some(file) = &self.file
            && !file.is_current()
        {
            self.end_session();
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => match &self.file {
                Some(file) => file.open(&|| self.connector.ticket())?,
                None => self.connector.connect_with_reason()?,
            },
        };
        session.check().map_err(Error::Unavailable)?;
        Ok(self.session.insert(session))
    }
}

/// Runs a job in a transaction. Fails without effect if the job fails or panics.
fn transaction<T>(conn: &mut DbConnection, job: impl FnOnce(&mut DbConnection) -> Result<T>) -> Result<T> {
    match conn {
        // Takes the write lock of the index, and a snapshot of the database beside it.
        DbConnection::Sqlite(conn) => {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")?;
        }
        DbConnection::Postgres(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN")?,
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| job(conn)))
        .unwrap_or_else(|_| Err(Error::Internal("a job of the index panicked".to_owned())));
    match outcome {
        Ok(value) => {
            Transactions::commit_transaction(conn)?;
            Ok(value)
        }
        Err(error) => {
            Transactions::rollback_transaction(conn)?;
            Err(error)
        }
    }
}

fn no_answer() -> Error {
    Error::Unavailable("the index gave no answer".to_owned())
}
