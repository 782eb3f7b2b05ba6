//! Stops processes of PostgreSQL at a chosen moment, so that they hang.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Nullable, Text};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::TestDatabase;

/// The moment at which a server process is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Idle,
    InTransaction,
}

/// A stopped process. Dropping this resumes it.
pub struct Stopped {
    pid: i32,
    since: Instant,
}

impl Stopped {
    /// Stops a process of PostgreSQL that serves a connection with this name.
    pub fn backend(database: &TestDatabase, name: &str, moment: Moment) -> Stopped {
        let mut observer = PgConnection::establish(database.url()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            for pid in backends(&mut observer, name) {
                let stopped = Stopped::process(pid);
                // A transaction costs only itself. But within a statement, the process may hold a
                // lock of PostgreSQL's own, on a page or the whole cluster, which nobody can break.
                if others_can_write(database)
                    && state(&mut observer, pid) == Some(moment)
                    && !blocks_a_page(&mut observer)
                {
                    return stopped;
                }
                drop(stopped);
                std::thread::sleep(Duration::from_millis(7));
            }
        }
        panic!("no process of {name} was caught {moment:?}");
    }

    /// Stops the process with this number.
    pub fn process(pid: i32) -> Stopped {
        signal(pid, Signal::STOP);
        Stopped { pid, since: Instant::now() }
    }

    /// Returns for how long the process has been stopped.
    pub fn time(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal(self.pid, Signal::CONT);
    }
}

fn signal(pid: i32, signal: Signal) {
    // The process may have ended.
    let _ = kill_process(Pid::from_raw(pid).expect("a process has a number above zero"), signal);
}

#[derive(QueryableByName)]
struct Process {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = Integer)]
    pid: i32,
    #[diesel(sql_type = Text)]
    wait_event: String,
}

#[derive(QueryableByName)]
struct State {
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    username_canonical: String,
}

/// Returns the users whose rows one transaction keeps locked: those that are locked whenever they
/// are looked at. Others lock them only for moments. `None` if a stopped process keeps this from
/// looking, by a lock of PostgreSQL's own.
pub fn locked_users(database: &TestDatabase) -> Option<BTreeSet<String>> {
    let mut observer = PgConnection::establish(database.url()).unwrap();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut names = |query: &str| -> BTreeSet<String> {
            let found: Vec<Name> = diesel::sql_query(query).load(&mut observer).unwrap();
            found.into_iter().map(|name| name.username_canonical).collect()
        };
        let mut locked = names("SELECT username_canonical FROM users");
        for _ in 0..40 {
            let free = names("SELECT username_canonical FROM users FOR UPDATE SKIP LOCKED");
            locked.retain(|name| !free.contains(name));
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = send.send(locked);
    });
    receive.recv_timeout(Duration::from_secs(5)).ok()
}

/// Returns the processes that serve connections with this name.
pub fn backends(observer: &mut PgConnection, name: &str) -> Vec<i32> {
    let query = format!(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = '{name}' ORDER BY backend_start"
    );
    let found: Vec<Process> = diesel::sql_query(query).load(observer).unwrap();
    found.into_iter().map(|process| process.pid).collect()
}

/// Returns the moment that a process is in, if it is one of [`Moment`].
fn state(observer: &mut PgConnection, pid: i32) -> Option<Moment> {
    // A batch of charges is one statement, so most transactions are never idle. One with a number
    // has written something.
    let query = format!(
        "SELECT CASE WHEN backend_xid IS NOT NULL THEN 'in transaction' ELSE state END AS state
         FROM pg_stat_activity WHERE pid = {pid}"
    );
    let row: Option<State> = diesel::sql_query(query).get_result(observer).optional().unwrap();
    match row?.state?.as_str() {
        "idle" => Some(Moment::Idle),
        "in transaction" => Some(Moment::InTransaction),
        _ => None,
    }
}

/// Returns whether a process of this database waits for an internal lock and does not get it. While
/// users chat, somebody needs each lock several times within the time that this takes.
fn blocks_a_page(observer: &mut PgConnection) -> bool {
    let query = "SELECT pid, wait_event FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type IN ('LWLock', 'BufferPin')";
    let mut waiting: BTreeMap<(i32, String), usize> = BTreeMap::new();
    let until = Instant::now() + Duration::from_millis(700);
    while Instant::now() < until {
        let found: Vec<Waiting> = diesel::sql_query(query).load(observer).unwrap();
        let count = |found: Waiting| {
            let key = (found.pid, found.wait_event);
            let times = waiting.get(&key).unwrap_or(&0) + 1;
            (key, times)
        };
        waiting = found.into_iter().map(count).collect();
        if waiting.values().any(|times| *times == 10) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Returns whether another connection can write within a second.
fn others_can_write(database: &TestDatabase) -> bool {
    let (url, (sender, receiver)) = (database.url().to_owned(), mpsc::channel());
    std::thread::spawn(move || {
        let mut other = PgConnection::establish(&url).unwrap();
        let _ = sender.send(other.batch_execute("SELECT pg_logical_emit_message(true, 'test', 'test')"));
    });
    matches!(receiver.recv_timeout(Duration::from_secs(1)), Ok(Ok(())))
}
