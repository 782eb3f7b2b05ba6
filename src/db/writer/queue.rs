//! The queue of one writer: bounded, with a lane for the ends of holds and one for bulk work.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::Queued;

/// The lane in which a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Jobs of requests, whose clients wait.
    Main,
    /// The ends of holds. Their clients have waited for a whole answer, so they go first. On SQLite
    /// they even join a batch that has begun. As each of them follows a charge, they cannot keep
    /// charges waiting for ever.
    Ends,
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
    ends: VecDeque<Box<dyn Queued>>,
    bulk: VecDeque<Box<dyn Queued>>,
    turns_since_bulk: u32,
    /// The number of jobs of requests that were taken.
    taken: u64,
    /// The number of writers that wait and were not woken yet.
    waiting: usize,
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
            Lane::Ends => &mut state.ends,
            Lane::Bulk => &mut state.bulk,
        };
        if waiting.len() >= bound {
            return false;
        }
        waiting.push_back(job);
        // Waking is a system call, even if nobody waits. A busy writer looks at the queue anyway.
        let wakes = state.waiting > 0;
        state.waiting -= usize::from(wakes);
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
        true
    }

    /// Waits for work and takes up to `most` jobs of requests, or one of bulk work. Half of them at
    /// most are ends of holds while others wait. Returns `None` when the queue is closed and empty.
    pub(super) fn take(&self, most: usize) -> Option<Vec<Box<dyn Queued>>> {
        let mut state = self.lock();
        loop {
            let is_quiet = state.main.is_empty() && state.ends.is_empty();
            let bulk_is_due = is_quiet || state.turns_since_bulk >= TURNS_BEFORE_BULK;
            if bulk_is_due && let Some(job) = state.bulk.pop_front() {
                state.turns_since_bulk = 0;
                return Some(vec![job]);
            }
            if !is_quiet {
                state.turns_since_bulk = state.turns_since_bulk.saturating_add(1);
                let others = state.main.len().min(most.div_ceil(2));
                let mut jobs = state.take_ends(most - others);
                let count = state.main.len().min(most - jobs.len());
                state.taken = state.taken.saturating_add(count as u64);
                jobs.extend(state.main.drain(..count));
                return Some(jobs);
            }
            if state.closed {
                return None;
            }
            state.waiting += 1;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes up to `most` ends of holds, without waiting, for a batch that has begun.
    pub(super) fn take_ends(&self, most: usize) -> Vec<Box<dyn Queued>> {
        self.lock().take_ends(most)
    }

    /// Returns the number of jobs in each lane: of requests, ends of holds, and bulk work.
    pub(super) fn waiting(&self) -> [usize; 3] {
        let state = self.lock();
        [state.main.len(), state.ends.len(), state.bulk.len()]
    }

    /// Returns the age of the oldest job of a request.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let state = self.lock();
        state.main.front().into_iter().chain(state.ends.front()).map(|job| job.since().elapsed()).max()
    }

    /// Returns how many jobs of requests were taken.
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

impl State {
    fn take_ends(&mut self, most: usize) -> Vec<Box<dyn Queued>> {
        let count = self.ends.len().min(most);
        self.taken = self.taken.saturating_add(count as u64);
        self.ends.drain(..count).collect()
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
    fn ends_of_holds_go_first_but_leave_half_of_a_batch_to_the_others() {
        let queue = Queue::new(100);
        for id in 0..6 {
            queue.push(Lane::Main, job(id));
            queue.push(Lane::Ends, job(100 + id));
        }
        assert_eq!(taken(&queue), [100, 101, 0, 1]);
        let joined: Vec<_> = queue.take_ends(3).iter().flat_map(|job| job.scope().to_vec()).collect();
        assert_eq!(joined, [102, 103, 104]);
        assert_eq!(taken(&queue), [105, 2, 3, 4]);
        assert_eq!(taken(&queue), [5]);
        assert_eq!(queue.taken(), 12);
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
