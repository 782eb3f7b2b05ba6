//! Runs reads: a few threads take queued reads and run them on pooled connections.
//!
//! A query may block, so a request hands it to such a thread. The hand-over takes longer than a
//! look-up by an index, so under load a thread takes several reads at once, with one connection for
//! all of them.
//!
//! Lists and searches take far longer than look-ups. Users take turns at them, and one thread is
//! left for look-ups.
//!
//! A thread whose read takes long may hang with its connection. Another thread then takes its seat,
//! and the reads that waited behind it go back into the queue. The result is still sent if it comes
//! in time.

mod queue;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::DbConnection;
use super::lease::{Lease, Pool};
use crate::error::{Error, Result};
use crate::throttle::{FairPermit, FairSemaphore, RetryAfter, SemaphoreBounds, SemaphoreFull};
use queue::{After, Queue};

/// The longest time that a caller waits for a read, whatever the state of the database.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// On PostgreSQL, another thread takes over from one whose read takes longer than this.
const RELIEVED_AFTER: Duration = Duration::from_millis(1500);
/// The most threads of one node that may hang at once. Each keeps a connection of the pool.
pub(super) const MOST_ABANDONED: u32 = 8;

/// The most long reads that may wait: of all users, and of one.
const MOST_LONG: usize = 4096;
const MOST_LONG_OF_ONE: usize = 64;
/// `Retry-After` if too many reads wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The threads that read. Dropping it ends them when their queue is empty.
pub(super) struct Readers {
    queue: Arc<Queue>,
    /// Turns at long reads, by user.
    turns: FairSemaphore<i64>,
    /// `None` after it was closed.
    pool: Mutex<Option<Pool>>,
    seats: Vec<Mutex<Arc<Hand>>>,
    /// The number of threads that hang.
    abandoned: Arc<AtomicUsize>,
}

/// The reads that a thread has taken from the queue.
#[derive(Default)]
struct Hand(Mutex<InHand>);

#[derive(Default)]
struct InHand {
    reads: VecDeque<Box<dyn Read>>,
    /// When the current read began.
    since: Option<Instant>,
    /// The permit of the current read, if it is a long one.
    turn: Option<FairPermit<i64>>,
    is_abandoned: bool,
}

/// A read with its caller.
trait Read: Send {
    fn run(self: Box<Self>, lease: &mut Lease<'_>);

    /// Takes the permit of a long read.
    fn take_turn(&mut self) -> Option<FairPermit<i64>>;
}

struct Job<T, F> {
    job: F,
    reply: oneshot::Sender<Result<T>>,
    /// The permit of a long read. It belongs to the work and not to the caller, who may leave. It
    /// is returned when the thread hangs.
    turn: Option<FairPermit<i64>>,
}

impl<T: Send, F: Fn(&mut DbConnection) -> Result<T> + Send> Read for Job<T, F> {
    fn run(self: Box<Self>, lease: &mut Lease<'_>) {
        // A caller who has left needs no result, and a read changes nothing.
        if !self.reply.is_closed() {
            let _ = self.reply.send(lease.read(&self.job));
        }
    }

    fn take_turn(&mut self) -> Option<FairPermit<i64>> {
        self.turn.take()
    }
}

impl Readers {
    /// Starts the threads.
    ///
    /// # Errors
    /// Fails if the system cannot start a thread.
    pub(super) fn start(pool: &Pool, threads: usize) -> io::Result<Readers> {
        let queue = Arc::new(Queue::new(threads));
        let permits = threads.saturating_sub(1).max(1);
        let turns = FairSemaphore::new(SemaphoreBounds {
            permits,
            waiting: MOST_LONG,
            waiting_per_key: MOST_LONG_OF_ONE,
            leave_room: false,
        });
        let (pool, abandoned) = (Mutex::new(Some(pool.clone())), Arc::default());
        let mut readers = Readers { queue, turns, pool, seats: Vec::new(), abandoned };
        for number in 0..threads {
            let hand = Arc::new(Hand::default());
            readers.spawn(number, hand.clone())?;
            readers.seats.push(Mutex::new(hand));
        }
        Ok(readers)
    }

    fn spawn(&self, number: usize, hand: Arc<Hand>) -> io::Result<()> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pool = pool.ok_or_else(|| io::Error::other("the database is closed"))?;
        let (queue, abandoned) = (self.queue.clone(), self.abandoned.clone());
        // The first thread runs only look-ups, if there is another one.
        let mut after = if number == 0 && queue.threads() > 1 { After::LookUpsOnly } else { After::LookUps };
        std::thread::Builder::new().name(format!("reader-{number}")).spawn(move || {
            while let Some(reads) = queue.take(&mut after) {
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

    /// Returns the number of reads that wait for a thread, or for their user's turn.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting() + self.turns.waiting()
    }

    /// Lets new threads take over from those that hang. On PostgreSQL, the watchdog calls it
    /// several times a second.
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
        tokio::time::timeout(ANSWER_WITHIN, self.hand_over(job, None))
            .await
            .unwrap_or_else(|_| Err(too_late()))
    }

    /// Reads like [`Readers::read`], for long reads: users take turns.
    ///
    /// # Errors
    /// The read's error, and [`Error::TooManyRequests`] or [`Error::Busy`] if too many wait.
    pub(super) async fn read_in_turn<T, F>(&self, user_id: i64, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        let read = async {
            let turn = self.turns.acquire(user_id).await.map_err(|full| match full {
                SemaphoreFull::Key => {
                    Error::TooManyRequests(RetryAfter::new(RETRY_AFTER, "lists that one user reads at once"))
                }
                SemaphoreFull::All => Error::Busy(RETRY_AFTER.as_secs()),
            })?;
            self.hand_over(job, Some(turn)).await
        };
        tokio::time::timeout(ANSWER_WITHIN, read).await.unwrap_or_else(|_| Err(too_late()))
    }

    async fn hand_over<T, F>(&self, job: F, turn: Option<FairPermit<i64>>) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let is_long = turn.is_some();
        if !self.queue.push(Box::new(Job { job, reply, turn }), is_long) {
            return Err(Error::Unavailable("too many reads are waiting".to_owned()));
        }
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("a reader gave no answer".to_owned())))
    }
}

fn too_late() -> Error {
    Error::Unavailable(format!("no read within {} s", ANSWER_WITHIN.as_secs()))
}

impl Readers {
    /// Accepts no more reads. The threads end when their queue is empty.
    pub(super) fn close(&self) {
        self.queue.close();
        drop(self.pool.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

impl Hand {
    /// Returns the next read for this thread, if any.
    fn next(&self) -> Option<Box<dyn Read>> {
        let mut hand = self.lock();
        let mut read = hand.reads.pop_front();
        hand.since = read.as_ref().map(|_| Instant::now());
        hand.turn = read.as_mut().and_then(|read| read.take_turn());
        read
    }

    /// Returns the reads that have not begun, and frees the permit of the read that hangs for
    /// another long read.
    fn abandon(&self) -> VecDeque<Box<dyn Read>> {
        let mut hand = self.lock();
        hand.is_abandoned = true;
        hand.turn = None;
        std::mem::take(&mut hand.reads)
    }

    fn lock(&self) -> MutexGuard<'_, InHand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_long_read_that_hangs_gives_its_turn_back() {
        let bounds = SemaphoreBounds { permits: 1, waiting: 1, waiting_per_key: 1, leave_room: false };
        let turns = FairSemaphore::new(bounds);
        let turn = turns.acquire(1).await.ok();
        let (reply, _answer) = oneshot::channel();
        let hand = Hand::default();
        hand.lock().reads.push_back(Box::new(Job { job: |_: &mut DbConnection| Ok(()), reply, turn }));
        let _hangs = hand.next();
        let next = turns.acquire(2);
        tokio::pin!(next);
        let wait = Duration::from_millis(10);
        assert!(tokio::time::timeout(wait, &mut next).await.is_err(), "there is one turn");
        hand.abandon();
        assert!(matches!(tokio::time::timeout(Duration::from_secs(5), next).await, Ok(Ok(_))));
    }
}
