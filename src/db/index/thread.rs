//! The thread that writes the index, and its successor if it hangs.
//!
//! A call into libpq cannot be interrupted from another thread. So a thread whose task takes too
//! long is abandoned, its caller gets an error, and a new thread with a new connection goes on with
//! the tasks that wait. Whatever the old one still commits is right: a mark of the follower moves
//! only from where its batch began.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How much less of the CPU the thread gets than the threads that serve requests, as a niceness.
const NICENESS: i32 = 19;
/// The most threads that may hang at once. Each keeps a connection.
const MOST_ABANDONED: usize = 8;

/// What a thread runs. `W` is what it works with.
pub(super) type Run<W> = Box<dyn FnOnce(&mut W) + Send>;

struct Task<W> {
    run: Run<W>,
    /// Tells the caller that the thread hangs.
    hangs: oneshot::Sender<()>,
}

/// The thread. It starts with the first task.
pub(super) struct IndexThread<W> {
    make: Box<dyn Fn() -> W + Send + Sync>,
    sender: Mutex<Option<mpsc::Sender<Task<W>>>>,
    tasks: Arc<Mutex<mpsc::Receiver<Task<W>>>>,
    state: Mutex<State>,
    is_closed: Arc<AtomicBool>,
    /// The number of threads that hang.
    abandoned: Arc<AtomicUsize>,
}

enum State {
    New,
    Running(Arc<Hand>, JoinHandle<()>),
    Closed,
}

/// What a thread is doing.
#[derive(Default)]
struct Hand(Mutex<InHand>);

#[derive(Default)]
struct InHand {
    /// When the current task began, and what tells its caller that the thread hangs.
    current: Option<(Instant, oneshot::Sender<()>)>,
    is_abandoned: bool,
}

impl<W: Send + 'static> IndexThread<W> {
    /// `make` makes what a thread works with.
    pub(super) fn new(make: impl Fn() -> W + Send + Sync + 'static) -> IndexThread<W> {
        let (sender, tasks) = mpsc::channel();
        IndexThread {
            make: Box::new(make),
            sender: Mutex::new(Some(sender)),
            tasks: Arc::new(Mutex::new(tasks)),
            state: Mutex::new(State::New),
            is_closed: Arc::default(),
            abandoned: Arc::default(),
        }
    }

    /// Lets the thread run a task after those that wait. Returns what tells that the thread hangs.
    ///
    /// # Errors
    /// Fails if no thread can be started, or it was closed.
    pub(super) fn send(&self, run: Run<W>) -> io::Result<oneshot::Receiver<()>> {
        let closed = || io::Error::other("the index is closed");
        let mut state = lock(&self.state);
        if let State::New = *state {
            *state = self.start()?;
        }
        let (hangs, hung) = oneshot::channel();
        let sender = lock(&self.sender);
        sender.as_ref().ok_or_else(closed)?.send(Task { run, hangs }).map_err(|_| closed())?;
        Ok(hung)
    }

    fn start(&self) -> io::Result<State> {
        let hand = Arc::new(Hand::default());
        let mut worker = Worker {
            writer: (self.make)(),
            tasks: self.tasks.clone(),
            hand: hand.clone(),
            is_closed: self.is_closed.clone(),
            abandoned: self.abandoned.clone(),
        };
        let thread = thread::Builder::new().name("index-writer".to_owned()).spawn(move || worker.work())?;
        Ok(State::Running(hand, thread))
    }

    /// Lets a new thread take over from one whose task takes longer than `limit`.
    pub(super) fn relieve(&self, limit: Duration) {
        let mut state = lock(&self.state);
        let State::Running(hand, _) = &*state else { return };
        if self.abandoned.load(Ordering::Acquire) >= MOST_ABANDONED {
            return;
        }
        let Some(caller) = hand.abandon(limit, &self.abandoned) else { return };
        log::warn!(
            "the index: the database has not answered for {} s: another connection takes over",
            limit.as_secs()
        );
        // Without a thread, the next task starts one.
        *state = self.start().unwrap_or_else(|error| {
            log::error!("the index: no thread can take over: {error}");
            State::New
        });
        let _ = caller.send(());
    }

    /// Accepts no more tasks, and drops those that wait. Waits until `until` for the thread to end.
    pub(super) fn close(&self, until: Instant) {
        self.is_closed.store(true, Ordering::Release);
        drop(lock(&self.sender).take());
        let state = std::mem::replace(&mut *lock(&self.state), State::Closed);
        let State::Running(_, thread) = state else { return };
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What a thread has.
struct Worker<W> {
    writer: W,
    tasks: Arc<Mutex<mpsc::Receiver<Task<W>>>>,
    hand: Arc<Hand>,
    is_closed: Arc<AtomicBool>,
    abandoned: Arc<AtomicUsize>,
}

impl<W> Worker<W> {
    fn work(&mut self) {
        be_nice();
        loop {
            // While it waits, it keeps the lock, which only a successor would want.
            let task = lock(&self.tasks).recv();
            let Ok(task) = task else { return };
            if self.is_closed.load(Ordering::Acquire) {
                return;
            }
            self.hand.begin(task.hangs);
            let run = AssertUnwindSafe(|| (task.run)(&mut self.writer));
            if catch_unwind(run).is_err() {
                log::error!("a task of the index panicked");
            }
            if self.hand.end() {
                self.abandoned.fetch_sub(1, Ordering::AcqRel);
                return log::info!("the index: a connection that hung has ended");
            }
        }
    }
}

impl Hand {
    fn begin(&self, hangs: oneshot::Sender<()>) {
        lock(&self.0).current = Some((Instant::now(), hangs));
    }

    /// Records that the task has ended. Returns whether a successor has taken over.
    fn end(&self) -> bool {
        let mut hand = lock(&self.0);
        hand.current = None;
        hand.is_abandoned
    }

    /// Leaves the thread to itself if its task takes longer than `limit`, and counts it. Returns
    /// what tells the caller.
    fn abandon(&self, limit: Duration, count: &AtomicUsize) -> Option<oneshot::Sender<()>> {
        let mut hand = lock(&self.0);
        let (_, caller) = hand.current.take_if(|(since, _)| since.elapsed() > limit)?;
        hand.is_abandoned = true;
        count.fetch_add(1, Ordering::AcqRel);
        Some(caller)
    }
}

/// Lets the threads that serve requests go first. On Linux a niceness is a thread's own.
fn be_nice() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("the index's thread keeps its priority: {error}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a task that returns the number of its thread.
    fn ask(thread: &IndexThread<usize>) -> usize {
        let (reply, answer) = mpsc::channel();
        let hangs = thread.send(Box::new(move |number: &mut usize| reply.send(*number).unwrap())).unwrap();
        let number = answer.recv().unwrap();
        drop(hangs);
        // The thread is busy for a moment after the answer.
        while is_busy(thread) {
            thread::yield_now();
        }
        number
    }

    fn is_busy(thread: &IndexThread<usize>) -> bool {
        matches!(&*lock(&thread.state), State::Running(hand, _) if lock(&hand.0).current.is_some())
    }

    #[test]
    fn another_thread_goes_on_with_the_tasks_behind_one_that_hangs() {
        let made = AtomicUsize::new(0);
        let thread = IndexThread::new(move || made.fetch_add(1, Ordering::AcqRel));
        assert_eq!(ask(&thread), 0);
        thread.relieve(Duration::ZERO);
        assert_eq!(ask(&thread), 0, "an idle thread does not hang");
        let (entered, has_entered) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let hangs = Box::new(move |_: &mut usize| {
            entered.send(()).unwrap();
            let _ = released.recv();
        });
        let hung = thread.send(hangs).unwrap();
        has_entered.recv().unwrap();
        thread.relieve(Duration::from_secs(3600));
        assert_eq!(thread.abandoned.load(Ordering::Acquire), 0, "it has not hung for an hour");
        let (reply, answer) = mpsc::channel();
        let _behind = thread.send(Box::new(move |number: &mut usize| reply.send(*number).unwrap())).unwrap();
        while thread.abandoned.load(Ordering::Acquire) == 0 {
            thread.relieve(Duration::ZERO);
        }
        assert!(hung.blocking_recv().is_ok(), "the caller learns it");
        assert_eq!(answer.recv().unwrap(), 1);
        drop(release);
        while thread.abandoned.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
        assert_eq!(ask(&thread), 1, "the old thread has ended");
    }

    #[test]
    fn a_task_that_panics_ends_no_thread() {
        let thread = IndexThread::new(|| 7);
        let _hangs = thread.send(Box::new(|_: &mut usize| panic!("a test"))).unwrap();
        assert_eq!(ask(&thread), 7);
        thread.close(Instant::now() + Duration::from_secs(60));
        assert!(thread.send(Box::new(|_: &mut usize| ())).is_err());
    }
}
