//! An upstream that fails again and again is given a rest.

use rstest::rstest;

use super::ask::{WAYS, Way};
use super::world::{PATIENCE, World};
use crate::support::upstream::{answer, status};
use crate::support::{On, wait};

#[rstest]
fn after_five_failures_messages_are_refused_unpaid_until_one_call_has_found_the_upstream_well(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    let address = world.server.address();
    let token = world.server.user("ada");
    world.upstream.otherwise(status(500, &[], "gossip"));
    assert_eq!(world.upstream_health()["breaker"], "closed");
    for _ in 0..5 {
        assert_eq!(Way::Chat.ask(address, &token, None).status, 502);
    }
    let health = world.upstream_health();
    assert_eq!((&health["breaker"], &health["failures_in_a_row"]), (&"open".into(), &5.into()));
    assert_eq!(health["last_failure"]["reason"], "the model had an error");

    for way in WAYS {
        let user = format!("{way:?}");
        let got = way.ask(address, &world.server.user(&user), Some("key"));
        let error = if way.is_v1() { "busy" } else { "Too busy" };
        assert_eq!((got.status, got.error.as_deref()), (503, Some(error)));
        assert!(matches!(got.retry_after, Some(1..=6)), "{got:?}");
        assert_eq!(world.ledger(&user), ["opening 4000"]);
        assert!(world.chats(&user).is_empty());
    }
    assert_eq!(world.upstream.requests().len(), 5, "nobody called while it rests");

    world.upstream.otherwise(answer("Hello", 3, 2));
    wait::until("the rest to end", PATIENCE, || {
        (world.upstream_health()["breaker"] == "half-open").then_some(())
    });
    assert_eq!(Way::ChatStream.ask(address, &token, None).text, "Hello");
    let health = world.upstream_health();
    assert_eq!((&health["breaker"], &health["failures_in_a_row"]), (&"closed".into(), &0.into()));
    world.close();
}
