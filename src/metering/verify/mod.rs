//! Proves that the balances are correct. It has its own SQL and shares no query with the code that
//! moves money.
//!
//! All checks read one snapshot, on a connection of their own. Each is one statement that returns a
//! row for each fault, so memory is bounded by the number of listed faults.

mod checks;

use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::{Db, DbConnection};
use crate::error::Result;

/// The most faults that are listed for one check. If there are more, only that is reported.
const LISTED: usize = 100;

/// The result of one check.
#[derive(Debug)]
pub struct Finding {
    /// The claim that was checked.
    pub claim: &'static str,
    /// What contradicts the claim. Empty if it is true.
    pub faults: Vec<Fault>,
    /// Whether there are more faults than are listed.
    pub more: bool,
}

/// One contradiction to a claim.
#[derive(Debug, QueryableByName)]
pub struct Fault {
    /// The faulty object: a user, a chat or a ledger entry.
    #[diesel(sql_type = Text)]
    pub subject: String,
    /// What is wrong with it.
    #[diesel(sql_type = Text)]
    pub fault: String,
}

/// Runs all checks on one snapshot. Blocks the thread.
///
/// # Errors
/// Fails only if there is no snapshot to read. A check that cannot run is a fault itself.
pub fn verify(db: &Db) -> Result<Vec<Finding>> {
    verify_but(db, None)
}

/// Runs all checks like [`verify`], for a database without a running server, where deadlines of
/// holds are not enforced.
///
/// # Errors
/// As for [`verify`].
pub fn verify_at_rest(db: &Db) -> Result<Vec<Finding>> {
    verify_but(db, Some(checks::NO_LATE_HOLD))
}

/// Runs all checks like [`verify_at_rest`] on a connection of the caller's, which has no open
/// transaction: for a copy that nobody changes.
///
/// # Errors
/// As for [`verify`].
pub fn verify_copy(conn: &mut DbConnection) -> Result<Vec<Finding>> {
    verify_on(conn, Some(checks::NO_LATE_HOLD))
}

fn verify_but(db: &Db, left_out: Option<&str>) -> Result<Vec<Finding>> {
    let mut conn = db.reader()?;
    verify_on(&mut conn, left_out)
}

fn verify_on(conn: &mut DbConnection, left_out: Option<&str>) -> Result<Vec<Finding>> {
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
    // A failed statement ends a transaction on PostgreSQL. The savepoint lets the other checks go
    // on.
    let found: QueryResult<Vec<Fault>> = conn.transaction(|conn| diesel::sql_query(&sql).load(conn));
    let mut faults = found.unwrap_or_else(|error| {
        vec![Fault { subject: "the check".to_owned(), fault: format!("could not be run: {error}") }]
    });
    let more = faults.len() > LISTED;
    faults.truncate(LISTED);
    Finding { claim: check.claim, faults, more }
}
