//! The slow lane of PostgreSQL's writers: jobs that wait for another transaction's locks.
//!
//! A writer never waits for a user's row. It skips the rows that it cannot lock and leaves their
//! jobs here, so that one locked row delays one user. Two threads retry these jobs until the lock
//! is gone or the job is too old.
//!
//! Rows other than users' rows (a chat, a conversation) cannot be skipped: the batch runs into
//! `lock_timeout`. Its jobs are then run here *alone*, each user's separately. If a user's job hits
//! the time limit again, the user is in quarantine: new jobs of that user come here at once, so
//! that the writers do not run into the same lock twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::job::{Key, Queued};
use crate::error::Error;

type Jobs = Vec<Box<dyn Queued>>;

/// The most jobs that may wait here, in total and of one user. One more gets a 503.
const MOST: usize = 4096;
const MOST_OF_ONE: usize = 1024;
/// The age at which a job gets a 503, counted from its caller's request.
const GIVE_UP: Duration = Duration::from_millis(4500);
/// A job is retried after a quarter of the time that it has waited, within these limits.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long a user stays in quarantine after the last job that ran into a lock.
const QUARANTINE: Duration = Duration::from_secs(2);
const TOO_OLD: &str =
    "another transaction kept the rows locked that this needs, or a COMMIT could not be looked up in time";

#[derive(Default)]
pub(super) struct Late {
    state: Mutex<State>,
    arrived: Condvar,
    /// The number of users in quarantine, readable without the lock.
    quarantined: AtomicUsize,
}

#[derive(Default)]
struct State {
    waiting: Vec<Deferred>,
    /// The number of waiting jobs of each user.
    counts: HashMap<Key, usize>,
    quarantine: HashMap<Key, Instant>,
    /// Whether the last turn was for jobs that run alone.
    was_alone: bool,
    closed: bool,
}

struct Deferred {
    job: Box<dyn Queued>,
    key: Option<Key>,
    due: Instant,
    how: How,
}

/// How to run deferred jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct How {
    /// Whether the jobs may have been done: a COMMIT had an unknown outcome, or another writer runs
    /// their twins.
    pub again: bool,
    /// Whether to run them without other users' jobs.
    pub alone: bool,
}

impl Late {
    /// Queues jobs that could not run now. Rejects with a 503 those that have waited too long, and
    /// those for which there is no room.
    ///
    /// The writer that leaves them here keeps their twins until its batch ends. If it hangs, its
    /// successor gets the twins. So each first looks up whether it was done.
    pub(super) fn defer(&self, jobs: Jobs, how: How) {
        let how = How { again: true, ..how };
        let now = Instant::now();
        let mut refused = Vec::new();
        let mut state = self.lock();
        for job in jobs.into_iter().flat_map(|job| job.split()) {
            let age = now.saturating_duration_since(job.since());
            let key = job.keys().first().copied();
            let of_one = key.and_then(|key| state.counts.get(&key)).copied().unwrap_or(0);
            if age > GIVE_UP {
                refused.push((job, TOO_OLD));
            } else if state.waiting.len() >= MOST || of_one >= MOST_OF_ONE {
                refused.push((job, "too many jobs wait for locked rows"));
            } else {
                if let Some(key) = key {
                    *state.counts.entry(key).or_default() += 1;
                }
                let pause = (age / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                state.waiting.push(Deferred { job, key, due: now + pause, how });
            }
        }
        drop(state);
        self.arrived.notify_one();
        for (job, why) in refused {
            job.refuse(Error::Unavailable(why.to_owned()));
        }
    }

    /// Returns the number of jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Waits for due jobs. Returns up to `most` that can run together, or `None` when the lane is
    /// closed.
    pub(super) fn take(&self, most: usize) -> Option<(Jobs, How)> {
        loop {
            let mut state = self.lock();
            let now = Instant::now();
            let expired = state.remove(|deferred| {
                now.saturating_duration_since(deferred.job.since()) > GIVE_UP || !deferred.job.drop_closed()
            });
            if let Some(turn) = state.turn(now, most) {
                drop(state);
                refuse(expired);
                return Some(turn);
            }
            if state.closed && state.waiting.is_empty() {
                drop(state);
                refuse(expired);
                return None;
            }
            if expired.is_empty() {
                let due = state.waiting.iter().map(|deferred| deferred.due).min();
                let pause = due.map_or(LONGEST_PAUSE * 10, |due| due.saturating_duration_since(now));
                let _ = self.arrived.wait_timeout(state, pause.max(Duration::from_millis(1)));
            } else {
                drop(state);
                refuse(expired);
            }
        }
    }

    /// Records that jobs ran into a lock although they ran alone.
    pub(super) fn quarantine(&self, keys: &[Key]) {
        let mut state = self.lock();
        let until = Instant::now() + QUARANTINE;
        state.quarantine.extend(keys.iter().map(|key| (*key, until)));
        self.quarantined.store(state.quarantine.len(), Ordering::Release);
    }

    /// Records that jobs succeeded when they ran alone.
    pub(super) fn acquit(&self, keys: &[Key]) {
        if self.quarantined.load(Ordering::Acquire) > 0 {
            let mut state = self.lock();
            keys.iter().for_each(|key| {
                state.quarantine.remove(key);
            });
            self.quarantined.store(state.quarantine.len(), Ordering::Release);
        }
    }

    /// Splits a batch into the jobs that would run into a lock, and the others.
    pub(super) fn withdraw(&self, batch: Jobs) -> (Jobs, Jobs) {
        if self.quarantined.load(Ordering::Acquire) == 0 {
            return (Vec::new(), batch);
        }
        let mut state = self.lock();
        let now = Instant::now();
        state.quarantine.retain(|_, until| *until > now);
        self.quarantined.store(state.quarantine.len(), Ordering::Release);
        batch.into_iter().partition(|job| job.keys().iter().any(|key| state.quarantine.contains_key(key)))
    }

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
    /// Removes the jobs for which `is_wanted` returns `true`.
    fn remove(&mut self, mut is_wanted: impl FnMut(&mut Deferred) -> bool) -> Vec<Deferred> {
        let mut removed = Vec::new();
        let mut place = 0;
        while let Some(deferred) = self.waiting.get_mut(place) {
            if is_wanted(deferred) {
                removed.push(self.waiting.swap_remove(place));
            } else {
                place += 1;
            }
        }
        for key in removed.iter().filter_map(|deferred| deferred.key) {
            if let Some(count) = self.counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&key);
                }
            }
        }
        removed
    }

    /// Returns the next jobs that can run together: many that need not run alone, or one user's
    /// that must. The two kinds take turns.
    fn turn(&mut self, now: Instant, most: usize) -> Option<(Jobs, How)> {
        let due = |alone: bool| {
            let mut due = self.waiting.iter().filter(|deferred| deferred.due <= now);
            due.find(|deferred| deferred.how.alone == alone).map(|deferred| (deferred.how, deferred.key))
        };
        let (how, key) = due(!self.was_alone).or_else(|| due(self.was_alone))?;
        self.was_alone = how.alone;
        let mut left = most;
        let taken = self.remove(|deferred| {
            // Jobs without a key may have nothing in common.
            let fits = !how.alone || (deferred.key == key && (key.is_some() || left == most));
            let is_taken = left > 0 && deferred.due <= now && deferred.how == how && fits;
            left -= usize::from(is_taken);
            is_taken
        });
        Some((taken.into_iter().map(|deferred| deferred.job).collect(), how))
    }
}

fn refuse(expired: Vec<Deferred>) {
    for deferred in expired {
        deferred.job.refuse(Error::Unavailable(TOO_OLD.to_owned()));
    }
}
