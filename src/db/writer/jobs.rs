//! Operations on several jobs at once.

use super::job::{Key, Queued};
use crate::error::Error;

pub(super) type Jobs = Vec<Box<dyn Queued>>;

pub(super) fn users_of(jobs: &Jobs) -> Vec<i64> {
    jobs.iter().flat_map(|job| job.scope()).copied().collect()
}

/// Returns the rows that the jobs lock, without duplicates.
pub(super) fn keys_of(jobs: &Jobs) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for key in jobs.iter().flat_map(|job| job.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Drops jobs that have no waiting callers, because these got a 503 while the database hung.
pub(super) fn waiting(jobs: Jobs) -> Jobs {
    jobs.into_iter().filter_map(|mut job| job.drop_closed().then_some(job)).collect()
}

/// Combines the commands of each set into one job, in the place of the first of them.
pub(super) fn grouped(batch: Jobs) -> Jobs {
    let mut jobs: Jobs = Vec::with_capacity(batch.len());
    let mut sets: Vec<usize> = Vec::new();
    for job in batch {
        if !job.is_set() {
            jobs.push(job);
        } else if let Some(job) = sets.iter().try_fold(job, |job, place| jobs[*place].absorb(job)) {
            sets.push(jobs.len());
            jobs.push(job);
        }
    }
    jobs
}

pub(super) fn split(jobs: Jobs) -> Jobs {
    jobs.into_iter().flat_map(|job| job.split()).collect()
}

/// Sends all callers their results. Returns the jobs whose rows were locked.
pub(super) fn answer(jobs: Jobs) -> Jobs {
    jobs.into_iter().filter_map(|job| job.answer()).collect()
}

pub(super) fn refuse_one(jobs: Jobs, error: Error) {
    let mut error = Some(error);
    for job in jobs {
        job.refuse(error.take().unwrap_or_else(|| Error::Internal("one error for several jobs".to_owned())));
    }
}

pub(super) fn refuse_all(jobs: Jobs, why: &str) {
    for job in split(jobs) {
        job.refuse(Error::Unavailable(why.to_owned()));
    }
}
