//! A stopped server process of PostgreSQL costs only its own transaction, and delays others only
//! briefly.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::RICH;
use super::crowd::{Crowd, row};
use super::party::{Moment, Stopped, locked_users};
use super::probe::Probe;
use crate::support::postgres::Cluster;
use crate::support::server::{Server, assert_verified};
use crate::support::{TestDatabase, figures, require, wait};

const USERS: usize = 8;
/// The longest time without a chat for users of the stopped writer. The watchdog acts after 1.5 s.
/// (Debug builds beside other tests take longer.)
const INTERRUPTION: Duration = Duration::from_millis(3500);
/// The longest wait for any response.
const ANSWER: Duration = Duration::from_secs(7);

fn span() -> Duration {
    Duration::from_secs(if require::proofs() { 60 } else { 6 })
}

struct Scene {
    server: Server,
    tokens: Vec<String>,
    database: TestDatabase,
    _cluster: Cluster,
}

impl Scene {
    fn create() -> Option<Scene> {
        let cluster = Cluster::start(&["fsync=off", "max_prepared_transactions=4"])?;
        let database = TestDatabase::from(cluster.database());
        let server = Server::start(&database, &RICH);
        let tokens = (0..USERS).map(|number| server.user(&format!("user{number}"))).collect();
        Some(Scene { server, tokens, database, _cluster: cluster })
    }
}

#[rstest]
fn a_stopped_backend_of_a_writer_costs_only_its_own_transaction(
    #[values(Moment::Idle, Moment::InTransaction)] moment: Moment,
) {
    if !require::long() {
        return;
    }
    let Some(scene) = Scene::create() else { return };
    let crowd = Crowd::at(scene.server.address(), &scene.tokens);
    let probe = Probe::start(&scene.server);
    crowd.run_for(Duration::from_secs(3));
    // The writers share the users by chance, so a batch may lock more than half of so few. Such a
    // moment says nothing of the others.
    let (stopped, locked) = wait::until("a moment that locks at most half", Duration::from_secs(60), || {
        let stopped = Stopped::backend(&scene.database, "tollgate-writer", moment);
        let locked = locked_users(&scene.database).filter(|locked| locked.len() <= USERS / 2)?;
        Some((stopped, locked))
    });
    let from = crowd.now() - stopped.time();
    crowd.run_for(span());
    let to = crowd.now();
    drop(stopped);
    crowd.run_for(Duration::from_secs(3));
    let (end, seen, probed) = (crowd.now(), crowd.stop(), probe.stop());
    // Users whose row the stopped transaction has locked wait for it. If it was idle, there are
    // none.
    let stuck: Vec<usize> =
        (0..USERS).filter(|user| seen.longest_gap(&[*user], from, to) > INTERRUPTION).collect();
    let others: Vec<usize> = (0..USERS).filter(|user| !stuck.contains(user)).collect();
    let counts = seen.per_second(&others, Duration::ZERO, end);
    let when = from.as_secs();
    figures::report(
        &format!(
            "the server process of a writer stops {} from second {when} for {} s",
            if moment == Moment::Idle { "between" } else { "in" }.to_owned() + " transactions",
            span().as_secs()
        ),
        &format!("chats/s of {} of {USERS} users: {}", others.len(), row(&counts)),
    );
    assert!(
        stuck.iter().all(|user| locked.contains(&format!("user{user}"))),
        "{stuck:?} got nothing, but only {locked:?} were locked\n{}",
        scene.server.log()
    );
    assert!(
        moment == Moment::InTransaction || stuck.is_empty(),
        "{stuck:?} got nothing\n{}",
        scene.server.log()
    );
    assert!(others.len() >= USERS / 2, "only {others:?} were served\n{}", scene.server.log());
    seen.assert_unbroken();
    assert!(seen.slowest() < require::patience(ANSWER), "somebody waited for {:?}", seen.slowest());
    let after = seen.longest_gap(&(0..USERS).collect::<Vec<_>>(), to + Duration::from_secs(2), end);
    assert!(
        after < require::patience(Duration::from_secs(1)),
        "it did not recover: {after:?}\n{}",
        scene.server.log()
    );
    probed.assert_in_time();
    assert_books(&scene, &seen);
}

/// Checks that every acknowledged chat is stored, and none twice.
fn assert_books(scene: &Scene, seen: &super::crowd::Seen) {
    assert_verified(&scene.database);
    for (user, token) in scene.tokens.iter().enumerate() {
        let stored = (100_000_000 - scene.server.tokens(token)) / 100;
        let acknowledged = seen.count(user, 201) as i64;
        let unknown = seen.count(user, 503) as i64;
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&stored),
            "user {user}: {stored} are stored, {acknowledged} acknowledged, {unknown} not confirmed"
        );
    }
}

#[test]
fn stopped_backends_of_readers_and_of_bulk_work_delay_no_chats() {
    if !require::long() {
        return;
    }
    let Some(scene) = Scene::create() else { return };
    let crowd = Crowd::at(scene.server.address(), &scene.tokens);
    crowd.run_for(Duration::from_secs(2));
    let from = crowd.now();
    let _bulk = Stopped::backend(&scene.database, "tollgate-bulk", Moment::Idle);
    let _readers = Stopped::backend(&scene.database, "tollgate-reader", Moment::Idle);
    let mut client = scene.server.client();
    let mut slowest = Duration::ZERO;
    let mut rejected = 0;
    while crowd.now() < from + Duration::from_secs(6) {
        let asked = Instant::now();
        let answer = client.get("/tokens/", &scene.tokens[0]).unwrap();
        slowest = slowest.max(asked.elapsed());
        rejected += usize::from(answer.status == 503);
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    }
    let (to, seen) = (crowd.now(), crowd.stop());
    let everybody: Vec<usize> = (0..USERS).collect();
    let gap = seen.longest_gap(&everybody, from, to);
    assert!(
        gap < require::patience(Duration::from_secs(2)),
        "chats paused for {gap:?}\n{}",
        scene.server.log()
    );
    assert!(
        slowest < require::patience(ANSWER) && rejected <= 1,
        "{rejected} reads were rejected, the slowest took {slowest:?}"
    );
}
