//! Reading: a few threads that take what is queued and run it on pooled connections.
//!
//! A query may block, so a request hands it to such a thread. Handing over costs more than a look-up by an index
//! does; so under load a thread takes several reads at once, with one connection for all of them.
//!
//! A thread whose read takes long may hang with its connection. Another thread then takes its seat, and the reads that
//! waited behind that one go back into the queue. The answer is still sent if it comes in time.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::DbConnection;
use super::connection::{Connector, is_disconnect};
use crate::error::{Error, Result};

/// Reads that a thread takes at once, at most.
const MOST_AT_ONCE: usize = 16;
/// Reads that may wait; one more is answered 503.
const QUEUE_BOUND: usize = 8192;
/// How long anybody waits for a read, whatever has become of the database.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// After this time another thread takes over from one that still reads, on PostgreSQL.
const RELIEVED_AFTER: Duration = Duration::from_millis(1500);
/// Threads of one node that may hang at once. Each keeps a connection of the pool.
pub(super) const MOST_ABANDONED: u32 = 8;

pub(super) type Pool = r2d2::Pool<Connector>;

/// The threads that read. Dropping it ends them when their queue is empty.
pub(super) struct Readers {
    queue: Arc<Queue>,
    pool: Pool,
    seats: Vec<Mutex<Arc<Hand>>>,
    /// How many threads hang.
    abandoned: Arc<AtomicUsize>,
}

/// What a thread has taken from the queue.
#[derive(Default)]
struct Hand(Mutex<InHand>);

#[derive(Default)]
struct InHand {
    reads: VecDeque<Box<dyn Read>>,
    /// When the present read began.
    since: Option<Instant>,
    is_abandoned: bool,
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
        let mut readers = Readers { queue, pool: pool.clone(), seats: Vec::new(), abandoned: Arc::default() };
        for number in 0..threads {
            let hand = Arc::new(Hand::default());
            readers.spawn(number, hand.clone())?;
            readers.seats.push(Mutex::new(hand));
        }
        Ok(readers)
    }

    fn spawn(&self, number: usize, hand: Arc<Hand>) -> io::Result<()> {
        let (queue, pool, abandoned) = (self.queue.clone(), self.pool.clone(), self.abandoned.clone());
        std::thread::Builder::new().name(format!("reader-{number}")).spawn(move || {
            while let Some(reads) = queue.take() {
                hand.lock().reads.extend(reads);
                let mut lease = Lease::new(&pool);
                while let Some(read) = hand.next() {
                    read.run(&mut lease);
                }
                if hand.lock().is_abandoned {
                    abandoned.fetch_sub(1, Ordering::AcqRel);
                    return;
                }
            }
        })?;
        Ok(())
    }

    /// Lets new threads take over from those that hang. The watchdog calls it all the time, on PostgreSQL.
    pub(super) fn relieve(&self) {
        for (number, seat) in self.seats.iter().enumerate() {
            let mut seat = seat.lock().unwrap_or_else(PoisonError::into_inner);
            let hangs = seat.lock().since.is_some_and(|since| since.elapsed() > RELIEVED_AFTER);
            if !hangs || self.abandoned.load(Ordering::Acquire) >= MOST_ABANDONED as usize {
                continue;
            }
            let successor = Arc::new(Hand::default());
            if let Err(error) = self.spawn(number, successor.clone()) {
                log::error!("no thread can take over from a reader that hangs: {error}");
                continue;
            }
            let predecessor = std::mem::replace(&mut *seat, successor);
            self.abandoned.fetch_add(1, Ordering::AcqRel);
            log::warn!(
                "reader-{number}: the database has not answered in time: another connection takes over"
            );
            self.queue.put_back(predecessor.abandon());
        }
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

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.arrived.notify_all();
    }
}

impl Hand {
    /// The next read, if there is one for this thread.
    fn next(&self) -> Option<Box<dyn Read>> {
        let mut hand = self.lock();
        let read = hand.reads.pop_front();
        hand.since = read.as_ref().map(|_| Instant::now());
        read
    }

    /// Takes away what has not begun.
    fn abandon(&self) -> VecDeque<Box<dyn Read>> {
        let mut hand = self.lock();
        hand.is_abandoned = true;
        std::mem::take(&mut hand.reads)
    }

    fn lock(&self) -> MutexGuard<'_, InHand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Puts reads in front of all others.
    fn put_back(&self, reads: VecDeque<Box<dyn Read>>) {
        let mut state = self.lock();
        for read in reads.into_iter().rev() {
            state.waiting.push_front(read);
        }
        drop(state);
        self.arrived.notify_all();
    }

    /// Whether there was room.
    fn push(&self, read: Box<dyn Read>) -> bool {
        let mut state = self.lock();
        if state.waiting.len() >= QUEUE_BOUND {
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
            Err(Error::Database(_) | Error::Internal(_)) => session.mark_broken(),
            _ => self.session = Some(session),
        }
        outcome
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
