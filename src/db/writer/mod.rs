//! Group commit. A durable commit costs a disk sync, and SQLite has one writer; so writers take whatever is
//! queued, up to a bound, run it in one transaction, commit once, and then answer all.
//!
//! - [`queue`]: the bounded queue of one writer, with its two lanes;
//! - [`job`]: what waits there: jobs, and sets of commands that can run as one statement;
//! - [`batch`]: how a batch is run, and what happens to the others when one fails;
//! - [`transaction`]: the statements around it.
//!
//! SQLite has one writer. PostgreSQL has a few, with the users shared out among them, so that two writers
//! seldom meet at one row.

mod batch;
mod job;
mod queue;
mod transaction;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

pub use job::SetCommand;
pub use queue::Lane;

use super::connection::Connector;
use super::{BULK_ROWS, DbConnection};
use crate::error::{Error, Result};
use job::{Job, Queued, SetJob};
use queue::Queue;

/// Jobs that a writer may commit at once.
const BATCH: usize = 128;
/// Jobs that may wait for a writer in one lane; one more is answered 503.
const QUEUE_BOUND: usize = 4096;
/// How long anybody waits for a commit before it is answered that it is not confirmed.
const CONFIRM_WITHIN: Duration = Duration::from_secs(20);

const _: () = assert!(BULK_ROWS <= 200);

/// The users whose rows a job changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<i64>);

impl Scope {
    /// No user's row, or none that is there yet.
    pub fn none() -> Scope {
        Scope(Vec::new())
    }

    pub fn user(id: i64) -> Scope {
        Scope(vec![id])
    }

    pub fn users(ids: Vec<i64>) -> Scope {
        Scope(ids)
    }
}

/// All writers of this process. Dropping it ends them when their queues are empty.
pub(super) struct Writers {
    queues: Vec<Arc<Queue>>,
    next: AtomicUsize,
}

impl Writers {
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(connector: &Connector, count: usize) -> io::Result<Writers> {
        let queues: Vec<_> = (0..count).map(|_| Arc::new(Queue::new(QUEUE_BOUND))).collect();
        for (number, queue) in queues.iter().enumerate() {
            let (queue, connector) = (queue.clone(), connector.clone());
            let name = format!("writer-{number}");
            std::thread::Builder::new().name(name).spawn(move || write_until_closed(&queue, &connector))?;
        }
        Ok(Writers { queues, next: AtomicUsize::new(0) })
    }

    pub(super) async fn job<T, F>(&self, lane: Lane, scope: Scope, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        let shard = scope.0.first().and_then(|id| usize::try_from(*id).ok());
        let (reply, answer) = oneshot::channel();
        self.push(lane, shard, Box::new(Job::new(scope.0, job, reply)))?;
        confirmed(answer).await
    }

    pub(super) async fn set<C: SetCommand>(&self, command: C) -> Result<C::Answer> {
        let shard = Some(command.shard());
        let (reply, answer) = oneshot::channel();
        self.push(Lane::Main, shard, Box::new(SetJob::new(command, reply)))?;
        confirmed(answer).await
    }

    /// How many jobs of the main lane were begun so far.
    pub(super) fn main_jobs(&self) -> u64 {
        self.queues.iter().map(|queue| queue.taken()).sum()
    }

    fn push(&self, lane: Lane, shard: Option<usize>, job: Box<dyn Queued>) -> Result<()> {
        let number = shard.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        match self.queues.get(number % self.queues.len().max(1)) {
            Some(queue) if queue.push(lane, job) => Ok(()),
            _ => Err(Error::Unavailable("the writer's queue is full".to_owned())),
        }
    }
}

impl Writers {
    /// Takes no more work. Each thread ends, and closes its connection, when its queue is empty.
    pub(super) fn close(&self) {
        self.queues.iter().for_each(|queue| queue.close());
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.close();
    }
}

/// The life of a writer's thread. Jobs that panic are caught where they run; should the writer itself panic, the
/// callers of that batch are told 503, and a new writer goes on with the queue.
fn write_until_closed(queue: &Queue, connector: &Connector) {
    let mut writer = batch::Writer::new(connector.clone());
    while let Some(batch) = queue.take(BATCH) {
        if catch_unwind(AssertUnwindSafe(|| writer.run(batch))).is_err() {
            log::error!("a writer panicked; its batch is not confirmed");
            writer = batch::Writer::new(connector.clone());
        }
    }
}

/// Waits for the writer's word, but not for ever: a database that hangs must not hang the clients.
async fn confirmed<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    match tokio::time::timeout(CONFIRM_WITHIN, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::Unavailable("the writer gave no answer".to_owned())),
        Err(_) => Err(Error::Unavailable(format!("no commit within {} s", CONFIRM_WITHIN.as_secs()))),
    }
}
