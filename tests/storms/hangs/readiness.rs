//! `/readyz` reports within 2 s whether the node can write, with one word for the reason.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::party::{Stopped, backends};
use super::probe::{Probed, ask};
use crate::support::http::Client;
use crate::support::postgres::Cluster;
use crate::support::require::patience;
use crate::support::server::Server;
use crate::support::{On, TestDatabase, wait};

const IN_TIME: Duration = Duration::from_millis(2500);

/// Checks that readiness ends with one of these words, stays off, and is reported in time.
fn assert_not_ready(client: &mut Client, words: &[&str]) {
    let is_off = |probed: &Probed| probed.status == 503;
    wait::until("readiness to end", Duration::from_secs(5), || is_off(&ask(client)).then_some(()));
    for _ in 0..3 {
        let probed = ask(client);
        assert!(is_off(&probed) && probed.took < patience(IN_TIME), "{probed:?}");
        let reason = probed.reason.clone().unwrap_or_default();
        assert!(words.contains(&reason.as_str()), "{probed:?}");
    }
}

fn assert_ready_again(client: &mut Client) {
    wait::until("readiness", Duration::from_secs(15), || (ask(client).status == 200).then_some(()));
}

#[test]
fn a_server_on_sqlite_that_cannot_write_is_not_ready() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let mut client = server.client();
    let mut keeper = SqliteConnection::establish(database.url()).unwrap();
    keeper.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
    assert_not_ready(&mut client, &["writer"]);
    keeper.batch_execute("ROLLBACK").unwrap();
    assert_ready_again(&mut client);
    let elsewhere = format!("{}.moved", database.url());
    std::fs::rename(database.url(), &elsewhere).unwrap();
    assert_not_ready(&mut client, &["file"]);
    std::fs::rename(&elsewhere, database.url()).unwrap();
}

#[test]
fn a_server_whose_postgresql_is_away_or_hangs_is_not_ready() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = TestDatabase::from(cluster.database());
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    let mut client = server.client();
    // All connections hang at once, and so do new ones.
    let mut observer = PgConnection::establish(database.url()).unwrap();
    let mut stopped: Vec<Stopped> = Vec::new();
    for name in ["tollgate-writer", "tollgate-bulk", "tollgate-reader"] {
        stopped.extend(backends(&mut observer, name).into_iter().map(Stopped::process));
    }
    stopped.push(Stopped::process(cluster.pid() as i32));
    assert_not_ready(&mut client, &["writer", "database"]);
    assert_eq!(server.chat(&token, "Hello").status, 503);
    drop(stopped);
    assert_ready_again(&mut client);
    assert_eq!(server.chat(&token, "Hello").status, 201);
    drop(observer);
    cluster.stop_immediately();
    assert_not_ready(&mut client, &["writer", "database"]);
    cluster.start_again();
    assert_ready_again(&mut client);
}
