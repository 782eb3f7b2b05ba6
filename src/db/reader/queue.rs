//! The queue of reads: look-ups, and long reads that not every thread takes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Read;

/// The most reads that a thread takes at once.
const MOST_AT_ONCE: usize = 16;
/// The most reads that may wait. One more gets a 503.
const QUEUE_BOUND: usize = 8192;

pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    threads: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Read>>,
    /// The long reads. There are at most as many as permits.
    long: VecDeque<Box<dyn Read>>,
    closed: bool,
}

/// The kind of read that a thread has just run. It alternates between look-ups and long reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The thread never takes a long read.
    LookUpsOnly,
    LookUps,
    LongRead,
}

impl Queue {
    /// Makes a queue for this number of threads.
    pub(super) fn new(threads: usize) -> Queue {
        Queue { state: Mutex::default(), arrived: Condvar::new(), threads }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Returns the number of reads that wait.
    pub(super) fn waiting(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.long.len()
    }

    /// Accepts no more reads. The threads end when the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Puts reads back, in front of all others.
    pub(super) fn put_back(&self, reads: VecDeque<Box<dyn Read>>) {
        let mut state = self.lock();
        for read in reads.into_iter().rev() {
            state.waiting.push_front(read);
        }
        drop(state);
        self.arrived.notify_all();
    }

    /// Queues a read. Returns `false` if the queue is full.
    pub(super) fn push(&self, read: Box<dyn Read>, is_long: bool) -> bool {
        let mut state = self.lock();
        if is_long && !state.closed {
            state.long.push_back(read);
            drop(state);
            // Wake all threads: one that never takes long reads could otherwise be the only one to
            // wake.
            self.arrived.notify_all();
            return true;
        }
        if state.closed || state.waiting.len() >= QUEUE_BOUND {
            return false;
        }
        state.waiting.push_back(read);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// Waits for reads. Returns a thread's share of them, or one long read. Returns `None` when the
    /// queue is closed and empty.
    pub(super) fn take(&self, after: &mut After) -> Option<Vec<Box<dyn Read>>> {
        let mut state = self.lock();
        loop {
            let is_turn = match after {
                After::LookUpsOnly => false,
                After::LookUps => true,
                After::LongRead => state.waiting.is_empty(),
            };
            if is_turn && let Some(long) = state.long.pop_front() {
                *after = After::LongRead;
                return Some(vec![long]);
            }
            if !state.waiting.is_empty() {
                if *after == After::LongRead {
                    *after = After::LookUps;
                }
                let share = (state.waiting.len() / self.threads).clamp(1, MOST_AT_ONCE);
                return Some(state.waiting.drain(..share).collect());
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
