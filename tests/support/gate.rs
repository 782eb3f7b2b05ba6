//! A gate that stops transactions on PostgreSQL at their COMMIT, so that a test can inspect the
//! state at that moment.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use tollgate::db::DbConnection;

use super::ledger::{Ledger, count};
use super::wait;

const PATIENCE: Duration = Duration::from_secs(20);

/// Each transaction that has written a ledger entry waits at COMMIT for a lock that this connection
/// holds. A deferred trigger is the first thing that a COMMIT runs.
const SET_UP: &str = "
    CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4711);
        RETURN NULL;
    END;
    $$;
    CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait_at_gate();
    SELECT pg_advisory_lock(4711)";

pub struct Gate {
    keeper: DbConnection,
}

impl Ledger {
    /// Closes the gate. A job that waits at it for too long reaches the writers' `lock_timeout`.
    pub fn gate(&self) -> Gate {
        let mut keeper = self.raw();
        keeper.batch_execute(SET_UP).unwrap();
        Gate { keeper }
    }
}

impl Gate {
    /// Waits until this number of transactions are in COMMIT.
    pub fn wait_for_commits(&mut self, wanted: i64) {
        self.wait_for(wanted, "locktype = 'advisory'");
    }

    fn wait_for(&mut self, wanted: i64, which: &str) {
        let query = format!(
            "SELECT count(*) AS n FROM pg_locks JOIN pg_stat_activity USING (pid)
             WHERE NOT granted AND datname = current_database() AND {which}"
        );
        wait::until(which, PATIENCE, || (count(&mut self.keeper, &query) >= wanted).then_some(()));
    }

    /// Opens the gate for all transactions, present and future.
    pub fn open(mut self) {
        self.keeper.batch_execute("SELECT pg_advisory_unlock(4711)").unwrap();
    }
}
