//! Many messages at once on a balance that is enough for one.

use std::sync::mpsc;
use std::thread;

use rstest::rstest;

use super::ask::WAYS;
use super::world::{PATIENCE, Price, World};
use crate::support::On;
use crate::support::upstream::{Signal, answer};

#[rstest]
#[tokio::test]
async fn of_many_messages_at_once_on_a_balance_for_one_exactly_one_is_answered(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &["--opening-tokens", "250"]) else { return };
    world.price(Price::Usage);
    let signal = Signal::default();
    let mut script = answer("Hello", 3, 2);
    script.insert(1, signal.step());
    world.upstream.otherwise(script);
    let (address, token) = (world.server.address(), world.server.user("ada"));
    let (sender, receiver) = mpsc::channel();
    for number in 0..12 {
        let (token, sender) = (token.clone(), sender.clone());
        let way = WAYS[number % WAYS.len()];
        thread::spawn(move || drop(sender.send((way, way.ask(address, &token, None)))));
    }
    for _ in 0..11 {
        let (way, got) = receiver.recv_timeout(PATIENCE).unwrap();
        let refused = if way.is_v1() { (402, "insufficient_quota") } else { (400, "Insufficient tokens") };
        assert_eq!((got.status, got.error.as_deref()), (refused.0, Some(refused.1)), "{way:?}");
    }
    signal.release();
    let (way, got) = receiver.recv_timeout(PATIENCE).unwrap();
    assert_eq!((got.status, got.text.as_str()), (way.status(), "Hello"));
    let charge = |way| format!("charge -{}", Price::Usage.hold(way));
    let rest = |way| format!("settlement {}", Price::Usage.hold(way) - Price::Usage.cost(way, 3, 2));
    assert_eq!(world.ledger("ada"), ["opening 250".to_owned(), charge(way), rest(way)]);
    assert_eq!((world.chats("ada").len(), world.upstream.requests().len()), (1, 1));
    world.close();
}
