//! The proof that the money is right, with SQL of its own: it shares no query with the code that moves it.
//!
//! All checks read one snapshot, on a connection of their own. Each is one statement that gives what is wrong, a
//! row a fault, so memory is bounded by the faults that are listed.

mod checks;

use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::{Db, DbConnection};
use crate::error::Result;

/// Faults of one check that are listed; of further ones only that there are more.
const LISTED: usize = 100;

/// What one check found.
#[derive(Debug)]
pub struct Finding {
    /// What should be true.
    pub claim: &'static str,
    pub faults: Vec<Fault>,
    /// There are more faults than are listed.
    pub more: bool,
}

/// One thing that is wrong.
#[derive(Debug, QueryableByName)]
pub struct Fault {
    /// What is wrong: a user, a chat, a ledger entry.
    #[diesel(sql_type = Text)]
    pub subject: String,
    #[diesel(sql_type = Text)]
    pub fault: String,
}

/// Runs all checks on one snapshot. Blocks.
///
/// # Errors
/// Only when there is no snapshot to read. A check that cannot be run is a fault itself.
pub fn verify(db: &Db) -> Result<Vec<Finding>> {
    verify_but(db, None)
}

/// Like [`verify`], for a database without a server, where nobody enforces the deadlines of holds.
///
/// # Errors
/// As [`verify`].
pub fn verify_at_rest(db: &Db) -> Result<Vec<Finding>> {
    verify_but(db, Some(checks::NO_LATE_HOLD))
}

fn verify_but(db: &Db, left_out: Option<&str>) -> Result<Vec<Finding>> {
    let mut conn = db.reader()?;
    let conn: &mut DbConnection = &mut conn;
    match conn {
        DbConnection::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN")?,
        DbConnection::Postgres(conn) => {
            let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            AnsiTransactionManager::begin_transaction_sql(conn, snapshot)?;
        }
    }
    let checks: Vec<checks::Check> = match conn {
        DbConnection::Sqlite(_) => checks::COMMON.iter().chain(checks::SQLITE).copied().collect(),
        DbConnection::Postgres(_) => checks::COMMON.iter().chain(checks::POSTGRES).copied().collect(),
    };
    let wanted = checks.into_iter().filter(|check| left_out != Some(check.claim));
    let findings = wanted.map(|check| find(conn, check)).collect();
    <DbConnection as Connection>::TransactionManager::rollback_transaction(conn)?;
    Ok(findings)
}

fn find(conn: &mut DbConnection, check: checks::Check) -> Finding {
    let sql = format!("SELECT subject, fault FROM ({}) AS found LIMIT {}", check.sql, LISTED + 1);
    // A failed statement ends a transaction on PostgreSQL: the savepoint keeps the others going.
    let found: QueryResult<Vec<Fault>> = conn.transaction(|conn| diesel::sql_query(&sql).load(conn));
    let mut faults = found.unwrap_or_else(|error| {
        vec![Fault { subject: "the check".to_owned(), fault: format!("could not be run: {error}") }]
    });
    let more = faults.len() > LISTED;
    faults.truncate(LISTED);
    Finding { claim: check.claim, faults, more }
}
