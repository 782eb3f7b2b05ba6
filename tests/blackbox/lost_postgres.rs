//! PostgreSQL goes away under load and comes back.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use serde_json::json;

use super::assert_unavailable;
use super::load::{self, Load, Outcome, RICH};
use crate::support::postgres::Cluster;
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, require, wait};

#[test]
fn a_lost_postgresql_gives_503s_and_loses_nothing_and_chats_work_when_it_is_back() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let database = TestDatabase::from(cluster.database());
    let server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    for round in 0..if require::long() { 6 } else { 2 } {
        let load = Load::start(&server, &tokens, &format!("round{round}"));
        load.await_acknowledged(100);
        cluster.stop_immediately();
        load.await_refused(20);
        assert_reports_the_outage(&server, &tokens[0]);
        cluster.start_again();
        load.await_acknowledged(100);
        let mut sent = load.stop();
        for one in &sent {
            let fair = matches!(one.outcome, Outcome::Acknowledged(_) | Outcome::Refused(503));
            assert!(fair, "{one:?}\n{}", server.log());
            assert!(one.took < Duration::from_secs(20), "it hung: {one:?}");
        }
        load::assert_books(&server, &tokens, &sent);
        // A 503 means "not confirmed". A retry under the same key finds out.
        load::retry_unanswered(&server, &mut sent);
        load::assert_books(&server, &tokens, &sent);
        assert_verified(&database);
    }
}

/// Checks that, without its database, the server is alive and not ready, and rejects requests with
/// a 503.
fn assert_reports_the_outage(server: &Server, token: &str) {
    let mut client = server.client();
    assert_eq!(client.send("GET", "/healthz", &[], b"").unwrap().status, 200);
    wait::until("readiness to go off", Duration::from_secs(10), || (!server.is_ready()).then_some(()));
    assert_unavailable(&client.get("/tokens/", token).unwrap());
    assert_unavailable(&client.get("/chats/", token).unwrap());
    let body = json!({"username": "user0", "password": "some other pass phrase"});
    assert_unavailable(&client.post("/login/", None, &body).unwrap());
    assert_unavailable(&client.post("/register/", None, &body).unwrap());
}

#[test]
fn a_server_that_cannot_reach_postgresql_refuses_to_start_and_says_why() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let database = TestDatabase::from(cluster.database());
    cluster.stop_immediately();
    let mut server = crate::support::server::Launch::on(&database).spawn();
    let status = server.wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("onnection refused"), "{}", server.log());
}

/// The only read connection waits for a lock, and further reads wait for the connection.
#[test]
fn reads_that_get_no_connection_fail_with_503_in_time_and_work_again_later() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let server = Server::start(&database, &["--read-connections", "1"]);
    let token = server.user("ada");
    let mut keeper = PgConnection::establish(database.url()).unwrap();
    keeper.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").unwrap();
    let asked = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_unavailable(&server.client().get("/tokens/", &token).unwrap()));
        }
    });
    assert!(asked.elapsed() < Duration::from_secs(20), "it hung for {:?}", asked.elapsed());
    keeper.batch_execute("ROLLBACK").unwrap();
    wait::until("reads to come back", Duration::from_secs(20), || {
        let answer = server.client().get("/tokens/", &token).unwrap();
        (answer.status == 200).then(|| assert_eq!(answer.json()["tokens"], 4000))
    });
}
