//! How a batch is run.
//!
//! A batch runs bare, without savepoints, as nearly every job succeeds or refuses without having written. What
//! happens when a job fails depends on whose doing it is:
//!
//! | what happened | the failing job | the others |
//! | --- | --- | --- |
//! | the job broke a constraint, or undid itself | gets its error | rolled back, then run again with a savepoint around each |
//! | the job panicked | 500 | rolled back, then each is run again by itself |
//! | deadlock or serialization failure (PostgreSQL) | run again by itself | run again by themselves |
//! | any other database error, even one that the job keeps to itself (PostgreSQL), or a savepoint that fails | 503 | 503 |
//! | COMMIT failed on PostgreSQL: outcome unknown | looked up, run again if absent | the same |
//! | COMMIT failed on SQLite: rolled back | 503 | 503 |
//!
//! In all rows but the first the connection is thrown away, as nobody knows what it is in the middle of: on a full
//! disk SQLite itself rolls back the whole transaction, and jobs that said ok are gone. Nobody is answered
//! before COMMIT has returned.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::connection::TransactionManager;
use diesel::result::Error as DieselError;

use super::job::Queued;
use super::transaction::{NotBegun, Transactions, begin_in, commit_on, lock_users, makes_way};
use crate::db::DbConnection;
use crate::db::connection::Connector;
use crate::db::session::Session;
use crate::error::{Error, Result};

type Jobs = Vec<Box<dyn Queued>>;

/// A writer: its connection, when it has one.
pub(super) struct Writer {
    connector: Connector,
    session: Option<Session>,
}

/// Why a transaction came to nothing.
enum Failure {
    /// The job at this place failed by its own doing.
    Own(usize, Error),
    /// The job at this place panicked.
    Panicked(usize),
    /// PostgreSQL chose this transaction to make way for another.
    MakeWay,
    /// COMMIT was sent and gave no clear answer.
    Unknown(String),
    /// Nothing was committed, and trying again would hardly help.
    Database(String),
}

impl Writer {
    pub(super) fn new(connector: Connector) -> Writer {
        Writer { connector, session: None }
    }

    /// Runs a batch and answers everybody in it.
    ///
    /// On PostgreSQL each set of commands gets a transaction of its own: it locks its users in the order of their
    /// ids, and together with the locks of other jobs that would be no order any more.
    pub(super) fn run(&mut self, batch: Jobs) {
        let jobs = grouped(waiting(batch));
        if !self.connector.url.is_postgres() {
            return self.run_together(jobs);
        }
        let (sets, others): (Jobs, Jobs) = jobs.into_iter().partition(|job| job.is_set());
        sets.into_iter().for_each(|set| self.run_together(vec![set]));
        if !others.is_empty() {
            self.run_together(others);
        }
    }

    fn run_together(&mut self, mut jobs: Jobs) {
        match self.transaction(&mut jobs, |conn, jobs| run_bare(conn, jobs, false)) {
            Ok(()) => answer(jobs),
            Err(Failure::Own(_, error)) if jobs.len() == 1 && jobs[0].callers() == 1 => {
                refuse_one(jobs, error)
            }
            Err(Failure::Own(..)) => self.run_with_savepoints(split(jobs)),
            Err(Failure::Panicked(place)) if jobs[place].callers() == 1 => {
                jobs.remove(place).refuse(Error::Internal("a job panicked".to_owned()));
                self.run_alone(split(jobs), false);
            }
            Err(Failure::Panicked(_) | Failure::MakeWay) => self.run_alone(split(jobs), false),
            Err(Failure::Unknown(why)) => {
                log::warn!("a COMMIT had an unknown outcome ({why}): looking up what was committed");
                self.run_alone(split(jobs), true);
            }
            Err(Failure::Database(why)) => refuse_all(jobs, &why),
        }
    }

    /// Runs each job inside a savepoint; a job that fails by its own doing is answered so and loses only itself.
    fn run_with_savepoints(&mut self, mut jobs: Jobs) {
        let mut failed: Vec<(usize, Error)> = Vec::new();
        let outcome = self.transaction(&mut jobs, |conn, jobs| {
            failed.clear();
            lock_users(conn, users_of(jobs)).map_err(database)?;
            for (place, job) in jobs.iter_mut().enumerate() {
                Transactions::begin_transaction(conn).map_err(database)?;
                match run_one(conn, job, place, false) {
                    Ok(()) => Transactions::commit_transaction(conn).map_err(database)?,
                    Err(Failure::Own(place, error)) => {
                        Transactions::rollback_transaction(conn).map_err(database)?;
                        failed.push((place, error));
                    }
                    Err(failure) => return Err(failure),
                }
            }
            Ok(())
        });
        match outcome {
            Ok(()) => {
                for (place, error) in failed.into_iter().rev() {
                    jobs.remove(place).refuse(error);
                }
                answer(jobs);
            }
            Err(Failure::Unknown(_)) => self.run_alone(jobs, true),
            Err(Failure::Own(..) | Failure::Panicked(_) | Failure::MakeWay) => self.run_alone(jobs, false),
            Err(Failure::Database(why)) => refuse_all(jobs, &why),
        }
    }

    /// Runs each job in a transaction of its own, until the database itself fails: then the rest is refused.
    fn run_alone(&mut self, jobs: Jobs, again: bool) {
        let mut broken: Option<String> = None;
        // What may be committed already has to be looked up, whoever waits.
        for job in if again { jobs } else { waiting(jobs) } {
            match &broken {
                Some(why) => refuse_all(vec![job], why),
                None => broken = self.run_single(job, again),
            }
        }
    }

    /// Answers why the database failed, if it did.
    fn run_single(&mut self, job: Box<dyn Queued>, again: bool) -> Option<String> {
        let mut jobs = vec![job];
        let mut tries_left = 2;
        loop {
            tries_left -= 1;
            match self.transaction(&mut jobs, |conn, jobs| run_bare(conn, jobs, again)) {
                Ok(()) => answer(jobs),
                // The first try may have waited for, and then lost to, the very commit that was in doubt: then a
                // second look finds what the job has already done.
                Err(Failure::Own(..)) if again && tries_left > 0 => continue,
                Err(Failure::MakeWay) if tries_left > 0 => continue,
                Err(Failure::Own(_, error)) => refuse_one(jobs, error),
                Err(Failure::Panicked(_)) => refuse_one(jobs, Error::Internal("a job panicked".to_owned())),
                Err(Failure::MakeWay) => {
                    refuse_all(jobs, "PostgreSQL let other transactions go first, twice")
                }
                Err(Failure::Unknown(why) | Failure::Database(why)) => {
                    refuse_all(jobs, &why);
                    return Some(why);
                }
            }
            return None;
        }
    }

    /// One transaction: BEGIN, `body`, COMMIT. Whatever went wrong, there is no transaction open afterwards.
    fn transaction(
        &mut self,
        jobs: &mut Jobs,
        body: impl FnOnce(&mut DbConnection, &mut Jobs) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut session = self.begin()?;
        let conn = session.connection();
        if let Err(failure) = body(conn, jobs) {
            // Only after a job's own failure is the connection known to be sound.
            let rolled_back = Transactions::rollback_transaction(conn).is_ok();
            if rolled_back && matches!(failure, Failure::Own(..)) {
                self.session = Some(session);
            }
            return Err(match failure {
                Failure::Database(why) => Failure::Database(self.connector.advise(why)),
                failure => failure,
            });
        }
        match commit_on(conn) {
            Ok(()) => {
                // An SQLite file or log that was moved, deleted or overwritten has lost what was committed.
                let is_there = session.check_commit();
                self.session = Some(session);
                is_there.map_err(Failure::Database)
            }
            // PostgreSQL says so before it commits anything.
            Err(error) if makes_way(&error) => Err(Failure::MakeWay),
            Err(error) => {
                // A transaction that can still be rolled back has not been committed.
                let rolled_back = Transactions::rollback_transaction(conn).is_ok();
                if self.connector.url.is_postgres() && !rolled_back {
                    return Err(Failure::Unknown(error.to_string()));
                }
                Err(Failure::Database(format!("COMMIT failed: {error}")))
            }
        }
    }

    /// Begins a transaction, on a new connection if the last one is gone: nothing has run yet, so that is safe.
    fn begin(&mut self) -> Result<Session, Failure> {
        let mut kept = self.session.take();
        loop {
            let is_new = kept.is_none();
            let mut session = match kept.take() {
                Some(session) => session,
                None => self.connector.connect_with_reason().map_err(|error| match error {
                    Error::Unavailable(why) => Failure::Database(why),
                    error => Failure::Database(error.to_string()),
                })?,
            };
            match begin_in(&mut session) {
                Ok(()) => return Ok(session),
                Err(NotBegun::Disconnected(why)) if !is_new => {
                    log::info!("the database closed a connection: {why}")
                }
                Err(NotBegun::Disconnected(why) | NotBegun::Broken(why)) => {
                    return Err(Failure::Database(format!("BEGIN failed: {why}")));
                }
                Err(NotBegun::NotNow(why)) => {
                    self.session = Some(session);
                    return Err(Failure::Database(why));
                }
            }
        }
    }
}

fn run_bare(conn: &mut DbConnection, jobs: &mut Jobs, again: bool) -> Result<(), Failure> {
    lock_users(conn, users_of(jobs)).map_err(database)?;
    jobs.iter_mut().enumerate().try_for_each(|(place, job)| run_one(conn, job, place, again))
}

fn run_one(
    conn: &mut DbConnection,
    job: &mut Box<dyn Queued>,
    place: usize,
    again: bool,
) -> Result<(), Failure> {
    match catch_unwind(AssertUnwindSafe(|| job.run(conn, again))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.is_constraint_violation() => Err(Failure::Own(place, error)),
        Ok(Err(Error::Database(error))) => Err(database(error)),
        Ok(Err(error)) => Err(Failure::Own(place, error)),
        Err(_) => Err(Failure::Panicked(place)),
    }
}

fn users_of(jobs: &Jobs) -> Vec<i64> {
    jobs.iter().flat_map(|job| job.scope()).copied().collect()
}

/// Without the jobs that nobody waits for any more: while the database hung, their callers were told 503.
fn waiting(jobs: Jobs) -> Jobs {
    jobs.into_iter().filter_map(|mut job| job.keep_waiting().then_some(job)).collect()
}

/// Commands of one set become one job.
fn grouped(batch: Jobs) -> Jobs {
    let mut jobs: Jobs = Vec::new();
    for job in batch {
        let left_over = jobs.iter_mut().try_fold(job, |job, group| group.absorb(job));
        jobs.extend(left_over);
    }
    jobs
}

fn split(jobs: Jobs) -> Jobs {
    jobs.into_iter().flat_map(|job| job.split()).collect()
}

fn answer(jobs: Jobs) {
    jobs.into_iter().for_each(|job| job.answer());
}

fn refuse_one(jobs: Jobs, error: Error) {
    let mut error = Some(error);
    for job in jobs {
        job.refuse(error.take().unwrap_or_else(|| Error::Internal("one error for several jobs".to_owned())));
    }
}

fn refuse_all(jobs: Jobs, why: &str) {
    for job in split(jobs) {
        job.refuse(Error::Unavailable(why.to_owned()));
    }
}

fn database(error: DieselError) -> Failure {
    if makes_way(&error) { Failure::MakeWay } else { Failure::Database(error.to_string()) }
}
