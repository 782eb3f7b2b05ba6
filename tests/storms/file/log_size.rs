//! The log grows once, under load, and keeps its size. A reader that holds a snapshot makes it
//! longer. Afterwards it has its size again.

use std::fs;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{beside, stop_clean};
use crate::blackbox::load::{self, Load, Outcome, RICH};
use crate::support::server::Server;
use crate::support::server::{assert_verified, tollgate};
use crate::support::{On, TestDatabase, figures, require, wait};

const MIB: u64 = 1024 * 1024;
/// The size of a log that has grown: see `src/db/checkpointer.rs`.
const LOG_SIZE: u64 = 128 * MIB;

fn log_size(database: &TestDatabase) -> u64 {
    fs::metadata(beside(database, "-wal")).map_or(0, |metadata| metadata.len())
}

#[test]
fn a_log_made_long_by_a_reader_shrinks_when_the_reader_has_gone() {
    let goal = if require::proofs() { 500 * MIB } else { LOG_SIZE + 8 * MIB };
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    let load = Load::start(&server, &tokens, "long");
    wait::until("a long log", Duration::from_secs(240), || (log_size(&database) > goal).then_some(()));
    let longest = log_size(&database);
    reader.batch_execute("ROLLBACK").unwrap();
    drop(reader);
    // Under load, the log is truncated when it restarts.
    wait::until("a shorter log under load", Duration::from_secs(60), || {
        (log_size(&database) <= LOG_SIZE).then_some(())
    });
    load.stop();
    figures::report(
        "a reader holds a snapshot under load",
        &format!("log {} MiB, then {} MiB", longest / MIB, log_size(&database) / MIB),
    );
    stop_clean(&mut server, &database);
}

#[test]
fn a_reader_that_leaves_an_idle_server_leaves_no_long_log() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    let load = Load::start(&server, &tokens, "idle");
    wait::until("a long log", Duration::from_secs(240), || (log_size(&database) > LOG_SIZE).then_some(()));
    load.stop();
    reader.batch_execute("ROLLBACK").unwrap();
    drop(reader);
    wait::until("a short log", Duration::from_secs(30), || (log_size(&database) <= LOG_SIZE).then_some(()));
    stop_clean(&mut server, &database);
}

#[test]
fn the_log_grows_once_under_load_and_keeps_its_size_through_a_crash() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    assert!(log_size(&database) < MIB, "a quiet server needs no room");
    let tokens = load::users(&server, "user", 4);
    let load = Load::start(&server, &tokens, "first");
    wait::until("a log of its size", Duration::from_secs(120), || {
        (log_size(&database) == LOG_SIZE).then_some(())
    });
    load.await_acknowledged(200);
    server.kill9();
    let sent = load.stop();
    assert_eq!(log_size(&database), LOG_SIZE);
    let mut server = Server::start(&database, &RICH);
    let stored: usize = tokens.iter().map(|token| server.history(token).len()).sum();
    let acknowledged = sent.iter().filter(|sent| matches!(sent.outcome, Outcome::Acknowledged(_))).count();
    assert!(stored >= acknowledged, "{stored} of {acknowledged} are stored");
    stop_clean(&mut server, &database);
    assert_verified(&database);
}

#[test]
fn a_command_beside_a_server_leaves_its_log_as_it_is() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let load = Load::start(&server, &tokens, "command");
    wait::until("a log of its size", Duration::from_secs(120), || {
        (log_size(&database) == LOG_SIZE).then_some(())
    });
    let commands = |when: &str| {
        let adjust = ["adjust", "user0", "1", "--note", "a gift"];
        for command in [&["verify"][..], &adjust] {
            let done = tollgate(&[command, &["--database-url", database.url()]].concat());
            assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
            assert_eq!(log_size(&database), LOG_SIZE, "after {command:?} {when}");
        }
    };
    commands("beside a busy server");
    load.stop();
    commands("beside an idle server");
    stop_clean(&mut server, &database);
    assert_verified(&database);
}
