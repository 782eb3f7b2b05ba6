//! Connections to PostgreSQL that stop at any point: in the handshake, in the settings of a
//! session, before the first statement of a transaction, in the middle of it, and before its
//! COMMIT.

use std::time::Duration;

use super::RICH;
use super::crowd::{Crowd, row};
use super::probe::Probe;
use crate::support::postgres::Cluster;
use crate::support::proxy::Proxy;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase, figures, require, wait};

const USERS: usize = 4;
/// The longest wait for any response (5 s, and a little more for debug builds beside other tests).
const ANSWER: Duration = Duration::from_secs(7);
/// The longest time until everybody is served again after the connections continue.
const RECOVERY: Duration = Duration::from_secs(10);

/// Returns the numbers of messages after which connections stop.
fn points() -> Vec<u32> {
    if require::proofs() { (0..24).collect() } else { vec![0, 1, 4, 9] }
}

#[test]
fn connections_that_stop_at_any_point_leave_nobody_waiting() {
    if !require::long() {
        return;
    }
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = TestDatabase::from(cluster.database());
    let proxy = Proxy::start(database.url());
    let server = Launch::at(&proxy.url(database.url())).flags(&RICH).start();
    let tokens: Vec<String> = (0..USERS).map(|number| server.user(&format!("user{number}"))).collect();
    for point in points() {
        stop_at(point, &proxy, &server, &tokens);
    }
    assert_verified(&database);
}

fn stop_at(point: u32, proxy: &Proxy, server: &Server, tokens: &[String]) {
    let (crowd, probe) = (Crowd::at(server.address(), tokens), Probe::start(server));
    crowd.run_for(Duration::from_secs(1));
    let from = crowd.now();
    proxy.stop_new_connections_after(point);
    crowd.run_for(Duration::from_secs(6));
    let (to, stopped) = (crowd.now(), proxy.stopped_connections());
    proxy.continue_connections();
    for token in tokens {
        wait::until("everybody to be served again", RECOVERY, || {
            (server.chat(token, "again").status == 201).then_some(())
        });
    }
    let (end, seen, probed) = (crowd.now(), crowd.stop(), probe.stop());
    let everybody: Vec<usize> = (0..USERS).collect();
    figures::report(
        &format!(
            "connections stop after {point} messages, from second {} to {}",
            from.as_secs(),
            to.as_secs()
        ),
        &format!(
            "{stopped} connections; chats/s: {}",
            row(&seen.per_second(&everybody, Duration::ZERO, end))
        ),
    );
    assert!(stopped > 0, "no connection reached {point} messages");
    seen.assert_unbroken();
    let slowest = seen.slowest();
    assert!(
        slowest < require::patience(ANSWER),
        "point {point}: somebody waited for {slowest:?}\n{}",
        server.log()
    );
    probed.assert_in_time();
}

/// A start does not hang either. It fails and says that PostgreSQL does not respond.
#[test]
fn a_start_that_hangs_at_any_point_fails_with_advice() {
    if !require::long() {
        return;
    }
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let points = if require::proofs() { vec![0, 1, 2, 3, 5, 8, 13, 21] } else { vec![0, 2, 6] };
    for point in points {
        let proxy = Proxy::start(database.url());
        proxy.stop_new_connections_after(point);
        let mut server = Launch::at(&proxy.url(database.url())).spawn();
        let status = server.wait(Duration::from_secs(45));
        assert_eq!(status.code(), Some(1), "point {point}: {}", server.log());
        let log = server.log();
        let is_reported = log.contains("cannot open postgres://") || log.contains("has not responded");
        assert!(is_reported, "point {point}: {log}");
    }
}
