//! Reading: a few threads that take what is queued and run it on pooled connections.
//!
//! A query may block, so a request hands it to such a thread. Handing over costs more than a look-up by an index
//! does; so under load a thread takes several reads at once, with one connection for all of them.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::DbConnection;
use super::connection::{Connector, is_disconnect};
use crate::error::{Error, Result};

/// Reads that a thread takes at once, at most.
const MOST_AT_ONCE: usize = 16;
/// Reads that may wait; one more is answered 503.
const QUEUE_BOUND: usize = 8192;
/// How long anybody waits for a read, whatever has become of the database.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

pub(super) type Pool = r2d2::Pool<Connector>;

/// The threads that read. Dropping it ends them when their queue is empty.
pub(super) struct Readers {
    queue: Arc<Queue>,
}

struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    threads: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Read>>,
    closed: bool,
}

/// A read with its caller.
trait Read: Send {
    fn run(self: Box<Self>, lease: &mut Lease<'_>);
}

struct Job<T, F> {
    job: F,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: Fn(&mut DbConnection) -> Result<T> + Send> Read for Job<T, F> {
    fn run(self: Box<Self>, lease: &mut Lease<'_>) {
        // Whoever has gone away needs no answer, and reading changes nothing.
        if !self.reply.is_closed() {
            let _ = self.reply.send(lease.read(&self.job));
        }
    }
}

impl Readers {
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(pool: &Pool, threads: usize) -> io::Result<Readers> {
        let queue = Arc::new(Queue { state: Mutex::default(), arrived: Condvar::new(), threads });
        for number in 0..threads {
            let (queue, pool) = (queue.clone(), pool.clone());
            std::thread::Builder::new().name(format!("reader-{number}")).spawn(move || {
                while let Some(reads) = queue.take() {
                    let mut lease = Lease::new(&pool);
                    reads.into_iter().for_each(|read| read.run(&mut lease));
                }
            })?;
        }
        Ok(Readers { queue })
    }

    pub(super) async fn read<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        if !self.queue.push(Box::new(Job { job, reply })) {
            return Err(Error::Unavailable("too many reads are waiting".to_owned()));
        }
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::Unavailable("a reader gave no answer".to_owned())),
            Err(_) => Err(Error::Unavailable(format!("no read within {} s", ANSWER_WITHIN.as_secs()))),
        }
    }
}

impl Readers {
    /// Takes no more reads. The threads end when their queue is empty.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.queue.arrived.notify_all();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    /// Whether there was room.
    fn push(&self, read: Box<dyn Read>) -> bool {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= QUEUE_BOUND {
            return false;
        }
        state.waiting.push_back(read);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// Waits for reads and takes a thread's share of them; `None` when the queue is closed and empty.
    fn take(&self) -> Option<Vec<Box<dyn Read>>> {
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                let share = (state.waiting.len() / self.threads).clamp(1, MOST_AT_ONCE);
                return Some(state.waiting.drain(..share).collect());
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing in here can panic half-way through a change, so a poisoned lock still guards sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection for some reads; another one where that turns out to be dead.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    session: Option<r2d2::PooledConnection<Connector>>,
    /// Why there is no connection: the reads that come after need not wait for one again.
    none: Option<String>,
}

impl<'a> Lease<'a> {
    pub(super) fn new(pool: &'a Pool) -> Lease<'a> {
        Lease { pool, session: None, none: None }
    }

    /// With a connection that is free at this moment.
    pub(super) fn at_once(pool: &'a Pool) -> Option<Lease<'a>> {
        Some(Lease { pool, session: Some(pool.try_get()?), none: None })
    }

    /// Runs a read. Where the connection turns out to be dead (PostgreSQL was restarted), it is thrown away and the
    /// read run again; all that were idle may be dead, and one of them is tried after the other.
    pub(super) fn read<T>(&mut self, job: &impl Fn(&mut DbConnection) -> Result<T>) -> Result<T> {
        for _ in 0..self.pool.max_size() {
            match self.attempt(job) {
                Err(Error::Database(error)) if is_disconnect(&error) => {}
                outcome => return outcome,
            }
        }
        self.attempt(job)
    }

    fn attempt<T>(&mut self, job: &impl Fn(&mut DbConnection) -> Result<T>) -> Result<T> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.connection()?,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| job(session.connection())))
            .unwrap_or_else(|_| Err(Error::Internal("a read panicked".to_owned())));
        match &outcome {
            Err(Error::Database(_) | Error::Internal(_)) => {
                session.mark_broken();
                outcome.map_err(|error| session.explain(error))
            }
            _ => {
                self.session = Some(session);
                outcome
            }
        }
    }

    fn connection(&mut self) -> Result<r2d2::PooledConnection<Connector>> {
        if let Some(why) = &self.none {
            return Err(Error::Unavailable(why.clone()));
        }
        self.pool.get().map_err(|error| {
            let why = format!("no read connection: {error}");
            self.none = Some(why.clone());
            Error::Unavailable(why)
        })
    }
}
