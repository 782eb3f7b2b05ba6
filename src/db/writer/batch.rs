//! Runs a batch of jobs.
//!
//! A batch runs without savepoints, as nearly every job either succeeds or rejects its request
//! without having written. If something fails, the cause decides what happens to the jobs:
//!
//! - A job violated a constraint, or undid itself: it gets its error. The others are rolled back,
//!   then run again with a savepoint around each.
//! - A job panicked: it gets a 500. The others are rolled back, then each is run again separately.
//! - A deadlock or a serialization failure (PostgreSQL): each is run again separately.
//! - Another transaction has locked a user's row (PostgreSQL): that user's job is run later, in the
//!   slow lane. The others are committed without it.
//! - Another transaction keeps another row locked (PostgreSQL): all are run later, each user's jobs
//!   separately.
//! - Any other database error, even one that a job ignores (PostgreSQL), or a savepoint that fails:
//!   all get a 503.
//! - COMMIT failed on PostgreSQL, or the connection hangs: the outcome is unknown. All are looked
//!   up, and run again if they are absent. The same holds for a set of commands that is one
//!   statement, which is a transaction without BEGIN and COMMIT, unless PostgreSQL reports its
//!   error.
//! - COMMIT failed on SQLite: all are rolled back and get a 503.
//!
//! After a job's own failure and after a lock, the connection is kept. Otherwise it is dropped, as
//! its state is unknown: on a full disk SQLite itself rolls back the whole transaction, and jobs
//! that reported success are lost. No caller gets a response before COMMIT has returned.

use std::sync::Arc;

use diesel::connection::TransactionManager;

use super::attempt::{Attempt, Failure, run_bare, run_one, set_aside};
use super::crew::Crew;
use super::jobs::{Jobs, answer, grouped, keys_of, refuse_all, refuse_one, split, waiting};
use super::late::How;
use super::queue::Queue;
use super::transaction::Transactions;
use super::watch::Handover;
use crate::db::tally;
use crate::error::Error;

/// How often a batch with an unknown outcome is looked up at once, each time on a new connection.
/// On PostgreSQL, what is still unknown then goes to the slow lane.
const LOOK_UPS: u32 = 2;
/// The most ends of holds that join a batch that has begun, so that it is not much longer.
const MOST_TO_JOIN: usize = 64;

/// A writer: its connection, if it has one, and the state that it shares with the other writers.
pub(super) struct Writer {
    attempt: Attempt,
    crew: Crew,
    /// The queue from which ends of holds join a batch that has begun.
    joins: Option<Arc<Queue>>,
}

impl Writer {
    pub(super) fn new(attempt: Attempt, crew: Crew, joins: Option<Arc<Queue>>) -> Writer {
        Writer { attempt, crew, joins }
    }

    /// Takes over from a writer that hangs, and ends its connection, so that the locks of its
    /// transaction are released.
    pub(super) fn succeed(&mut self, left: &Handover) {
        self.attempt.succeed(left);
    }

    /// Runs a batch and sends all its callers a response, or leaves the rest to the slow lane.
    ///
    /// On PostgreSQL each set of commands gets its own transaction, because it may lock more rows
    /// than the users' own.
    pub(super) fn run(&mut self, batch: Jobs, how: How) {
        if !self.attempt.is_mine() {
            return;
        }
        let mut batch = waiting(batch);
        if let (Some(late), false) = (&self.crew.late, how.alone) {
            let (held, rest) = late.withdraw(batch);
            batch = rest;
            late.defer(held, How { alone: true, ..how });
        }
        if batch.is_empty() {
            return self.attempt.end_batch();
        }
        self.attempt.begin_batch(&batch);
        let mut jobs = grouped(batch);
        if self.attempt.is_postgres() {
            // The ends of holds come first in a batch, and wait for no charge.
            let rest = jobs.split_off(jobs.iter().position(|job| job.is_set()).unwrap_or(jobs.len()));
            if !jobs.is_empty() {
                self.run_together(jobs, how, LOOK_UPS);
            }
            let (sets, others): (Jobs, Jobs) = rest.into_iter().partition(|job| job.is_set());
            sets.into_iter().for_each(|set| self.run_together(vec![set], how, LOOK_UPS));
            if !others.is_empty() {
                self.run_together(others, how, LOOK_UPS);
            }
        } else {
            self.run_together(jobs, how, LOOK_UPS);
        }
        self.attempt.end_batch();
    }

    fn run_together(&mut self, mut jobs: Jobs, how: How, look_ups_left: u32) {
        let mut late = Vec::new();
        let waits = self.crew.late.is_none();
        let joins = self.joins.as_ref().filter(|_| !how.again);
        let is_one_statement =
            self.attempt.is_postgres() && !how.again && jobs.len() == 1 && jobs[0].is_one_statement();
        let outcome = match is_one_statement {
            true => self.attempt.statement(&mut jobs),
            false => self.attempt.transaction(&mut jobs, how.again, |conn, jobs, watch| {
                late = set_aside(conn, jobs, waits)?;
                run_bare(conn, jobs, how.again, watch)?;
                // What came while the batch ran need not wait for the next one.
                let begun = jobs.len();
                jobs.extend(joins.map_or_else(Vec::new, |queue| waiting(queue.take_ends(MOST_TO_JOIN))));
                (begun..jobs.len()).try_for_each(|place| run_one(conn, jobs, place, how.again, watch))
            }),
        };
        self.defer(late, how);
        match outcome {
            Ok(()) => {
                if let (Some(late), true) = (&self.crew.late, how.alone) {
                    late.acquit(&keys_of(&jobs));
                }
                let locked = answer(jobs);
                self.defer(locked, how);
            }
            Err(Failure::Own(_, error)) if jobs.len() == 1 && jobs[0].callers() == 1 && !how.again => {
                refuse_one(jobs, error);
            }
            Err(Failure::Own(..)) => self.run_with_savepoints(split(jobs), how),
            Err(Failure::Panicked(place)) if jobs[place].callers() == 1 => {
                jobs.remove(place).refuse(Error::Internal("a job panicked".to_owned()));
                self.run_alone(split(jobs), how);
            }
            Err(Failure::Panicked(_) | Failure::MakeWay) => self.run_alone(split(jobs), how),
            Err(failure) => self.put_off(jobs, how, failure, look_ups_left),
        }
    }

    /// Runs each job inside a savepoint. A job that fails by its own fault gets its error and
    /// affects no other job.
    fn run_with_savepoints(&mut self, mut jobs: Jobs, how: How) {
        let mut failed: Vec<(usize, Error)> = Vec::new();
        let mut late = Vec::new();
        let waits = self.crew.late.is_none();
        let outcome = self.attempt.transaction(&mut jobs, how.again, |conn, jobs, watch| {
            failed.clear();
            late = set_aside(conn, jobs, waits)?;
            for place in 0..jobs.len() {
                Transactions::begin_transaction(conn).map_err(Failure::of)?;
                let before = tally::mark();
                match run_one(conn, jobs, place, how.again, watch) {
                    Ok(()) => Transactions::commit_transaction(conn).map_err(Failure::of)?,
                    Err(Failure::Own(place, error)) => {
                        Transactions::rollback_transaction(conn).map_err(Failure::of)?;
                        tally::rewind(before);
                        failed.push((place, error));
                    }
                    Err(failure) => return Err(failure),
                }
            }
            Ok(())
        });
        self.defer(late, how);
        match outcome {
            Ok(()) => {
                let mut again = Vec::new();
                for (place, error) in failed.into_iter().rev() {
                    let job = jobs.remove(place);
                    // The job may have conflicted with the commit whose outcome was unknown. A
                    // second look-up then finds it.
                    if how.again { again.push(job) } else { job.refuse(error) }
                }
                let locked = answer(jobs);
                self.defer(locked, how);
                self.run_alone(again, how);
            }
            Err(Failure::Own(..) | Failure::Panicked(_) | Failure::MakeWay) => self.run_alone(jobs, how),
            Err(failure) => self.put_off(jobs, how, failure, LOOK_UPS),
        }
    }

    /// Runs each job in its own transaction, until the database itself fails. Then the rest is
    /// postponed or rejected.
    fn run_alone(&mut self, jobs: Jobs, how: How) {
        let mut jobs = waiting(jobs).into_iter();
        while let Some(job) = jobs.next() {
            if let Some(why) = self.run_single(job, how) {
                let rest: Jobs = jobs.collect();
                return match (&self.crew.late, how.again) {
                    (Some(_), true) => self.defer(rest, how),
                    _ => refuse_all(rest, &why),
                };
            }
        }
    }

    /// Runs one job in its own transaction. Returns why the database failed, or `None`.
    fn run_single(&mut self, job: Box<dyn super::job::Queued>, how: How) -> Option<String> {
        let mut jobs = vec![job];
        let mut tries_left = 2;
        let waits = self.crew.late.is_none();
        loop {
            tries_left -= 1;
            let mut late = Vec::new();
            let outcome = self.attempt.transaction(&mut jobs, how.again, |conn, jobs, watch| {
                late = set_aside(conn, jobs, waits)?;
                run_bare(conn, jobs, how.again, watch)
            });
            self.defer(late, how);
            match outcome {
                Ok(()) => {
                    let locked = answer(jobs);
                    self.defer(locked, how);
                }
                // The first try may have waited for, and then conflicted with, the commit whose
                // outcome was unknown. Then a second look-up finds what the job has already done.
                Err(Failure::Own(..)) if how.again && tries_left > 0 => continue,
                Err(Failure::MakeWay) if tries_left > 0 => continue,
                Err(Failure::Own(_, error)) => refuse_one(jobs, error),
                Err(Failure::Panicked(_)) => refuse_one(jobs, Error::Internal("a job panicked".to_owned())),
                Err(Failure::MakeWay) => {
                    refuse_all(jobs, "PostgreSQL let other transactions go first, twice");
                }
                Err(Failure::Unknown(why)) => {
                    self.put_off(jobs, how, Failure::Unknown(why.clone()), 0);
                    return Some(why);
                }
                Err(Failure::Database(why)) => {
                    self.put_off(jobs, how, Failure::Database(why.clone()), 0);
                    return Some(why);
                }
                Err(failure) => self.put_off(jobs, how, failure, 0),
            }
            return None;
        }
    }

    /// Handles jobs whose transaction failed through no fault of their own.
    fn put_off(&mut self, jobs: Jobs, how: How, failure: Failure, look_ups_left: u32) {
        match failure {
            // Another writer has the twins of these jobs, and responds to their callers.
            Failure::Abandoned => {}
            Failure::Locked(place) => self.isolate(jobs, how, place),
            Failure::Unknown(why) => {
                log::warn!("it is unknown what was committed ({why}): looking it up");
                self.look_up_commits(jobs, why, look_ups_left);
            }
            Failure::Database(why) if how.again => self.look_up_commits(jobs, why, look_ups_left),
            Failure::Database(why) => refuse_all(jobs, &why),
            Failure::Own(_, error) => refuse_one(split(jobs), error),
            Failure::Panicked(_) | Failure::MakeWay => refuse_all(jobs, "it was run in vain"),
        }
    }

    /// Looks up, in one transaction, which jobs an earlier COMMIT has done, and runs the others.
    fn look_up_commits(&mut self, jobs: Jobs, why: String, look_ups_left: u32) {
        let how = How { again: true, alone: false };
        if look_ups_left > 0 {
            self.run_together(jobs, how, look_ups_left - 1);
        } else if self.crew.late.is_some() {
            self.defer(jobs, how);
        } else {
            refuse_all(jobs, &why);
        }
    }

    /// Handles a job that waited for a lock that it could not skip. The whole batch goes to the
    /// slow lane, each user's jobs separately.
    fn isolate(&mut self, jobs: Jobs, how: How, place: Option<usize>) {
        let Some(late) = &self.crew.late else {
            return refuse_all(jobs, "another transaction kept the rows locked that this needs");
        };
        let culprit = place.filter(|place| jobs[*place].callers() == 1).map(|place| jobs[place].keys());
        let keys = culprit.unwrap_or_else(|| keys_of(&jobs));
        if keys.len() == 1 {
            late.quarantine(&keys);
        }
        self.defer(jobs, How { alone: true, ..how });
    }

    /// Leaves jobs to the slow lane, unless they now belong to another writer.
    fn defer(&self, jobs: Jobs, how: How) {
        if jobs.is_empty() || !self.attempt.is_mine() {
            return;
        }
        match &self.crew.late {
            Some(late) => late.defer(jobs, how),
            None => refuse_all(jobs, "another transaction kept the rows locked that this needs"),
        }
    }
}
