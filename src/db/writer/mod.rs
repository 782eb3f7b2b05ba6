//! Group commit. A durable commit costs a disk sync, and SQLite has one writer. So writers take
//! whatever is queued, up to a limit, run it in one transaction, commit once, and then answer all
//! callers.
//!
//! - [`queue`]: the bounded queue of one writer, with its two lanes;
//! - [`job`]: the jobs in it, and sets of commands that can run as one statement; [`jobs`]:
//!   operations on several jobs;
//! - [`batch`]: how a batch is run, and what happens to the others when one fails;
//! - [`attempt`]: one transaction; [`transaction`]: the statements around it;
//! - [`late`]: the slow lane, for jobs whose rows another transaction has locked;
//! - [`seat`]: takes over from a writer that hangs; [`watch`]: notices that it hangs; [`fence`]:
//!   ends lost connections;
//! - [`readiness`]: checks that all of this works; [`measures`]: what the metrics show of it.
//!
//! SQLite has one writer. PostgreSQL has several for requests, one for bulk work, and two for the
//! slow lane. Users are divided among the writers, so that two writers seldom meet at one row.

mod attempt;
mod batch;
mod crew;
mod fence;
mod job;
mod jobs;
mod late;
mod measures;
mod pulse;
mod queue;
mod readiness;
mod seat;
mod transaction;
mod watch;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

pub use job::SetCommand;
pub use measures::{Waiting, WriterMeasures};
pub use queue::Lane;
pub use readiness::NotReady;
pub use transaction::lock_users;

use super::connection::Purpose;
use super::connector::Connector;
use super::{BULK_ROWS, DbConnection};
use crate::error::{Error, Result};
use crew::Crew;
use job::{Job, Queued, SetJob};
use late::Late;
use queue::Queue;
use seat::{Seat, Source};

/// The most jobs that a writer commits at once.
const BATCH: usize = 128;
/// The most jobs that may wait for a writer in one lane. One more gets a 503.
const QUEUE_BOUND: usize = 4096;
/// How long a request waits for a commit before it gets "not confirmed".
const CONFIRM_WITHIN: Duration = Duration::from_millis(5500);
/// How long bulk work, which has no waiting client, waits for a commit.
const CONFIRM_BULK_WITHIN: Duration = Duration::from_secs(20);
/// The number of threads for jobs whose rows are locked, on PostgreSQL.
const LATE_WRITERS: usize = 2;
/// A part of bulk work may take this many times as long as a batch of requests.
const BULK_PATIENCE: u32 = 8;

const _: () = assert!(BULK_ROWS <= 200);

/// The users whose rows a job changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<i64>);

impl Scope {
    /// Names no user, or users that do not exist yet.
    pub fn none() -> Scope {
        Scope(Vec::new())
    }

    /// Names one user.
    pub fn user(id: i64) -> Scope {
        Scope(vec![id])
    }

    /// Names several users.
    pub fn users(ids: Vec<i64>) -> Scope {
        Scope(ids)
    }
}

/// All writers of this process. Dropping it ends them when their queues are empty.
pub(super) struct Writers {
    queues: Vec<Arc<Queue>>,
    /// The queue of the writer for bulk work. `None` if bulk work waits in the others' second
    /// lanes.
    bulk: Option<Arc<Queue>>,
    /// The seats of `queues`, in the same order, then all others.
    seats: Vec<Arc<Seat>>,
    crew: Crew,
    next: AtomicUsize,
    readiness: readiness::State,
}

impl Writers {
    /// Starts `count` writers for requests, and on PostgreSQL those for bulk work and locked rows.
    /// A writer that makes no progress for `patience` counts as hanging.
    ///
    /// # Errors
    /// Fails if the system cannot start a thread.
    pub(super) fn start(
        connector: impl Fn(Purpose) -> Connector,
        count: usize,
        patience: Duration,
    ) -> io::Result<Writers> {
        let is_postgres = connector(Purpose::Write).url.is_postgres();
        let late = is_postgres.then(|| Arc::new(Late::default()));
        let limit = is_postgres.then_some(patience);
        let crew = Crew { late, ..Crew::default() };
        let mut seats = Vec::new();
        let queues: Vec<_> = (0..count).map(|_| Arc::new(Queue::new(QUEUE_BOUND))).collect();
        for (number, queue) in queues.iter().enumerate() {
            let source = Source::Queue(queue.clone());
            let (name, connector) = (format!("writer-{number}"), connector(Purpose::Write));
            seats.push(Seat::start(name, source, connector, crew.clone(), limit)?);
        }
        let mut bulk = None;
        if let Some(late) = &crew.late {
            for number in 0..LATE_WRITERS {
                let source = Source::Late(late.clone());
                let (name, connector) = (format!("late-writer-{number}"), connector(Purpose::Write));
                seats.push(Seat::start(name, source, connector, crew.clone(), limit)?);
            }
            let queue = Arc::new(Queue::new(QUEUE_BOUND));
            let source = Source::Queue(queue.clone());
            let patient = Crew { late: None, ..crew.clone() };
            let limit = limit.map(|limit| limit * BULK_PATIENCE);
            let connector = connector(Purpose::Bulk);
            seats.push(Seat::start("bulk-writer".to_owned(), source, connector, patient, limit)?);
            bulk = Some(queue);
        }
        Ok(Writers {
            queues,
            bulk,
            seats,
            crew,
            next: AtomicUsize::new(0),
            readiness: readiness::State::default(),
        })
    }

    pub(super) async fn job<T, F>(&self, lane: Lane, scope: Scope, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + Sync + 'static,
    {
        let shard = scope.0.first().and_then(|id| usize::try_from(*id).ok());
        let (reply, answer) = oneshot::channel();
        self.push(lane, shard, Box::new(Job::new(scope.0, job, reply)))?;
        let limit = if lane == Lane::Bulk { CONFIRM_BULK_WITHIN } else { CONFIRM_WITHIN };
        confirmed(answer, limit).await
    }

    pub(super) async fn set<C: SetCommand>(&self, command: C) -> Result<C::Answer> {
        let shard = Some(command.shard());
        let (reply, answer) = oneshot::channel();
        self.push(Lane::Main, shard, Box::new(SetJob::new(command, reply)))?;
        confirmed(answer, CONFIRM_WITHIN).await
    }

    /// Returns how many jobs of the main lane have begun since the start.
    pub(super) fn main_jobs(&self) -> u64 {
        self.queues.iter().map(|queue| queue.taken()).sum()
    }

    /// Returns what was measured since the start.
    pub(super) fn measures(&self) -> &WriterMeasures {
        &self.crew.measures
    }

    /// Returns the jobs that wait now.
    pub(super) fn waiting(&self) -> Waiting {
        let late = self.crew.late.as_ref().map_or(0, |late| late.waiting());
        let all = self.queues.iter().chain(&self.bulk);
        all.fold(Waiting { late, ..Waiting::default() }, |sum, queue| {
            let [main, ends, bulk] = queue.waiting();
            let oldest = sum.oldest.max(queue.oldest().unwrap_or_default());
            Waiting { main: sum.main + main, ends: sum.ends + ends, bulk: sum.bulk + bulk, oldest, ..sum }
        })
    }

    /// Lets new threads take over from those that hang. The watchdog calls it several times a
    /// second.
    pub(super) fn relieve(&self) {
        self.seats.iter().for_each(Seat::relieve);
    }

    fn push(&self, lane: Lane, shard: Option<usize>, job: Box<dyn Queued>) -> Result<()> {
        let number = shard.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        let queue = match (&self.bulk, lane) {
            (Some(bulk), Lane::Bulk) => Some(bulk),
            _ => self.queues.get(number % self.queues.len().max(1)),
        };
        match queue {
            Some(queue) if queue.push(lane, job) => Ok(()),
            _ => Err(Error::Unavailable("the writer's queue is full".to_owned())),
        }
    }
}

impl Writers {
    /// Accepts no more work. Each thread ends, and closes its connection, when its queue is empty.
    pub(super) fn close(&self) {
        self.queues.iter().chain(&self.bulk).for_each(|queue| queue.close());
        self.crew.late.iter().for_each(|late| late.close());
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for the writer's result, with a time limit: a database that hangs must not make the
/// clients hang.
async fn confirmed<T>(answer: oneshot::Receiver<Result<T>>, limit: Duration) -> Result<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::Unavailable("the writer gave no answer".to_owned())),
        Err(_) => Err(Error::Unavailable(format!("no commit within {} s", limit.as_secs()))),
    }
}
