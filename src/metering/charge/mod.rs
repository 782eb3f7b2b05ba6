//! The charge: finds the user who pays, debits the balance by one guarded statement, and writes the
//! chat and its ledger entry, all in one transaction. Nearly all writes are charges, so they are a
//! set command: a batch of them is one statement on PostgreSQL, and a few on SQLite.

mod postgres;
mod replay;
mod sqlite;
mod types;

pub use types::{Charge, Charged, Verdict};

use crate::db::{DbConnection, SetCommand};
use crate::error::Result;

impl SetCommand for Charge {
    type Answer = Verdict;

    /// Distributes charges by auth token. Nearly every user has one auth token in use, so this
    /// distributes them by user.
    fn shard(&self) -> usize {
        let bytes = self.auth_token.as_bytes().iter().take(size_of::<usize>());
        bytes.fold(0, |shard, byte| shard << 8 | usize::from(*byte))
    }

    fn run(conn: &mut DbConnection, charges: &[&Charge], again: bool) -> Result<Vec<Option<Verdict>>> {
        match conn {
            DbConnection::Postgres(_) => postgres::run(conn, charges, again),
            DbConnection::Sqlite(_) => sqlite::run(conn, charges, again),
        }
    }

    fn is_one_statement(charges: &[&Charge]) -> bool {
        postgres::is_one_statement(charges)
    }
}
