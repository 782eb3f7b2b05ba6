//! The jobs in a writer's queue.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::db::DbConnection;
use crate::error::{Error, Result};

/// A command that many callers send at once, in the same form, so that a batch of them can be one
/// statement.
pub trait SetCommand: Send + Sync + Sized + 'static {
    /// The result of one command.
    type Answer: Send + 'static;

    /// Returns the number of the writer that runs it, modulo the number of writers. Commands that
    /// lock the same rows return the same number.
    fn shard(&self) -> usize;

    /// Runs all commands in this order, and returns an answer for each. `None` means that another
    /// transaction has locked the command's rows: the command wrote nothing and is run again later.
    /// An error fails all commands, which are then run again one by one. With `again`, an earlier
    /// COMMIT of these commands had an unknown outcome, so they are looked up first.
    ///
    /// # Errors
    /// A database error. A rejection is an `Answer`.
    fn run(conn: &mut DbConnection, commands: &[&Self], again: bool) -> Result<Vec<Option<Self::Answer>>>;

    /// Returns whether `run` sends PostgreSQL these commands as one statement and nothing else.
    /// That statement then is the whole transaction.
    fn is_one_statement(commands: &[&Self]) -> bool;
}

/// Identifies jobs that lock the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    User(i64),
    Shard(usize),
}

/// A job with its caller. It keeps its outcome until the writer reports whether that was committed.
pub(super) trait Queued: Any + Send {
    /// Returns the users whose rows it changes.
    fn scope(&self) -> &[i64];

    /// Returns the rows that it locks, as far as known.
    fn keys(&self) -> Vec<Key>;

    /// Returns when the first of its callers sent it.
    fn since(&self) -> Instant;

    /// Drops closed callers: they were told that nothing is confirmed, so work that has not run for
    /// them should not run. Returns whether any callers are left.
    fn drop_closed(&mut self) -> bool;

    /// Runs it, inside the writer's transaction.
    fn run(&mut self, conn: &mut DbConnection, again: bool) -> Result<()>;

    /// Returns whether it is a set of commands, which locks the rows that it changes itself.
    fn is_set(&self) -> bool;

    /// Returns whether it sends PostgreSQL one statement and nothing else.
    fn is_one_statement(&self) -> bool;

    /// Adds `other` to this job if both are commands of the same set. Otherwise returns it.
    fn absorb(&mut self, other: Box<dyn Queued>) -> Option<Box<dyn Queued>>;

    /// Returns one job for each caller in it.
    fn split(self: Box<Self>) -> Vec<Box<dyn Queued>>;

    /// Returns the number of its callers.
    fn callers(&self) -> usize;

    /// Returns the same job for the same callers, for another writer to run if this one hangs. Each
    /// caller gets only the first result.
    fn twin(&self) -> Box<dyn Queued>;

    /// Sends the callers the result of the last run. Call it only after COMMIT. Returns the
    /// commands whose rows were locked.
    fn answer(self: Box<Self>) -> Option<Box<dyn Queued>>;

    /// Sends the callers an error instead.
    fn refuse(self: Box<Self>, error: Error);
}

/// A call of the writer: the work, and the caller who waits for its outcome. A job and its twin
/// share it.
struct Call<W, T> {
    scope: Vec<i64>,
    work: W,
    since: Instant,
    reply: Mutex<Option<oneshot::Sender<Result<T>>>>,
}

impl<W, T> Call<W, T> {
    fn new(scope: Vec<i64>, work: W, reply: oneshot::Sender<Result<T>>) -> Arc<Self> {
        Arc::new(Call { scope, work, since: Instant::now(), reply: Mutex::new(Some(reply)) })
    }

    fn is_waiting(&self) -> bool {
        self.reply().as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// Sends the outcome. If the caller has left, it is dropped.
    fn send(&self, outcome: Result<T>) {
        if let Some(reply) = self.reply().take() {
            let _ = reply.send(outcome);
        }
    }

    fn reply(&self) -> MutexGuard<'_, Option<oneshot::Sender<Result<T>>>> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Job<T, F> {
    call: Arc<Call<F, T>>,
    outcome: Option<T>,
}

impl<T, F> Job<T, F> {
    pub(super) fn new(scope: Vec<i64>, job: F, reply: oneshot::Sender<Result<T>>) -> Self {
        Job { call: Call::new(scope, job, reply), outcome: None }
    }
}

impl<T, F> Queued for Job<T, F>
where
    T: Send + 'static,
    F: Fn(&mut DbConnection) -> Result<T> + Send + Sync + 'static,
{
    fn scope(&self) -> &[i64] {
        &self.call.scope
    }

    fn keys(&self) -> Vec<Key> {
        self.call.scope.iter().copied().map(Key::User).collect()
    }

    fn since(&self) -> Instant {
        self.call.since
    }

    fn drop_closed(&mut self) -> bool {
        self.call.is_waiting()
    }

    fn run(&mut self, conn: &mut DbConnection, _again: bool) -> Result<()> {
        self.outcome = None;
        self.outcome = Some((self.call.work)(conn)?);
        Ok(())
    }

    fn is_set(&self) -> bool {
        false
    }

    fn is_one_statement(&self) -> bool {
        false
    }

    fn absorb(&mut self, other: Box<dyn Queued>) -> Option<Box<dyn Queued>> {
        Some(other)
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Queued>> {
        vec![self]
    }

    fn callers(&self) -> usize {
        1
    }

    fn twin(&self) -> Box<dyn Queued> {
        Box::new(Job { call: self.call.clone(), outcome: None })
    }

    fn answer(self: Box<Self>) -> Option<Box<dyn Queued>> {
        self.call.send(self.outcome.ok_or_else(no_outcome));
        None
    }

    fn refuse(self: Box<Self>, error: Error) {
        self.call.send(Err(error));
    }
}

/// Commands of one kind, each with its caller.
pub(super) struct SetJob<C: SetCommand> {
    calls: Vec<Arc<Call<C, C::Answer>>>,
    outcomes: Vec<Option<C::Answer>>,
}

impl<C: SetCommand> SetJob<C> {
    pub(super) fn new(command: C, reply: oneshot::Sender<Result<C::Answer>>) -> Self {
        SetJob::of(vec![Call::new(Vec::new(), command, reply)])
    }

    fn of(calls: Vec<Arc<Call<C, C::Answer>>>) -> Self {
        SetJob { calls, outcomes: Vec::new() }
    }

    fn commands(&self) -> Vec<&C> {
        self.calls.iter().map(|call| &call.work).collect()
    }
}

impl<C: SetCommand> Queued for SetJob<C> {
    fn scope(&self) -> &[i64] {
        &[]
    }

    fn keys(&self) -> Vec<Key> {
        self.calls.iter().map(|call| Key::Shard(call.work.shard())).collect()
    }

    fn since(&self) -> Instant {
        self.calls.iter().map(|call| call.since).min().unwrap_or_else(Instant::now)
    }

    fn is_set(&self) -> bool {
        true
    }

    fn is_one_statement(&self) -> bool {
        C::is_one_statement(&self.commands())
    }

    fn drop_closed(&mut self) -> bool {
        self.calls.retain(|call| call.is_waiting());
        !self.calls.is_empty()
    }

    fn run(&mut self, conn: &mut DbConnection, again: bool) -> Result<()> {
        self.outcomes.clear();
        self.outcomes = C::run(conn, &self.commands(), again)?;
        if self.outcomes.len() != self.calls.len() {
            return Err(Error::Internal("a set of commands gave the wrong number of answers".to_owned()));
        }
        Ok(())
    }

    fn absorb(&mut self, other: Box<dyn Queued>) -> Option<Box<dyn Queued>> {
        if !(other.as_ref() as &dyn Any).is::<Self>() {
            return Some(other);
        }
        if let Ok(other) = (other as Box<dyn Any>).downcast::<Self>() {
            self.calls.extend(other.calls);
        }
        None
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Queued>> {
        let single = |call| Box::new(SetJob::of(vec![call])) as Box<dyn Queued>;
        self.calls.into_iter().map(single).collect()
    }

    fn callers(&self) -> usize {
        self.calls.len()
    }

    fn twin(&self) -> Box<dyn Queued> {
        Box::new(SetJob::of(self.calls.clone()))
    }

    fn answer(self: Box<Self>) -> Option<Box<dyn Queued>> {
        let mut outcomes = self.outcomes.into_iter();
        let mut locked = Vec::new();
        for call in self.calls {
            match outcomes.next() {
                Some(Some(outcome)) => call.send(Ok(outcome)),
                Some(None) => locked.push(call),
                None => call.send(Err(no_outcome())),
            }
        }
        (!locked.is_empty()).then(|| Box::new(SetJob::of(locked)) as Box<dyn Queued>)
    }

    fn refuse(self: Box<Self>, error: Error) {
        let text = error.to_string();
        let mut first = Some(error);
        for call in self.calls {
            call.send(Err(first.take().unwrap_or_else(|| Error::Unavailable(text.clone()))));
        }
    }
}

fn no_outcome() -> Error {
    Error::Internal("a job was answered before it ran".to_owned())
}
