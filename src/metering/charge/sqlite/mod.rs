//! Charges on SQLite. SQLite has one writer at a time, so nothing that a charge reads changes
//! before its COMMIT, and no other transaction can hold a lock.
//!
//! - [`single`]: one charge, in four statements;
//! - [`set`]: several charges, in few statements;
//! - [`rows`]: those statements.

mod rows;
mod set;
mod single;

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::replay::without_done;
use super::types::{Charge, Verdict};
use crate::db::DbConnection;
use crate::error::Result;

/// Runs the charges in order. With `again`, an earlier COMMIT may have done some of them, so they
/// are looked up first.
///
/// A single charge has statements of its own: the set needs two more, which only collect what
/// several charges have in common.
pub(super) fn run(conn: &mut DbConnection, charges: &[&Charge], again: bool) -> Result<Vec<Option<Verdict>>> {
    if let [charge] = charges {
        return Ok(vec![Some(single::run(conn, charge, again)?)]);
    }
    if again {
        return without_done(conn, charges, set::run);
    }
    set::run(conn, charges)
}

fn sqlite(conn: &mut DbConnection) -> QueryResult<&mut SqliteConnection> {
    match conn {
        DbConnection::Sqlite(conn) => Ok(conn),
        DbConnection::Postgres(_) => Err(DieselError::QueryBuilderError("this charge is for SQLite".into())),
    }
}
