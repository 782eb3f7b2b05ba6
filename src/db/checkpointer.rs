//! The keeper of SQLite's write-ahead log: a thread that copies the log into the file, keeps it
//! short, and checks both files while nothing is written.
//!
//! A checkpoint copies the log into the file, and then the writer begins at the log's start again.
//! A commit beside a checkpoint waits for the disk, however little the checkpoint copies. So the
//! keeper copies and syncs some megabytes at a time while the writer goes on: more of them would
//! keep the disk busy for longer, and less would copy the same pages more often. When the log is
//! half full, the last few pages are copied and synced while the writer waits, because the log
//! starts again only when all of it was copied.
//!
//! A sync of a growing file takes twice as long as one of a file that has its final size. So once
//! there is load, the keeper fills the log with zeros up to a size that it then keeps. A reader
//! that holds a snapshot for long makes it longer, as nothing may be copied over what that reader
//! sees; it is cut to its size when the reader has gone.
//!
//! The keeper's connection opens first and closes last, so that all connections have the same log
//! open. Beside a server, the keeper of a command does nothing else: it could only wait for the
//! server's writer, and make it wait.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use tokio::sync::oneshot;

use super::DbConnection;
use super::about::free_space;
use super::file::{Guard, Rescue, close_last, follow, lengthen};
use super::serve_lock::ServeLock;
use super::session::Session;
use crate::error::{Error, Result};

/// The size of the log, in bytes, once it has grown.
const LOG_SIZE: u64 = 128 * 1024 * 1024;
/// The pragma of a writer with which SQLite cuts a longer log to that size when it starts again.
pub(super) const LOG_LIMIT: &str = "journal_size_limit = 134217728";
/// The part of the log that is in use, in bytes, from which on a checkpoint is due.
const LONG: u64 = LOG_SIZE / 2;
/// The part that is copied and synced at a time, in bytes.
const SLICE: u64 = 16 * 1024 * 1024;
/// The part that is in use from which on the log grows. A command or a quiet server never gets
/// there.
const GROWS_FROM: u64 = 4 * 1024 * 1024;
/// The log grows by this many bytes at a time, during which the writer waits.
const GROWTH: usize = 1024 * 1024;
/// The most times it grows: twice as many as it needs, for those in which another process writes.
const GROWTHS: usize = 256;
/// Pause before each growth.
const GROWTH_PAUSE: Duration = Duration::from_millis(5);
/// The log grows only if this many times its size is free on the disk.
const FREE: u64 = 4;
/// After an attempt, the log grows again at the earliest after this time.
const GROWS_EVERY: Duration = Duration::from_secs(60);
/// The rest of the log, in bytes, that is copied while the writer waits.
const SMALL: u64 = 512 * 1024;
/// The most copies beside the writer in a row. Each is smaller than the one before, unless the
/// keeper is slower than the writer.
const COPIES: usize = 6;
/// How long the keeper waits for the end of the writer's transaction.
const TURN_WITHIN: Duration = Duration::from_secs(1);
/// How long the writer waits for a reader that keeps the log from starting again, in milliseconds.
const RESTART_WITHIN: u32 = 3;
/// Interval between two looks at the log while there are writes.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// The same after a checkpoint that a reader kept from copying the whole log, and while idle.
const IDLE_PAUSE: Duration = Duration::from_millis(500);
/// The size of a page in the log, with its header.
const FRAME: u64 = 4096 + 24;

const _: () = assert!(LOG_SIZE == 134_217_728);

/// How long a caller waits for an empty log.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);
/// How long an attempt to empty the log waits for readers, and the writer for it, in milliseconds.
const READERS_WAIT: u32 = 50;

/// How long the last checkpoint may wait for a reader.
const LAST_WAIT: Duration = Duration::from_millis(500);
/// The time that is reserved for closing after the longest last wait.
const SPARE: Duration = Duration::from_millis(500);

/// The keeper's thread.
pub(super) struct Checkpointer {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Stop {
    /// When the thread must have ended. `None` until [`Checkpointer::end`] is called.
    until: Mutex<Option<Instant>>,
    changed: Condvar,
    /// Those who wait for an empty log.
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
}

/// The result of `PRAGMA wal_checkpoint`. The numbers of pages are -1 if another connection is
/// copying.
#[derive(Clone, Copy, Default, PartialEq, Eq, QueryableByName)]
struct Progress {
    /// 1 if something kept the checkpoint from being complete.
    #[diesel(sql_type = Integer)]
    busy: i32,
    /// Pages in the log.
    #[diesel(sql_type = Integer)]
    log: i32,
    /// Those of them that were copied.
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

impl Progress {
    /// Returns the part of the log that is in use, in bytes.
    fn used(self) -> u64 {
        u64::try_from(self.log).unwrap_or(0) * FRAME
    }

    /// Returns the part that was not copied, in bytes.
    fn rest(self) -> u64 {
        u64::try_from(self.log - self.checkpointed).unwrap_or(0) * FRAME
    }
}

impl Checkpointer {
    /// Starts the thread. `is_server` says whether this process has the server's lock.
    pub(super) fn start(session: Session, guard: Arc<Guard>, is_server: bool) -> io::Result<Checkpointer> {
        let stop = Arc::new(Stop::default());
        let shared = stop.clone();
        let (rescue, before, grows_at) = (Rescue::default(), Progress::default(), Instant::now());
        let run = move || Keeper { session, guard, rescue, is_server, before, grows_at }.run(&shared);
        let thread = thread::Builder::new().name("checkpointer".to_owned()).spawn(run)?;
        Ok(Checkpointer { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Tells the thread to copy the rest of the log and to close its connection. Waits for it until
    /// `until`.
    pub(super) fn end(&self, until: Instant) {
        *self.stop.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.stop.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }

    /// Copies the log into the file and empties it, so that what was deleted is in neither.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if readers prevent it for long.
    pub(super) async fn empty(&self) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        self.stop.waiting().push(done);
        match tokio::time::timeout(EMPTY_WITHIN, is_done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::Unavailable("the database is being closed".to_owned())),
            Err(_) => Err(Error::Unavailable(
                "something reads an old state of the database, so its log cannot be emptied".to_owned(),
            )),
        }
    }
}

impl Stop {
    /// Waits for `pause`, or until [`Checkpointer::end`] is called. Returns when the thread must
    /// have ended, if it was called.
    fn wait(&self, pause: Duration) -> Option<Instant> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.changed.wait_timeout_while(until, pause, |until| until.is_none());
        *until.unwrap_or_else(PoisonError::into_inner).0
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Keeper {
    session: Session,
    guard: Arc<Guard>,
    rescue: Rescue,
    /// Whether this process is the server.
    is_server: bool,
    /// What the last look at the log found.
    before: Progress,
    /// When the log may grow at the earliest.
    grows_at: Instant,
}

impl Keeper {
    fn run(mut self, stop: &Stop) {
        let mut pause = IDLE_PAUSE;
        let until = loop {
            if let Some(until) = stop.wait(pause) {
                break until;
            }
            // What cannot be copied now is copied later, so errors are ignored.
            pause = self.look(stop);
            self.serve(stop);
        };
        stop.waiting().clear();
        if self.is_in_charge() {
            self.wait_for_readers(until);
            let _ = self.checkpoint("TRUNCATE");
        }
        close_last(&self.guard, self.session, &self.rescue);
    }

    /// Returns whether no other process is the server.
    fn is_in_charge(&self) -> bool {
        self.is_server || !ServeLock::is_held(self.guard.real())
    }

    /// Looks at the log, and does what is due. Returns the pause until the next look.
    fn look(&mut self, stop: &Stop) -> Duration {
        if !self.is_in_charge() {
            return IDLE_PAUSE;
        }
        let Some(now) = self.checkpoint("NOOP") else { return IDLE_PAUSE };
        let is_idle = now == self.before;
        self.before = now;
        if is_idle {
            self.tidy(now);
            return IDLE_PAUSE;
        }
        let is_short = now.used() >= GROWS_FROM && self.guard.log_size() < LOG_SIZE;
        if is_short && self.grows_at <= Instant::now() {
            self.grows_at = Instant::now() + GROWS_EVERY;
            if let Err(error) = self.grow(stop) {
                log::info!("the log of {} does not grow ahead: {error}", self.guard.path().display());
            }
        }
        if now.used() >= LONG {
            return if self.empty() { BUSY_PAUSE } else { IDLE_PAUSE };
        }
        if now.rest() >= SLICE && self.copy().is_none() { IDLE_PAUSE } else { BUSY_PAUSE }
    }

    /// Copies and syncs what the log has, beside the writer. SQLite syncs the file only after the
    /// last page, which the writer never lets it reach, and would then wait for all of it.
    fn copy(&mut self) -> Option<Progress> {
        let now = self.checkpoint("PASSIVE")?;
        self.guard.sync();
        Some(now)
    }

    /// Copies the log while nothing is written, and truncates it if it is longer than it should be.
    fn tidy(&mut self, now: Progress) {
        if now.rest() > 0 {
            self.before = self.checkpoint("PASSIVE").unwrap_or(now);
        }
        if self.guard.log_size() > LOG_SIZE {
            let guard = self.guard.clone();
            let turn = guard.turns().keep(TURN_WITHIN);
            if turn.is_some() && self.checkpoint("TRUNCATE").is_some_and(|now| now.log == 0) {
                self.grows_at = Instant::now();
            }
        }
    }

    /// Copies the whole log, so that the writer begins at its start again. Returns `false` if a
    /// reader keeps it from doing so.
    fn empty(&mut self) -> bool {
        let guard = self.guard.clone();
        let emptying = guard.turns().empty();
        let mut copied = -1;
        for _ in 0..COPIES {
            let Some(now) = self.copy() else { return false };
            // A reader sees the database as it was before the rest was written.
            if now.checkpointed <= copied {
                return false;
            }
            copied = now.checkpointed;
            // What PASSIVE returns as the log's length is that before it began.
            let Some(left) = self.checkpoint("NOOP") else { return false };
            if left.rest() <= SMALL {
                emptying.wait(TURN_WITHIN);
                return self.copy_rest();
            }
        }
        // The keeper is slower than the writer, which must wait before the log fills the disk.
        guard.log_size() <= LOG_SIZE || self.copy_rest()
    }

    /// Empties the log for those who wait for that. If a reader prevents it, they go on waiting.
    fn serve(&mut self, stop: &Stop) {
        let mut waiting = std::mem::take(&mut *stop.waiting());
        waiting.retain(|done| !done.is_closed());
        if waiting.is_empty() {
            return;
        }
        if self.truncate() {
            for done in waiting {
                let _ = done.send(());
            }
        } else {
            stop.waiting().append(&mut waiting);
        }
    }

    /// Copies the whole log and cuts it off. Returns `false` if a reader prevents it.
    fn truncate(&mut self) -> bool {
        let guard = self.guard.clone();
        let emptying = guard.turns().empty();
        // Most of it is copied while the writer goes on.
        if self.copy().is_none() {
            return false;
        }
        emptying.wait(TURN_WITHIN);
        let Some(_turn) = guard.turns().keep(TURN_WITHIN) else { return false };
        self.wait_within(READERS_WAIT);
        let done = self.checkpoint("TRUNCATE");
        self.wait_within(0);
        let is_empty = done.is_some_and(|done| (done.busy, done.log) == (0, 0)) && guard.log_size() == 0;
        if is_empty {
            self.grows_at = Instant::now();
        }
        is_empty
    }

    /// Copies the rest of the log while the writer waits. Returns whether the next commit begins at
    /// the log's start.
    fn copy_rest(&mut self) -> bool {
        let guard = self.guard.clone();
        let Some(_turn) = guard.turns().keep(TURN_WITHIN) else { return false };
        self.wait_within(RESTART_WITHIN);
        let done = self.checkpoint("RESTART");
        self.wait_within(0);
        done.is_some_and(|done| done.busy == 0)
    }

    /// Lets checkpoints wait for readers, for so many milliseconds.
    fn wait_within(&mut self, wait: u32) {
        let _ = self.session.connection().batch_execute(&format!("PRAGMA busy_timeout = {wait}"));
    }

    /// Lengthens the log to its size, part by part, until the thread must end.
    fn grow(&mut self, stop: &Stop) -> io::Result<()> {
        let guard = self.guard.clone();
        if free_space(guard.real())? < LOG_SIZE * FREE {
            return Err(io::Error::other("too little of the disk is free"));
        }
        let log = guard.open_log()?;
        for _ in 0..GROWTHS {
            if stop.wait(GROWTH_PAUSE).is_some() {
                break;
            }
            let is_grown = {
                let Some(_turn) = guard.turns().keep(TURN_WITHIN) else { continue };
                self.lengthen(&log)?
            };
            log.sync_data()?;
            if is_grown {
                break;
            }
        }
        Ok(())
    }

    /// Lengthens the log once, under SQLite's write lock, which keeps other processes from writing.
    /// Returns whether it has its size.
    fn lengthen(&mut self, log: &File) -> io::Result<bool> {
        let conn: &mut DbConnection = self.session.connection();
        // Another process may be writing.
        if conn.batch_execute("BEGIN IMMEDIATE").is_err() {
            return Ok(false);
        }
        let lengthened = lengthen(log, LOG_SIZE, GROWTH);
        conn.batch_execute("ROLLBACK").map_err(io::Error::other)?;
        lengthened
    }

    /// Lets the last checkpoint wait for readers: as long as there is time if the log would
    /// otherwise be lost.
    fn wait_for_readers(&mut self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now()).saturating_sub(SPARE);
        let must_save = self.guard.fault().is_some() && self.rescue.is_open();
        let wait = if must_save { left.max(LAST_WAIT) } else { LAST_WAIT }.as_millis();
        self.rescue.hurry();
        self.wait_within(u32::try_from(wait).unwrap_or(u32::MAX));
    }

    /// Copies as much of the log as possible in this mode. Copies nothing unless it is certain to
    /// be right.
    fn checkpoint(&mut self, mode: &str) -> Option<Progress> {
        let Keeper { session, guard, rescue, .. } = self;
        let conn: &mut DbConnection = session.connection();
        if guard.check_log(conn).is_err() {
            match guard.fault() {
                Some(fault) => rescue.attempt(guard, fault, conn),
                None => follow(conn),
            }
            return None;
        }
        diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(conn).ok()
    }
}
