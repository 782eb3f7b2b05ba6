//! What a writer does with many jobs at once.

use super::job::{Key, Queued};
use crate::error::Error;

pub(super) type Jobs = Vec<Box<dyn Queued>>;

pub(super) fn users_of(jobs: &Jobs) -> Vec<i64> {
    jobs.iter().flat_map(|job| job.scope()).copied().collect()
}

/// Which rows they lock, each once.
pub(super) fn keys_of(jobs: &Jobs) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for key in jobs.iter().flat_map(|job| job.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Without the jobs that nobody waits for any more: while the database hung, their callers were told 503.
pub(super) fn waiting(jobs: Jobs) -> Jobs {
    jobs.into_iter().filter_map(|mut job| job.keep_waiting().then_some(job)).collect()
}

/// Commands of one set become one job.
pub(super) fn grouped(batch: Jobs) -> Jobs {
    let mut jobs: Jobs = Vec::new();
    for job in batch {
        let left_over = jobs.iter_mut().try_fold(job, |job, group| group.absorb(job));
        jobs.extend(left_over);
    }
    jobs
}

pub(super) fn split(jobs: Jobs) -> Jobs {
    jobs.into_iter().flat_map(|job| job.split()).collect()
}

/// Answers all; returns the jobs whose rows were locked.
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
