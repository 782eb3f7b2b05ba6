//! One transaction of a writer, on its connection, supervised by the watchdog.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use diesel::connection::TransactionManager;
use diesel::result::Error as DieselError;

use super::crew::Crew;
use super::fence::Fence;
use super::jobs::{Jobs, users_of};
use super::measures::WriterMeasures;
use super::pulse::Pulse;
use super::transaction::{
    NotBegun, Transactions, begin_in, commit_on, is_lock_timeout, lock_users, locked_among, makes_way,
};
use super::watch::{Handover, Watch};
use crate::db::DbConnection;
use crate::db::connection::is_disconnect;
use crate::db::connector::Connector;
use crate::db::session::Session;
use crate::db::tally;
use crate::error::{Error, Result};

/// Why a transaction failed.
pub(super) enum Failure {
    /// The job at this place failed by its own fault.
    Own(usize, Error),
    /// The job at this place panicked.
    Panicked(usize),
    /// PostgreSQL ended this transaction for a deadlock or a serialization failure.
    MakeWay,
    /// The job at this place (`None`: an unknown job) hit a lock timeout.
    Locked(Option<usize>),
    /// COMMIT was sent and its outcome is unknown.
    Unknown(String),
    /// Nothing was committed, and a retry would probably fail, too.
    Database(String),
    /// It took so long that the watchdog gave the batch to another writer.
    Abandoned,
}

impl Failure {
    pub(super) fn of(error: DieselError) -> Failure {
        if makes_way(&error) {
            Failure::MakeWay
        } else if is_lock_timeout(&error) {
            Failure::Locked(None)
        } else {
            Failure::Database(error.to_string())
        }
    }

    fn at(self, place: usize) -> Failure {
        if let Failure::Locked(_) = self { Failure::Locked(Some(place)) } else { self }
    }
}

/// A writer's connection and its supervision.
pub(super) struct Attempt {
    connector: Connector,
    session: Option<Session>,
    /// `None` on SQLite.
    watch: Option<Arc<Watch>>,
    pulse: Arc<Pulse>,
    measures: Arc<WriterMeasures>,
    fence: Arc<Fence>,
}

impl Attempt {
    pub(super) fn new(
        connector: Connector,
        watch: Option<Arc<Watch>>,
        pulse: Arc<Pulse>,
        crew: &Crew,
    ) -> Attempt {
        let (measures, fence) = (crew.measures.clone(), crew.fence.clone());
        Attempt { connector, session: None, watch, pulse, measures, fence }
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.connector.url.is_postgres()
    }

    pub(super) fn begin_batch(&self, batch: &Jobs) {
        if let Some(watch) = &self.watch {
            watch.hold(batch.iter().map(|job| job.twin()).collect());
        }
    }

    pub(super) fn end_batch(&self) {
        if let Some(watch) = &self.watch {
            watch.release();
        }
    }

    /// Returns whether the batch still belongs to this writer.
    pub(super) fn is_mine(&self) -> bool {
        self.watch.as_ref().is_none_or(|watch| watch.touch())
    }

    /// Takes over what another writer left: its jobs now belong to this writer, and its connection
    /// is ended. If that fails, it is ended before anything is looked up.
    pub(super) fn succeed(&mut self, left: &Handover) {
        self.begin_batch(&left.jobs);
        let Some(backend) = &left.backend else { return };
        self.fence.add(backend.clone());
        let connected = self.connect().and_then(|mut session| {
            let ended = self.fence.end_lost(session.connection());
            ended.map(|()| session).map_err(|error| error.to_string())
        });
        match connected {
            Ok(session) => self.session = Some(session),
            Err(why) => log::warn!("the hanging connection could not be ended: {why}"),
        }
    }

    /// Runs one transaction: BEGIN, `body`, COMMIT. Afterwards no transaction is open, whatever
    /// failed. With `again`, the jobs may have been done before.
    pub(super) fn transaction(
        &mut self,
        jobs: &mut Jobs,
        again: bool,
        body: impl FnOnce(&mut DbConnection, &mut Jobs, Option<&Watch>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        tally::reset();
        let outcome = self.try_transaction(jobs, again, body);
        self.measure(&outcome, jobs);
        self.ended(outcome)
    }

    /// Runs one job that is one statement on PostgreSQL, without BEGIN and COMMIT: a batch of
    /// charges waits once for an answer and not three times.
    pub(super) fn statement(&mut self, jobs: &mut Jobs) -> Result<(), Failure> {
        tally::reset();
        let outcome = self.try_statement(jobs);
        // The connection may have been closed while it was idle. The look-up counts what fails.
        if !matches!(outcome, Err(Failure::Unknown(_))) {
            self.measure(&outcome, jobs);
        }
        self.ended(outcome)
    }

    /// Tells whether another writer has taken over.
    fn ended(&self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        if outcome.is_ok() {
            self.pulse.beat();
        } else if !self.is_mine() {
            return Err(Failure::Abandoned);
        }
        outcome
    }

    fn measure(&self, outcome: &Result<(), Failure>, jobs: &Jobs) {
        match outcome {
            Ok(()) => {
                self.measures.batches.observe_number(jobs.iter().map(|job| job.callers()).sum());
                self.measures.totals.commit();
            }
            Err(Failure::Database(_) | Failure::Unknown(_)) => self.measures.failures.increment(),
            Err(_) => {}
        }
    }

    fn try_transaction(
        &mut self,
        jobs: &mut Jobs,
        again: bool,
        body: impl FnOnce(&mut DbConnection, &mut Jobs, Option<&Watch>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.is_mine() {
            return Err(Failure::Abandoned);
        }
        let guard = self.connector.guard();
        let _turn = guard.as_ref().map(|guard| guard.turns().write());
        let mut session = self.begin(again)?;
        // BEGIN may have waited for long, on SQLite for a lock. Callers who got a 503 meanwhile are
        // not charged.
        jobs.retain_mut(|job| job.drop_closed());
        let conn = session.connection();
        let mut ran = body(conn, jobs, self.watch.as_deref());
        // Another writer may have run the jobs by now, so this transaction would be rejected
        // anyway.
        if ran.is_ok() && !self.is_mine() {
            ran = Err(Failure::Abandoned);
        }
        if let Err(failure) = ran {
            // The connection is known to be usable only after a job's own failure, or a lock
            // timeout.
            let rolled_back = Transactions::rollback_transaction(conn).is_ok();
            if rolled_back && matches!(failure, Failure::Own(..) | Failure::Locked(_)) {
                self.session = Some(session);
            }
            return Err(match failure {
                Failure::Database(why) => Failure::Database(self.connector.advise(why)),
                failure => failure,
            });
        }
        let began = Instant::now();
        let committed = commit_on(conn);
        self.measures.commits.observe(began.elapsed());
        match committed {
            Ok(()) => {
                // If an SQLite file or log was moved, deleted or overwritten, the commit is lost.
                let is_there = session.check_commit();
                self.session = Some(session);
                is_there.map_err(Failure::Database)
            }
            // PostgreSQL reports this before it commits anything.
            Err(error) if makes_way(&error) => Err(Failure::MakeWay),
            // PostgreSQL also reports a lock timeout of a deferred trigger before it commits.
            Err(error) if is_lock_timeout(&error) => Err(Failure::Locked(None)),
            Err(error) => {
                // A transaction that can still be rolled back has not been committed.
                let rolled_back = Transactions::rollback_transaction(conn).is_ok();
                if self.is_postgres() && !rolled_back {
                    return Err(Failure::Unknown(error.to_string()));
                }
                Err(Failure::Database(format!("COMMIT failed: {error}")))
            }
        }
    }

    fn try_statement(&mut self, jobs: &mut Jobs) -> Result<(), Failure> {
        if !self.is_mine() {
            return Err(Failure::Abandoned);
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.connect().map_err(Failure::Database)?,
        };
        // To connect may have taken long. Another writer may have run the jobs, and callers who got
        // a 503 meanwhile are not charged.
        if !self.is_mine() {
            return Err(Failure::Abandoned);
        }
        jobs.retain_mut(|job| job.drop_closed());
        let Some(job) = jobs.first_mut() else {
            self.session = Some(session);
            return Ok(());
        };
        let began = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(session.connection(), false)));
        if !self.is_mine() {
            return Err(Failure::Abandoned);
        }
        let failure = match ran {
            Ok(Ok(())) => {
                self.measures.commits.observe(began.elapsed());
                self.session = Some(session);
                return Ok(());
            }
            // PostgreSQL has undone what it reports as failed. Of everything else, the outcome is
            // unknown.
            Ok(Err(error)) if error.is_constraint_violation() => Failure::Own(0, error),
            Ok(Err(Error::Database(error))) if is_reported(&error) => Failure::of(error).at(0),
            Ok(Err(error)) => Failure::Unknown(error.to_string()),
            Err(_) => Failure::Unknown("a job panicked".to_owned()),
        };
        match failure {
            Failure::Own(..) | Failure::Locked(_) => self.session = Some(session),
            // It may not even have arrived.
            Failure::Unknown(_) => session.backend.into_iter().for_each(|backend| self.fence.add(backend)),
            _ => {}
        }
        Err(failure)
    }

    /// Begins a transaction. With `again`, first ends the connections that were lost. If the last
    /// connection is gone, it opens a new one, which is safe because nothing has run yet.
    fn begin(&mut self, again: bool) -> Result<Session, Failure> {
        let mut kept = self.session.take();
        loop {
            let is_new = kept.is_none();
            let mut session = match kept.take() {
                Some(session) => session,
                None => self.connect().map_err(Failure::Database)?,
            };
            let fenced = if again { self.fence.end_lost(session.connection()) } else { Ok(()) };
            match fenced.map_err(|error| NotBegun::of(&error)).and_then(|()| begin_in(&mut session)) {
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

    fn connect(&self) -> Result<Session, String> {
        if let Some(watch) = &self.watch {
            watch.connecting(true);
        }
        let connected = self.connector.connect_with_reason();
        if let Some(watch) = &self.watch {
            watch.connecting(false);
            watch.connected_to(connected.as_ref().ok().and_then(|session| session.backend.clone()));
        }
        connected.map_err(|error| match error {
            Error::Unavailable(why) => why,
            error => error.to_string(),
        })
    }
}

/// Returns whether PostgreSQL itself reports an error of a statement, on a connection that still
/// works. Errors of libpq, of which only a whole message with a line feed exists, say nothing about
/// the statement.
fn is_reported(error: &DieselError) -> bool {
    let DieselError::DatabaseError(_, information) = error else { return false };
    !information.message().ends_with('\n') && !is_disconnect(error)
}

/// Locks the users of all jobs. Removes and returns the jobs whose user's row another transaction
/// has locked. With `waits`, it waits for those rows instead.
pub(super) fn set_aside(conn: &mut DbConnection, jobs: &mut Jobs, waits: bool) -> Result<Jobs, Failure> {
    let users = users_of(jobs);
    if waits {
        lock_users(conn, users).map_err(Failure::of)?;
        return Ok(Vec::new());
    }
    let locked = locked_among(conn, users).map_err(Failure::of)?;
    if locked.is_empty() {
        return Ok(Vec::new());
    }
    let (late, ready) = std::mem::take(jobs)
        .into_iter()
        .partition(|job| job.scope().iter().any(|user| locked.contains(user)));
    *jobs = ready;
    Ok(late)
}

pub(super) fn run_bare(
    conn: &mut DbConnection,
    jobs: &mut Jobs,
    again: bool,
    watch: Option<&Watch>,
) -> Result<(), Failure> {
    (0..jobs.len()).try_for_each(|place| run_one(conn, jobs, place, again, watch))
}

pub(super) fn run_one(
    conn: &mut DbConnection,
    jobs: &mut Jobs,
    place: usize,
    again: bool,
    watch: Option<&Watch>,
) -> Result<(), Failure> {
    let Some(job) = jobs.get_mut(place) else { return Ok(()) };
    let ran = catch_unwind(AssertUnwindSafe(|| job.run(conn, again)));
    if watch.is_some_and(|watch| !watch.touch()) {
        return Err(Failure::Abandoned);
    }
    match ran {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.is_constraint_violation() => Err(Failure::Own(place, error)),
        Ok(Err(Error::Database(error))) => Err(Failure::of(error).at(place)),
        Ok(Err(error)) => Err(Failure::Own(place, error)),
        Err(_) => Err(Failure::Panicked(place)),
    }
}
