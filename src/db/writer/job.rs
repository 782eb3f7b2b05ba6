//! What waits in a writer's queue.

use std::any::Any;
use std::mem::take;

use tokio::sync::oneshot;

use crate::db::DbConnection;
use crate::error::{Error, Result};

/// A command that many callers give at once, with the same shape, so that a batch of them can be one statement.
pub trait SetCommand: Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    /// Which writer takes it, modulo their number: commands that touch the same rows should go to the same one.
    fn shard(&self) -> usize;

    /// Runs all commands, in this order, and answers each. An error fails them all; they are then run again one
    /// by one. `again`: an earlier COMMIT of this very command had an unknown outcome, so look first whether it
    /// was done.
    ///
    /// # Errors
    /// A database error; a refusal is an `Answer`.
    fn run(conn: &mut DbConnection, commands: &[&Self], again: bool) -> Result<Vec<Self::Answer>>;
}

/// A job with its caller. It keeps its outcome until the writer says whether that was committed.
pub(super) trait Queued: Any + Send {
    /// The users whose rows it changes.
    fn scope(&self) -> &[i64];

    /// Lets go of callers who no longer wait: they were told that nothing is confirmed, and what has not run for them
    /// should not. Answers whether anybody is left.
    fn keep_waiting(&mut self) -> bool;

    /// Runs it, inside the writer's transaction.
    fn run(&mut self, conn: &mut DbConnection, again: bool) -> Result<()>;

    /// Whether it is a set of commands, which locks the rows that it changes itself.
    fn is_set(&self) -> bool;

    /// Takes in `other` if both are commands of the same set, else gives it back.
    fn absorb(&mut self, other: Box<dyn Queued>) -> Option<Box<dyn Queued>>;

    /// One job for each caller in it.
    fn split(self: Box<Self>) -> Vec<Box<dyn Queued>>;

    /// How many callers are in it.
    fn callers(&self) -> usize;

    /// Tells the caller what the last run gave. Only after COMMIT.
    fn answer(self: Box<Self>);

    /// Tells the caller an error instead.
    fn refuse(self: Box<Self>, error: Error);
}

pub(super) struct Job<T, F> {
    scope: Vec<i64>,
    job: F,
    reply: oneshot::Sender<Result<T>>,
    outcome: Option<T>,
}

impl<T, F> Job<T, F> {
    pub(super) fn new(scope: Vec<i64>, job: F, reply: oneshot::Sender<Result<T>>) -> Self {
        Job { scope, job, reply, outcome: None }
    }
}

impl<T, F> Queued for Job<T, F>
where
    T: Send + 'static,
    F: Fn(&mut DbConnection) -> Result<T> + Send + 'static,
{
    fn scope(&self) -> &[i64] {
        &self.scope
    }

    fn keep_waiting(&mut self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, conn: &mut DbConnection, _again: bool) -> Result<()> {
        self.outcome = None;
        self.outcome = Some((self.job)(conn)?);
        Ok(())
    }

    fn is_set(&self) -> bool {
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

    fn answer(self: Box<Self>) {
        // A caller that has gone away is no longer interested: nothing is lost with the answer.
        let _ = self.reply.send(self.outcome.ok_or_else(no_outcome));
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

/// Commands of one kind, each with its caller.
pub(super) struct SetJob<C: SetCommand> {
    commands: Vec<C>,
    replies: Vec<oneshot::Sender<Result<C::Answer>>>,
    outcomes: Vec<C::Answer>,
}

impl<C: SetCommand> SetJob<C> {
    pub(super) fn new(command: C, reply: oneshot::Sender<Result<C::Answer>>) -> Self {
        SetJob { commands: vec![command], replies: vec![reply], outcomes: Vec::new() }
    }
}

impl<C: SetCommand> Queued for SetJob<C> {
    fn scope(&self) -> &[i64] {
        &[]
    }

    fn is_set(&self) -> bool {
        true
    }

    fn keep_waiting(&mut self) -> bool {
        let pairs = take(&mut self.commands).into_iter().zip(take(&mut self.replies));
        (self.commands, self.replies) = pairs.filter(|(_, reply)| !reply.is_closed()).unzip();
        !self.commands.is_empty()
    }

    fn run(&mut self, conn: &mut DbConnection, again: bool) -> Result<()> {
        self.outcomes.clear();
        let commands: Vec<&C> = self.commands.iter().collect();
        self.outcomes = C::run(conn, &commands, again)?;
        if self.outcomes.len() != commands.len() {
            return Err(Error::Internal("a set of commands gave the wrong number of answers".to_owned()));
        }
        Ok(())
    }

    fn absorb(&mut self, other: Box<dyn Queued>) -> Option<Box<dyn Queued>> {
        if !(other.as_ref() as &dyn Any).is::<Self>() {
            return Some(other);
        }
        if let Ok(other) = (other as Box<dyn Any>).downcast::<Self>() {
            self.commands.extend(other.commands);
            self.replies.extend(other.replies);
        }
        None
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Queued>> {
        let pairs = self.commands.into_iter().zip(self.replies);
        pairs.map(|(command, reply)| Box::new(SetJob::new(command, reply)) as Box<dyn Queued>).collect()
    }

    fn callers(&self) -> usize {
        self.commands.len()
    }

    fn answer(self: Box<Self>) {
        let mut outcomes = self.outcomes.into_iter();
        for reply in self.replies {
            let _ = reply.send(outcomes.next().ok_or_else(no_outcome));
        }
    }

    fn refuse(self: Box<Self>, error: Error) {
        let text = error.to_string();
        let mut first = Some(error);
        for reply in self.replies {
            let _ = reply.send(Err(first.take().unwrap_or_else(|| Error::Unavailable(text.clone()))));
        }
    }
}

fn no_outcome() -> Error {
    Error::Internal("a job was answered before it ran".to_owned())
}
