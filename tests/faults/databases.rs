//! The database goes away between hold and settle.

use std::thread::{self, JoinHandle};

use diesel::connection::SimpleConnection;

use super::ask::{Got, WAYS, Way};
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

/// Asks in these ways at once, and waits until all answers have begun.
async fn asked(world: &World, ways: &[Way], signal: &Signal) -> Vec<(Way, String, JoinHandle<Got>)> {
    world.upstream.otherwise(delayed(signal));
    let address = world.server.address();
    let ask = |way: &Way| {
        let (way, token) = (*way, world.server.user(&format!("{way:?}")));
        let own = token.clone();
        (way, token, thread::spawn(move || way.ask(address, &own, Some("key"))))
    };
    let asked = ways.iter().map(ask).collect();
    for _ in ways {
        signal.reached().await;
    }
    asked
}

#[tokio::test]
async fn answers_that_come_while_postgresql_is_away_are_settled_when_it_is_back() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let world = World::start_on(TestDatabase::from(cluster.database()), &[]);
    world.price(Price::Usage);
    let signal = Signal::default();
    let asked = asked(&world, &WAYS, &signal).await;
    cluster.stop_immediately();
    WAYS.into_iter().for_each(|_| signal.release());
    wait::until("readiness to go off", PATIENCE, || (!world.server.is_ready()).then_some(()));
    cluster.start_again();

    for (way, _, asked) in asked {
        let got = asked.join().unwrap();
        assert_eq!(
            (got.status, got.text.as_str(), got.is_whole),
            (way.status(), "Hello there", true),
            "{got:?}"
        );
        let user = format!("{way:?}");
        assert_eq!(world.ended(&user).state, "complete");
        assert_eq!(world.ledger(&user), Price::Usage.settled(way, 3, 2));
    }
    world.close();
}

/// The clients learn that their chats are not confirmed, and find the answers later by their keys.
#[tokio::test]
async fn clients_that_wait_too_long_for_a_lost_database_get_an_error_and_find_the_answers_later() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let world = World::start_on(TestDatabase::from(cluster.database()), &[]);
    world.price(Price::Usage);
    let signal = Signal::default();
    let asked = asked(&world, &WAYS, &signal).await;
    cluster.stop_immediately();
    WAYS.into_iter().for_each(|_| signal.release());
    let mut tokens = Vec::new();
    for (way, token, asked) in asked {
        let got = asked.join().unwrap();
        assert_eq!(got.status, if way.is_stream() { 200 } else { 503 });
        let error = if way.is_v1() { "unavailable" } else { "Service unavailable" };
        assert_eq!((got.error.as_deref(), got.is_whole), (Some(error), false));
        tokens.push((way, token));
    }

    cluster.start_again();
    for (way, token) in tokens {
        let user = format!("{way:?}");
        let chat = world.ended(&user);
        assert_eq!((chat.state.as_str(), chat.response.as_str()), ("complete", "Hello there"));
        let again = way.ask(world.server.address(), &token, Some("key"));
        assert_eq!((again.text.as_str(), again.replayed), ("Hello there", true));
        assert_eq!(world.ledger(&user), Price::Usage.settled(way, 3, 2));
    }
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
    assert_eq!(world.ledger("ada"), Price::Usage.settled(Way::Chat, 3, 2));
    assert_eq!(world.ledger("other"), ["opening 4000"]);
    world.close();
}
