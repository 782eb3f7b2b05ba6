//! A pooled connection for a few reads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::DbConnection;
use super::connection::is_disconnect;
use super::connector::Connector;
use crate::error::{Error, Result};

pub(super) type Pool = r2d2::Pool<Connector>;

/// A connection for a few reads, replaced if it turns out to be dead.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    session: Option<r2d2::PooledConnection<Connector>>,
    /// Why there is no connection. The next reads then do not wait for one again.
    none: Option<String>,
}

impl<'a> Lease<'a> {
    pub(super) fn new(pool: &'a Pool) -> Lease<'a> {
        Lease { pool, session: None, none: None }
    }

    /// Takes a connection if one is free now. Otherwise returns `None`.
    pub(super) fn at_once(pool: &'a Pool) -> Option<Lease<'a>> {
        Some(Lease { pool, session: Some(pool.try_get()?), none: None })
    }

    /// Runs a read. If the connection turns out to be dead (PostgreSQL was restarted), or to read a
    /// wrong index, it is dropped and the read runs again. All idle connections may be dead, so
    /// they are tried one after the other.
    pub(super) fn read<T>(&mut self, job: &impl Fn(&mut DbConnection) -> Result<T>) -> Result<T> {
        for _ in 0..self.pool.max_size() {
            match self.attempt(job) {
                Err(Error::Database(error)) if is_disconnect(&error) => {}
                Err(Error::IndexWrong) => {}
                outcome => return outcome,
            }
        }
        self.attempt(job)
    }

    fn attempt<T>(&mut self, job: &impl Fn(&mut DbConnection) -> Result<T>) -> Result<T> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.connection()?,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| job(session.connection())))
            .unwrap_or_else(|_| Err(Error::Internal("a read panicked".to_owned())));
        match &outcome {
            Err(Error::Database(_) | Error::Internal(_) | Error::IndexWrong) => {
                session.mark_broken();
                outcome.map_err(|error| session.explain(error))
            }
            _ => {
                self.session = Some(session);
                outcome
            }
        }
    }

    fn connection(&mut self) -> Result<r2d2::PooledConnection<Connector>> {
        if let Some(why) = &self.none {
            return Err(Error::Unavailable(why.clone()));
        }
        self.pool.get().map_err(|error| {
            let why = format!("no read connection: {error}");
            self.none = Some(why.clone());
            Error::Unavailable(why)
        })
    }
}
