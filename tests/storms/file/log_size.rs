//! A reader that holds a snapshot makes the log long. Afterwards it is short again.

use std::fs;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{beside, stop_clean};
use crate::blackbox::load::{self, Load, RICH};
use crate::support::server::Server;
use crate::support::{On, TestDatabase, figures, require, wait};

const MIB: u64 = 1024 * 1024;

fn log_size(database: &TestDatabase) -> u64 {
    fs::metadata(beside(database, "-wal")).map_or(0, |metadata| metadata.len())
}

#[test]
fn a_log_made_long_by_a_reader_shrinks_when_the_reader_has_gone() {
    let goal = if require::proofs() { 500 * MIB } else { 40 * MIB };
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
        (log_size(&database) <= 33 * MIB).then_some(())
    });
    load.stop();
    wait::until("a short log", Duration::from_secs(30), || (log_size(&database) <= 17 * MIB).then_some(()));
    figures::report(
        "a reader holds a snapshot under load",
        &format!("log {} MiB, then {} MiB", longest / MIB, log_size(&database) / MIB),
    );
    stop_clean(&mut server, &database);
}
