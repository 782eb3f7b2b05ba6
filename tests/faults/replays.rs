//! Idempotency keys across the ways to ask.

use rstest::rstest;

use super::ask::{FORMS, STREAMS};
use super::world::{Price, World};
use crate::support::On;
use crate::support::upstream::{Step, answer, done, finish, head, role, status, text, usage};

#[rstest]
fn an_answer_can_be_replayed_in_either_form_and_is_paid_for_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Price::Message, Price::Usage)] price: Price,
) {
    let Some(world) = World::start(on, &[]) else { return };
    world.price(price);
    world.upstream.otherwise(answer("Hello there", 3, 2));
    let address = world.server.address();
    for forms in FORMS {
        for (first, again) in [(forms[0], forms[1]), (forms[1], forms[0])] {
            let user = format!("{first:?}");
            let token = world.server.user(&user);
            let paid = first.ask(address, &token, Some("key"));
            assert_eq!((paid.text.as_str(), paid.is_whole, paid.replayed), ("Hello there", true, false));
            for way in [again, first] {
                let got = way.ask(address, &token, Some("key"));
                assert_eq!(got.status, way.status());
                assert_eq!((got.text.as_str(), got.is_whole, got.replayed), ("Hello there", true, true));
                assert_eq!(got.usage, way.is_v1().then_some((3, 2)));
                if way.says_cost() {
                    assert_eq!(got.charged, Some(price.cost(way, 3, 2)), "{way:?}");
                }
            }
            assert_eq!(world.ledger(&user), price.settled(first, 3, 2));
            assert_eq!(world.chats(&user).len(), 1);
        }
    }
    assert_eq!(world.upstream.requests().len(), 2 * FORMS.len(), "a stored answer is not requested again");
    world.close();
}

#[rstest]
fn a_refund_frees_the_key_whether_the_failure_came_as_a_status_or_in_the_stream(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    let address = world.server.address();
    let pairs = FORMS.into_iter().flat_map(|[plain, stream]| [(plain, stream), (stream, plain)]);
    for (way, again) in pairs {
        let user = format!("{way:?}");
        let token = world.server.user(&user);
        let broken = match way.is_stream() {
            true => vec![head(), role(), text("Hel"), Step::Close],
            false => status(500, &[], "gossip"),
        };
        world.upstream.next(broken);
        let failed = way.ask(address, &token, Some("key"));
        assert!(failed.error.is_some() && !failed.is_whole, "{failed:?}");
        let got = again.ask(address, &token, Some("key"));
        assert_eq!((got.text.as_str(), got.is_whole, got.replayed), ("Hello", true, false));
        assert_eq!(world.ledger(&user), ["opening 4000", "charge -100", "refund 100", "charge -100"]);
        let states: Vec<String> = world.chats(&user).into_iter().map(|chat| chat.state).collect();
        assert_eq!(states, ["failed", "complete"]);
    }
    world.close();
}

/// The failure was charged, so a retry must not silently be charged again.
#[rstest]
fn a_failure_that_was_paid_for_keeps_its_key_and_a_retry_is_neither_charged_nor_answered_again(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &["--upstream-total-timeout", "2"]) else { return };
    let address = world.server.address();
    let cases = [
        (vec![head(), finish("stop"), usage(3, 0), done(), Step::End], "", (Some(3), 0)),
        (vec![head(), text("Hel"), Step::Hang], "Hel", (None, 1)),
    ];
    for (number, (script, partial, (prompt, completion))) in cases.into_iter().enumerate() {
        for price in [Price::Message, Price::Usage] {
            world.price(price);
            for (place, mut forms) in FORMS.into_iter().enumerate() {
                // Each dialect fails in one form and is retried in the other.
                forms.rotate_left(place % 2);
                let [way, again] = forms;
                let user = format!("{way:?}-{price:?}-{number}");
                let token = world.server.user(&user);
                world.upstream.next(script.clone());
                let failed = way.ask(address, &token, Some("key"));
                assert!(failed.error.is_some() && !failed.is_whole, "{failed:?}");
                let called = world.upstream.requests().len();
                let got = again.ask(address, &token, Some("key"));
                let called = world.upstream.requests().len() - called;
                if price == Price::Message {
                    assert_eq!((got.text.as_str(), got.replayed, called), ("Hello", false, 1), "{user}");
                    continue;
                }
                assert_eq!((got.text.as_str(), called), (partial, 0), "{user}: {got:?}");
                match partial {
                    "" => assert_eq!((got.status, got.error.is_some()), (502, true), "{user}"),
                    _ => assert_eq!((got.status, got.replayed), (again.status(), true), "{user}"),
                }
                let prompt = prompt.unwrap_or(way.counted_prompt());
                assert_eq!(world.ledger(&user), price.settled(way, prompt, completion), "{user}");
                assert_eq!(world.chats(&user).len(), 1);
            }
        }
    }
    world.close();
}

#[rstest]
#[tokio::test]
async fn a_prompt_that_a_disconnected_client_paid_for_is_not_paid_for_again_under_its_key(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    world.price(Price::Usage);
    let address = world.server.address();
    for (request, way) in STREAMS.into_iter().enumerate() {
        let user = format!("{way:?}");
        let token = world.server.user(&user);
        world.upstream.next([Step::Hang]);
        let stream = super::clients::send(&world, way, &token, "key").await;
        world.upstream.request(2 * request).await;
        drop(stream);
        assert_eq!(world.ended(&user).state, "cancelled");
        let got = way.ask(address, &token, Some("key"));
        assert_eq!((got.status, got.error.is_some()), (502, true));
        assert_eq!(world.ledger(&user), Price::Usage.settled(way, way.counted_prompt(), 0));
        let got = way.ask(address, &token, Some("another-key"));
        assert_eq!(got.text, "Hello", "{got:?}");
    }
    world.close();
}
