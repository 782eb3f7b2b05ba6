//! Sets up PostgreSQL connections, and ends those that hang.
//!
//! Each connection has limits on both sides. A peer that vanishes silently is detected after
//! seconds, not hours. The server ends a transaction whose node has vanished, so that its locks
//! delay others only briefly.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Text, Timestamp};

use super::DbConnection;
use super::connection::Purpose;

/// How long a writer may make no progress within a batch before its connection counts as hanging.
/// The server ends a transaction that has been idle for this time.
pub const HANGS_AFTER: Duration = Duration::from_millis(1500);

/// How long the first steps with a database may take: connecting, perhaps to several hosts, and
/// short queries.
const FIRST_STEPS: Duration = Duration::from_secs(25);

/// Runs the first steps with a database, so that a start ends even if PostgreSQL, or a proxy in
/// front of it, accepts the connection and never responds. (The time limits of libpq end with the
/// handshake.)
///
/// # Errors
/// Fails with advice if it took too long. The thread is then left running.
pub(super) fn in_time<T: Send + 'static>(steps: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    within(FIRST_STEPS, steps)?.ok_or_else(|| {
        format!(
            "PostgreSQL, or a proxy in front of it, accepts connections and has not responded for {} s: \
             check that it is running and that nothing on the way holds its messages back",
            FIRST_STEPS.as_secs()
        )
    })
}

/// Runs steps on a thread of their own. Returns `None` if they take longer than `limit`. The thread
/// is then left running.
///
/// # Errors
/// Fails if no thread can be started.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    steps: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, String> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name("first-steps".to_owned()).spawn(move || sender.send(steps()));
    thread.map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok(receiver.recv_timeout(limit).ok())
}

/// The server's side of a connection.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub(super) struct Backend {
    #[diesel(sql_type = Integer)]
    pub(super) pid: i32,
    /// When the process started, which distinguishes it from a later process with the same number.
    #[diesel(sql_type = Text)]
    pub(super) started: String,
}

/// Connects and sets up the session.
///
/// # Errors
/// Fails with the reason, and advice if there is any.
pub(super) fn connect(url: &str, purpose: Purpose, patience: Duration) -> Result<PgConnection, String> {
    let mut connection =
        PgConnection::establish(&with_defaults(url, purpose)).map_err(|error| explain(error.to_string()))?;
    connection.batch_execute(&settings(purpose, patience)).map_err(|error| error.to_string())?;
    Ok(connection)
}

/// Connects to a database that need not be ours, for one long read.
///
/// # Errors
/// Fails with the reason, and advice if there is any.
pub fn connect_to_read(url: &str) -> Result<PgConnection, String> {
    let url = url.to_owned();
    in_time(move || connect(&url, Purpose::Snapshot, HANGS_AFTER))?
}

/// Returns all settings of a session as one message.
fn settings(purpose: Purpose, patience: Duration) -> String {
    // A cluster may be configured to answer a COMMIT before it is on the disk, which is not safe
    // enough for money. Stronger settings (remote_apply) remain. Messages are in English if the
    // role may choose, as some errors are recognised by their text. The keepalives are the server's
    // own: they detect a client that has vanished.
    let common = "SET TIME ZONE 'UTC'; SET client_min_messages = warning;
        SET default_transaction_isolation = 'read committed';
        SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local');
        DO $$ BEGIN
            PERFORM set_config('lc_messages', 'C', false);
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END $$;
        SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;";
    let (idle, lock) = (patience.as_millis(), patience.as_millis() / 5);
    let own = match purpose {
        // Reads use indexes: compiling a query, or starting a process to help with it, would take
        // longer.
        Purpose::Read => {
            "SET default_transaction_read_only = on; SET statement_timeout = '5s';
             SET jit = off; SET max_parallel_workers_per_gather = 0"
                .to_owned()
        }
        // Plan a batch of charges once: planning it each time would take longer than running it.
        // That plan is kept while the tables grow, so it must not read a table because it was small
        // at the time: all that a writer reads has an index. A writer waits only briefly for a
        // lock, as a batch holds the locks of many users. It never pauses within a transaction.
        Purpose::Write => format!(
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off;
             SET lock_timeout = {lock}; SET statement_timeout = '5s'; SET tcp_user_timeout = 1500;
             SET idle_in_transaction_session_timeout = {idle}"
        ),
        Purpose::Bulk => format!(
            "SET jit = off; SET lock_timeout = '2s'; SET statement_timeout = '10s'; SET tcp_user_timeout = 1500;
             SET idle_in_transaction_session_timeout = {idle}"
        ),
        // What the index lost in a crash is read again. So its commits do not wait for the disk.
        Purpose::Index => format!(
            "SET jit = off; SET lock_timeout = '2s'; SET statement_timeout = '30s'; SET tcp_user_timeout = 1500;
             SET synchronous_commit = off; SET idle_in_transaction_session_timeout = {}",
            10 * idle
        ),
        Purpose::Snapshot | Purpose::Migrate | Purpose::Keep => "SET statement_timeout = 0".to_owned(),
    };
    format!("{common} {own}")
}

/// Adds limits and a name to the address, unless it sets its own. `connect_timeout` applies to each
/// host in the address.
fn with_defaults(url: &str, purpose: Purpose) -> String {
    let name = match purpose {
        Purpose::Read => "tollgate-reader",
        Purpose::Write => "tollgate-writer",
        Purpose::Bulk => "tollgate-bulk",
        Purpose::Index => "tollgate-index",
        Purpose::Snapshot | Purpose::Migrate | Purpose::Keep => "tollgate",
    };
    let mut url = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "3"),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "2"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "5000"),
        ("application_name", name),
    ] {
        if !url.contains(&format!("{name}=")) {
            let separator = if url.contains('?') { '&' } else { '?' };
            url.push_str(&format!("{separator}{name}={value}"));
        }
    }
    url
}

/// Adds advice for the operator to libpq's message.
fn explain(reason: String) -> String {
    if reason.contains("SSL support is not compiled in") {
        return format!(
            "{reason} (this binary was built without TLS to PostgreSQL: build it with --features pg-tls)"
        );
    }
    reason
}

/// Returns the server's side of this connection.
pub(super) fn backend(connection: &mut PgConnection) -> QueryResult<Backend> {
    let own = "SELECT pid, CAST(backend_start AS TEXT) AS started FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    diesel::sql_query(own).get_result(connection)
}

/// Ends connections from outside, and with each its transaction and its locks. Does not end one
/// that waits for a synchronous standby: that would make a commit visible that the standby does not
/// have. Returns the number of those that were still there.
pub(super) fn terminate(connection: &mut DbConnection, backends: &[Backend]) -> QueryResult<usize> {
    let DbConnection::Postgres(connection) = connection else { return Ok(0) };
    let end = "SELECT pg_terminate_backend(pid)
               FROM pg_stat_activity JOIN unnest($1, $2) AS ended (pid, started) USING (pid)
               WHERE CAST(backend_start AS TEXT) = started AND wait_event IS DISTINCT FROM 'SyncRep'";
    let (pids, starts): (Vec<i32>, Vec<&str>) =
        backends.iter().map(|backend| (backend.pid, backend.started.as_str())).unzip();
    diesel::sql_query(end).bind::<Array<Integer>, _>(pids).bind::<Array<Text>, _>(starts).execute(connection)
}

/// Work that only one node does at a time. Each kind has its own number among the advisory locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusive {
    /// Refunding holds past their deadline.
    Sweep,
    /// The bulk operation with this id.
    Bulk(i64),
}

/// The first key of our advisory locks: "toll" in ASCII.
const OURS: i32 = 0x746f_6c6c;

/// Prevents other nodes from doing the same work until the transaction ends. Returns `false` if
/// another node is doing it. (SQLite has one node.)
pub fn exclusive(connection: &mut DbConnection, work: Exclusive) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Taken {
        #[diesel(sql_type = Bool)]
        taken: bool,
    }
    let DbConnection::Postgres(connection) = connection else { return Ok(true) };
    let number = match work {
        Exclusive::Sweep => 0,
        Exclusive::Bulk(id) => i32::try_from(id % i64::from(i32::MAX)).unwrap_or(0) + 1,
    };
    let lock = diesel::sql_query("SELECT pg_try_advisory_xact_lock($1, $2) AS taken");
    let taken: Taken = lock.bind::<Integer, _>(OURS).bind::<Integer, _>(number).get_result(connection)?;
    Ok(taken.taken)
}

/// Returns the time of the database's clock, in UTC. Returns `None` on SQLite, which uses this
/// machine's clock.
pub fn clock_of(connection: &mut DbConnection) -> QueryResult<Option<NaiveDateTime>> {
    #[derive(QueryableByName)]
    struct Clock {
        #[diesel(sql_type = Timestamp)]
        now: NaiveDateTime,
    }
    let DbConnection::Postgres(connection) = connection else { return Ok(None) };
    let clock: Clock =
        diesel::sql_query("SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now").get_result(connection)?;
    Ok(Some(clock.now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_are_added_but_never_override() {
        let with_defaults = |url| with_defaults(url, Purpose::Read);
        let url = with_defaults("postgres://u@h/d?connect_timeout=60");
        assert!(url.starts_with("postgres://u@h/d?connect_timeout=60&keepalives_idle=5&"), "{url}");
        assert!(with_defaults("postgres://u@h/d").starts_with("postgres://u@h/d?connect_timeout=3&"));
    }
}
