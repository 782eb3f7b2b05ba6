//! The queue of one writer: bounded, with a second lane for bulk work.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::Queued;

/// The lane in which a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Jobs of requests, whose clients wait.
    Main,
    /// Bulk work. On PostgreSQL it has its own writer. On SQLite it runs one job at a time, when
    /// the main lane is empty or after [`TURNS_BEFORE_BULK`] batches of it.
    Bulk,
}

/// The most batches of the main lane that may overtake a waiting bulk job. So chats hardly wait for
/// bulk work, and holds are still swept under full load.
const TURNS_BEFORE_BULK: u32 = 8;

pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    /// The most jobs that may wait in a lane.
    bound: usize,
}

#[derive(Default)]
struct State {
    main: VecDeque<Box<dyn Queued>>,
    bulk: VecDeque<Box<dyn Queued>>,
    turns_since_bulk: u32,
    /// The number of jobs of the main lane that were taken.
    taken: u64,
    closed: bool,
}

impl Queue {
    pub(super) fn new(bound: usize) -> Queue {
        Queue { state: Mutex::default(), arrived: Condvar::new(), bound }
    }

    /// Queues a job. Returns whether there was room.
    pub(super) fn push(&self, lane: Lane, job: Box<dyn Queued>) -> bool {
        let mut state = self.lock();
        let bound = if state.closed { 0 } else { self.bound };
        let waiting = match lane {
            Lane::Main => &mut state.main,
            Lane::Bulk => &mut state.bulk,
        };
        if waiting.len() >= bound {
            return false;
        }
        waiting.push_back(job);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// Waits for work and takes up to `most` jobs of one lane. Returns `None` when the queue is
    /// closed and empty.
    pub(super) fn take(&self, most: usize) -> Option<Vec<Box<dyn Queued>>> {
        let mut state = self.lock();
        loop {
            let bulk_is_due = state.main.is_empty() || state.turns_since_bulk >= TURNS_BEFORE_BULK;
            if bulk_is_due && let Some(job) = state.bulk.pop_front() {
                state.turns_since_bulk = 0;
                return Some(vec![job]);
            }
            if !state.main.is_empty() {
                state.turns_since_bulk = state.turns_since_bulk.saturating_add(1);
                let count = state.main.len().min(most);
                state.taken = state.taken.saturating_add(count as u64);
                return Some(state.main.drain(..count).collect());
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns the age of the next job in the main lane.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.lock().main.front().map(|job| job.since().elapsed())
    }

    /// Returns how many jobs of the main lane were taken.
    pub(super) fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// Accepts no more jobs. The writer ends when the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Job;
    use super::*;
    use crate::db::DbConnection;
    use tokio::sync::oneshot;

    fn job(scope: i64) -> Box<dyn Queued> {
        let nothing = |_: &mut DbConnection| Ok(());
        Box::new(Job::new(vec![scope], nothing, oneshot::channel().0))
    }

    fn taken(queue: &Queue) -> Vec<i64> {
        queue.take(4).unwrap_or_default().iter().flat_map(|job| job.scope().to_vec()).collect()
    }

    #[test]
    fn a_batch_is_what_waits_up_to_the_bound() {
        let queue = Queue::new(100);
        for id in 0..6 {
            assert!(queue.push(Lane::Main, job(id)));
        }
        assert_eq!(taken(&queue), [0, 1, 2, 3]);
        assert_eq!(taken(&queue), [4, 5]);
    }

    #[test]
    fn a_full_lane_takes_no_more_and_leaves_the_other_open() {
        let queue = Queue::new(1);
        assert!(queue.push(Lane::Main, job(1)));
        assert!(!queue.push(Lane::Main, job(2)));
        assert!(queue.push(Lane::Bulk, job(3)));
    }

    #[test]
    fn bulk_work_gives_way_to_chats_but_is_never_starved() {
        let queue = Queue::new(1000);
        queue.push(Lane::Bulk, job(-1));
        for id in 0..40 {
            queue.push(Lane::Main, job(id));
        }
        let batches: Vec<_> = (0..11).map(|_| taken(&queue)).collect();
        assert_eq!(batches.iter().position(|batch| batch == &[-1]), Some(8));
    }

    #[test]
    fn a_closed_queue_is_emptied_first() {
        let queue = Queue::new(10);
        queue.push(Lane::Main, job(1));
        queue.close();
        assert_eq!(taken(&queue), [1]);
        assert!(queue.take(4).is_none());
    }
}
