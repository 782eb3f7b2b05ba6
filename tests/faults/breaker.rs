//! The circuit breaker stops calls of a model that is down.

use rstest::rstest;

use super::ask::{WAYS, Way};
use super::world::{PATIENCE, World};
use crate::support::upstream::{answer, status};
use crate::support::{On, wait};

#[rstest]
fn after_five_failures_messages_are_refused_without_a_charge_until_a_probe_succeeds(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    let address = world.server.address();
    let token = world.server.user("ada");
    let users = WAYS.map(|way| (way, world.server.user(&format!("{way:?}"))));
    world.upstream.break_down();
    assert_eq!(world.upstream_health()["breaker"], "closed");
    for _ in 0..5 {
        assert_eq!(Way::Chat.ask(address, &token, None).status, 502);
    }
    wait::until("the breaker to open", PATIENCE, || {
        (world.upstream_health()["breaker"] != "closed").then_some(())
    });
    let health = world.upstream_health();
    assert_eq!(health["failures_in_a_row"], 5);
    assert_eq!(health["last_failure"]["reason"], "the model had an error");

    for (way, token) in users {
        let got = way.ask(address, &token, Some("key"));
        let error = if way.is_v1() { "busy" } else { "Too busy" };
        assert_eq!((got.status, got.error.as_deref()), (503, Some(error)));
        assert!(matches!(got.retry_after, Some(1..=34)), "{got:?}");
        let user = format!("{way:?}");
        assert_eq!(world.ledger(&user), ["opening 4000"]);
        assert!(world.chats(&user).is_empty());
    }

    world.upstream.otherwise(answer("Hello", 3, 2));
    world.upstream.models(status(200, &[], "{}"));
    wait::until("the breaker to close", PATIENCE, || {
        (world.upstream_health()["breaker"] == "closed").then_some(())
    });
    assert_eq!(world.upstream.requests().len(), 5, "no call was made while the breaker was open");
    assert_eq!(Way::ChatStream.ask(address, &token, None).text, "Hello");
    let health = world.upstream_health();
    assert_eq!((&health["breaker"], &health["failures_in_a_row"]), (&"closed".into(), &0.into()));
    world.close();
}

#[rstest]
fn failures_that_one_user_provokes_do_not_open_the_breaker(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &[]) else { return };
    let address = world.server.address();
    let (mallory, ada) = (world.server.user("mallory"), world.server.user("ada"));
    world.upstream.otherwise(status(500, &[], "gossip"));
    for _ in 0..3 {
        for way in WAYS {
            assert_eq!(way.ask(address, &mallory, None).status, 502);
        }
    }
    world.upstream.next(answer("Hello", 3, 2));
    assert_eq!(Way::Chat.ask(address, &ada, None).text, "Hello");
    assert_eq!(world.upstream_health()["breaker"], "closed");
    world.close();
}
