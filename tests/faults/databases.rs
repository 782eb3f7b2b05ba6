//! The database goes away between hold and settle.

use std::thread;

use diesel::connection::SimpleConnection;
use rstest::rstest;

use super::ask::Way;
use super::world::{PATIENCE, Price, World};
use crate::support::ledger::raw;
use crate::support::postgres::Cluster;
use crate::support::upstream::{Signal, answer};
use crate::support::{On, TestDatabase, wait};

/// Returns an answer that waits for the signal after its first word.
fn delayed(signal: &Signal) -> Vec<crate::support::upstream::Step> {
    let mut script = answer("Hello there", 3, 2);
    script.insert(3, signal.step());
    script
}

#[rstest]
#[tokio::test]
async fn an_answer_that_comes_while_postgresql_is_away_is_settled_when_it_is_back(
    #[values(Way::Chat, Way::ChatStream, Way::V1, Way::V1Stream)] way: Way,
) {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let world = World::start_on(TestDatabase::from(cluster.database()), &[]);
    world.price(Price::Usage);
    let signal = Signal::default();
    world.upstream.next(delayed(&signal));
    let (address, token) = (world.server.address(), world.server.user("ada"));
    let asked = thread::spawn(move || way.ask(address, &token, None));
    signal.reached().await;
    cluster.stop_immediately();
    signal.release();
    wait::until("readiness to go off", PATIENCE, || (!world.server.is_ready()).then_some(()));
    cluster.start_again();

    let got = asked.join().unwrap();
    assert_eq!((got.status, got.text.as_str(), got.is_whole), (way.status(), "Hello there", true), "{got:?}");
    assert_eq!(world.ended("ada").state, "complete");
    assert_eq!(world.ledger("ada"), Price::Usage.settled(3, 2));
    world.close();
}

/// The client learns that its chat is not confirmed, and finds the answer later by its key.
#[rstest]
#[tokio::test]
async fn a_client_that_waits_too_long_for_a_lost_database_gets_an_error_and_finds_the_answer_later(
    #[values(Way::Chat, Way::V1Stream)] way: Way,
) {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let world = World::start_on(TestDatabase::from(cluster.database()), &[]);
    world.price(Price::Usage);
    let signal = Signal::default();
    world.upstream.next(delayed(&signal));
    let (address, token) = (world.server.address(), world.server.user("ada"));
    let waiting = token.clone();
    let asked = thread::spawn(move || way.ask(address, &waiting, Some("key")));
    signal.reached().await;
    cluster.stop_immediately();
    signal.release();
    let got = asked.join().unwrap();
    assert_eq!(got.status, if way.is_stream() { 200 } else { 503 });
    let error = if way.is_v1() { "unavailable" } else { "Service unavailable" };
    assert_eq!((got.error.as_deref(), got.is_whole), (Some(error), false));

    cluster.start_again();
    let chat = world.ended("ada");
    assert_eq!((chat.state.as_str(), chat.response.as_str()), ("complete", "Hello there"));
    let again = way.ask(address, &token, Some("key"));
    assert_eq!((again.text.as_str(), again.replayed), ("Hello there", true));
    assert_eq!(world.ledger("ada"), Price::Usage.settled(3, 2));
    world.close();
}

#[tokio::test]
async fn an_answer_that_comes_while_sqlite_is_locked_is_settled_when_it_is_free() {
    let Some(world) = World::start(On::Sqlite, &[]) else { return };
    world.price(Price::Usage);
    let signal = Signal::default();
    world.upstream.next(delayed(&signal));
    let (address, token) = (world.server.address(), world.server.user("ada"));
    let other = world.server.user("other");
    let asked = thread::spawn(move || Way::Chat.ask(address, &token, None));
    signal.reached().await;
    let mut keeper = raw(On::Sqlite, world.database.url());
    keeper.batch_execute("BEGIN IMMEDIATE").unwrap();
    signal.release();
    let refused = Way::Chat.ask(address, &other, None);
    assert_eq!(refused.status, 503, "the lock outlasts the patience of a write: {refused:?}");
    keeper.batch_execute("ROLLBACK").unwrap();

    let got = asked.join().unwrap();
    assert_eq!((got.status, got.text.as_str()), (201, "Hello there"), "{got:?}");
    assert_eq!(world.ledger("ada"), Price::Usage.settled(3, 2));
    assert_eq!(world.ledger("other"), ["opening 4000"]);
    world.close();
}
