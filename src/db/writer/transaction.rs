//! The statements around a batch: BEGIN, the locks, COMMIT, and the errors by which PostgreSQL ends
//! a transaction in favour of another.

use diesel::connection::{AnsiTransactionManager, Connection, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::BigInt;

use crate::db::connection::is_disconnect;
use crate::db::session::Session;
use crate::db::{DbConnection, IdsStatement};

pub(super) type Transactions = <DbConnection as Connection>::TransactionManager;

/// Why there is no transaction.
pub(super) enum NotBegun {
    /// The connection is dead. Another one may work.
    Disconnected(String),
    /// The connection must not be used again.
    Broken(String),
    /// The connection can still be used and may work later.
    NotNow(String),
}

impl NotBegun {
    pub(super) fn of(error: &DieselError) -> NotBegun {
        let why = error.to_string();
        if is_disconnect(error) { NotBegun::Disconnected(why) } else { NotBegun::Broken(why) }
    }
}

/// Begins a transaction. Fails if an SQLite file is not the one that was opened.
pub(super) fn begin_in(session: &mut Session) -> Result<(), NotBegun> {
    session.check().map_err(NotBegun::NotNow)?;
    loop {
        return match begin_on(session.connection()) {
            Ok(()) => {
                session.note_unlocked();
                Ok(())
            }
            Err(error) if session.is_locked(&error) => {
                if !session.is_locked_for_long() {
                    continue;
                }
                let why = "another program holds the write lock of the SQLite file: end it, or wait for it";
                Err(NotBegun::NotNow(why.to_owned()))
            }
            Err(error) => Err(NotBegun::of(&error)),
        };
    }
}

/// Begins a transaction. BEGIN IMMEDIATE takes SQLite's write lock at once, which `busy_timeout`
/// waits for. A transaction that reads first would fail at once, whatever the time-out, if another
/// process wrote in between.
fn begin_on(conn: &mut DbConnection) -> QueryResult<()> {
    match conn {
        DbConnection::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        conn @ DbConnection::Postgres(_) => Transactions::begin_transaction(conn),
    }
}

/// Locks the rows of all users that the jobs change, in the order of their ids, so that no two
/// transactions wait for each other in a circle. SQLite has one writer at a time and needs no such
/// lock.
pub fn lock_users(conn: &mut DbConnection, ids: Vec<i64>) -> QueryResult<()> {
    let DbConnection::Postgres(conn) = conn else { return Ok(()) };
    let ids = distinct(ids);
    if ids.is_empty() {
        return Ok(());
    }
    struct LockUsers;
    let lock = "SELECT id FROM users WHERE id = ANY(?) ORDER BY id FOR NO KEY UPDATE";
    IdsStatement::<LockUsers>::new(lock, &ids).execute(conn)?;
    Ok(())
}

/// Locks like [`lock_users`], but does not wait. Returns the users whose rows another transaction
/// has locked.
pub(super) fn locked_among(conn: &mut DbConnection, ids: Vec<i64>) -> QueryResult<Vec<i64>> {
    let DbConnection::Postgres(conn) = conn else { return Ok(Vec::new()) };
    let ids = distinct(ids);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    struct LockFreeUsers;
    let lock = "SELECT id FROM users WHERE id = ANY(?) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED";
    let free: Vec<i64> = IdsStatement::<LockFreeUsers, BigInt>::new(lock, &ids).load(conn)?;
    let missing: Vec<i64> = ids.into_iter().filter(|id| free.binary_search(id).is_err()).collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    // Some of the users may not exist.
    struct FindUsers;
    let find = "SELECT id FROM users WHERE id = ANY(?)";
    IdsStatement::<FindUsers, BigInt>::new(find, &missing).load(conn)
}

fn distinct(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Returns whether a statement hit a lock timeout. The transaction can be rolled back, and the
/// connection can still be used.
pub(super) fn is_lock_timeout(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            information.message() == "canceling statement due to lock timeout"
        }
        _ => false,
    }
}

/// Commits. If a statement has failed and its error was ignored, PostgreSQL treats COMMIT as
/// ROLLBACK and reports success. The SELECT, which is sent in the same message, then fails, so that
/// no caller is told of a success.
pub(super) fn commit_on(conn: &mut DbConnection) -> QueryResult<()> {
    match conn {
        conn @ DbConnection::Sqlite(_) => Transactions::commit_transaction(conn),
        DbConnection::Postgres(conn) => conn.batch_execute("SELECT 1; COMMIT"),
    }
}

/// Returns whether PostgreSQL undid a transaction in favour of another. A retry may well succeed.
pub(super) fn makes_way(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            information.message() == "deadlock detected"
        }
        _ => false,
    }
}
