//! One upstream and one question: every dialect returns the same answer, for the same price.

use rstest::rstest;
use serde_json::{Value, json};

use super::ask::{WAYS, Way};
use super::world::{Price, World};
use crate::support::On;
use crate::support::upstream::answer;

/// Several words, and characters of several bytes.
const ANSWER: &str = "Grüße aus 東京, from 🎈 and me";

/// Returns the balance after the entries of a ledger.
fn balance(ledger: &[String]) -> i64 {
    ledger.iter().map(|entry| entry.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).sum()
}

#[rstest]
fn every_dialect_gets_the_same_answer_usage_charge_and_ledger(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Price::Message, Price::Usage)] price: Price,
) {
    let Some(world) = World::start(on, &[]) else { return };
    world.price(price);
    world.upstream.otherwise(answer(ANSWER, 31, 23));
    let cost = price.cost(Way::Chat, 31, 23);
    let mut asked: Vec<Value> = Vec::new();
    for way in WAYS {
        let user = format!("{way:?}");
        let token = world.server.user(&user);
        let got = way.ask(world.server.address(), &token, None);
        assert_eq!((got.status, got.error.as_deref(), got.is_whole), (way.status(), None, true), "{user}");
        assert_eq!(got.text, ANSWER, "{user}");
        assert_eq!(got.usage, way.is_v1().then_some((31, 23)), "{user}");
        if way.says_cost() {
            assert_eq!((got.charged, got.remaining), (Some(cost), Some(4000 - cost)), "{user}");
        }
        let stored = world.ended(&user);
        assert_eq!((stored.state.as_str(), stored.response.as_str()), ("complete", ANSWER), "{user}");
        assert_eq!(stored.usage, "31 23", "{user}");
        // A prompt to be completed is shorter than the same words as a conversation, and so is its
        // hold.
        let ledger = world.ledger(&user);
        assert_eq!((&ledger, balance(&ledger)), (&price.settled(way, 31, 23), 4000 - cost), "{user}");
        assert_eq!(world.server.tokens(&token), 4000 - cost, "{user}");
        asked.push(world.upstream.requests().pop().unwrap().body);
    }
    for (way, asked) in WAYS.into_iter().zip(asked) {
        assert_eq!(asked["model"], "m", "{way:?}");
        let said = json!([{ "role": "user", "content": "Hello" }]);
        match way {
            Way::Completions | Way::CompletionsStream => assert_eq!(asked["prompt"], "Hello"),
            _ => assert_eq!(asked["messages"], said, "{way:?}"),
        }
    }
    world.close();
}
