//! A writer's seat: the work for a thread, and the succession when that thread hangs.
//!
//! A call into libpq cannot be interrupted from another thread. So a thread with a hanging
//! connection is abandoned. A new thread with a new connection takes its seat, ends the old
//! connection from outside, and looks up the outcome of the batch. The old thread ends when its
//! connection does. The first of the two that learns that a job was committed sends the result to
//! the caller. The operation ids prevent both from doing the job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use std::{io, thread};

use super::BATCH;
use super::attempt::Attempt;
use super::batch::Writer;
use super::crew::Crew;
use super::jobs::Jobs;
use super::late::{How, Late};
use super::pulse::Pulse;
use super::queue::Queue;
use super::watch::{Handover, Watch};
use crate::db::connector::Connector;

/// How long a new connection may take. It may try several hosts, each with its own limit.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// The source of a writer's work.
#[derive(Clone)]
pub(super) enum Source {
    Queue(Arc<Queue>),
    Late(Arc<Late>),
}

impl Source {
    /// Returns the queue from which ends of holds may join a batch that has begun: SQLite's. On
    /// PostgreSQL a batch is several transactions, which lock rows in an order.
    fn joins(&self, is_postgres: bool) -> Option<Arc<Queue>> {
        match self {
            Source::Queue(queue) if !is_postgres => Some(queue.clone()),
            _ => None,
        }
    }

    fn take(&self) -> Option<(Jobs, How)> {
        match self {
            Source::Queue(queue) => queue.take(BATCH).map(|jobs| (jobs, How::default())),
            Source::Late(late) => late.take(BATCH),
        }
    }
}

pub(super) struct Seat {
    name: String,
    source: Source,
    connector: Connector,
    crew: Crew,
    pub pulse: Arc<Pulse>,
    /// How long the writer may make no progress. `None` on SQLite, where no other writer could take
    /// over.
    limit: Option<Duration>,
    watch: Mutex<Option<Arc<Watch>>>,
}

impl Seat {
    /// Starts the first thread.
    ///
    /// # Errors
    /// Fails if the system cannot start a thread.
    pub(super) fn start(
        name: String,
        source: Source,
        connector: Connector,
        crew: Crew,
        limit: Option<Duration>,
    ) -> io::Result<Arc<Seat>> {
        let (pulse, watch) = (Arc::new(Pulse::new()), Mutex::new(None));
        let seat = Arc::new(Seat { name, source, connector, crew, pulse, limit, watch });
        let (begin, begun) = mpsc::channel();
        let watch = seat.spawn(begun)?;
        *seat.watch() = watch;
        // The thread waits for this, so it cannot have ended.
        let _ = begin.send(Handover::default());
        Ok(seat)
    }

    /// Starts a thread that waits for its predecessor's work.
    fn spawn(self: &Arc<Seat>, begun: mpsc::Receiver<Handover>) -> io::Result<Option<Arc<Watch>>> {
        let watch = self.limit.map(|_| Arc::new(Watch::default()));
        let (seat, own) = (self.clone(), watch.clone());
        thread::Builder::new().name(self.name.clone()).spawn(move || {
            // If nothing comes, the predecessor has continued after all.
            if let Ok(left) = begun.recv() {
                seat.work(left, own);
            }
        })?;
        Ok(watch)
    }

    /// Runs a thread. Panics of jobs are caught where they run. If the writer itself panics, the
    /// callers of that batch get a 503, and a new writer continues.
    fn work(&self, left: Handover, watch: Option<Arc<Watch>>) {
        let new_writer = || {
            let attempt = Attempt::new(self.connector.clone(), watch.clone(), self.pulse.clone(), &self.crew);
            let joins = self.source.joins(attempt.is_postgres());
            Writer::new(attempt, self.crew.clone(), joins)
        };
        let mut writer = new_writer();
        writer.succeed(&left);
        let mut turn = Some((left.jobs, How { again: true, alone: false }));
        while let Some((jobs, how)) = turn {
            if catch_unwind(AssertUnwindSafe(|| writer.run(jobs, how))).is_err() {
                log::error!("a writer panicked; its batch is not confirmed");
                writer = new_writer();
                watch.iter().for_each(|watch| watch.release());
            }
            if watch.as_ref().is_some_and(|watch| watch.is_abandoned()) {
                self.crew.abandoned.fetch_sub(1, Ordering::AcqRel);
                log::info!("{}: a connection that hung has ended", self.name);
                return;
            }
            turn = self.source.take();
        }
    }

    /// Lets a new thread take over if the current one hangs.
    pub(super) fn relieve(self: &Arc<Seat>) {
        let Some((limit, watch)) = self.limit.zip(self.watch().clone()) else { return };
        if !watch.is_overdue(limit, CONNECTS_WITHIN) {
            return;
        }
        if self.crew.is_exhausted() {
            return log::debug!("{}: hangs, and so do all others that may", self.name);
        }
        let (begin, begun) = mpsc::channel();
        let successor = match self.spawn(begun) {
            Ok(successor) => successor,
            Err(error) => return log::error!("{}: no thread can take over: {error}", self.name),
        };
        // The old thread subtracts itself from the count once it sees that it is abandoned, so it
        // must be counted before.
        self.crew.abandoned.fetch_add(1, Ordering::AcqRel);
        // The old thread may have continued at this moment.
        let Some(left) = watch.abandon(limit, CONNECTS_WITHIN) else {
            self.crew.abandoned.fetch_sub(1, Ordering::AcqRel);
            return;
        };
        log::warn!(
            "{}: the database has not answered for {} ms: a new connection takes over and looks up {} jobs",
            self.name,
            limit.as_millis(),
            left.jobs.iter().map(|job| job.callers()).sum::<usize>()
        );
        *self.watch() = successor;
        let _ = begin.send(left);
    }

    fn watch(&self) -> MutexGuard<'_, Option<Arc<Watch>>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
