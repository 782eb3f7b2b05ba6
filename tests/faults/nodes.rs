//! Nodes that are killed or stopped, that sweep, and that settle too late.

use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::db::Db;
use tollgate::metering::sweep;

use super::ask::{PLAIN, STREAMS, WAYS, Way};
use super::world::{PATIENCE, Price, World};
use crate::support::http::Client;
use crate::support::ledger::{Ledger, charged, hold, open};
use crate::support::upstream::{Signal, Step, done, finish, head, role, text, usage};
use crate::support::{On, wait};

/// The server promises to exit with 0 within this time.
const STOP: Duration = Duration::from_secs(10);

/// Returns an answer that waits for the signal after `Hel`.
fn delayed(signal: &Signal) -> Vec<Step> {
    let rest = [text("lo"), finish("stop"), usage(3, 2), done(), Step::End];
    [head(), role(), text("Hel"), signal.step()].into_iter().chain(rest).collect()
}

/// Opens the database like another node.
fn another_node(world: &World) -> Db {
    open(world.database.url(), 2)
}

#[rstest]
#[tokio::test]
async fn a_hold_that_a_kill_left_open_is_refunded_by_the_sweeper(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(&PLAIN, &STREAMS)] ways: &[Way],
) {
    let Some(mut world) = World::start(on, &[]) else { return };
    world.price(Price::Usage);
    world.upstream.otherwise([head(), role(), text("Hel"), Step::Hang]);
    let address = world.server.address();
    let users: Vec<_> = ways.iter().map(|way| (*way, world.server.user(&format!("{way:?}")))).collect();
    let asked = users.iter().cloned().map(|(way, token)| {
        thread::spawn(move || {
            let headers = format!("Bearer {token}");
            let headers = [("Authorization", headers.as_str()), ("Content-Type", "application/json")];
            Client::new(address).send("POST", way.path(), &headers, way.body().to_string().as_bytes())
        })
    });
    let asked: Vec<_> = asked.collect();
    world.upstream.request(ways.len() - 1).await;
    world.server.kill9();
    for asked in asked {
        assert!(asked.join().unwrap().is_err(), "nobody is left to answer");
    }
    for (request, way) in ways.iter().enumerate() {
        world.upstream.until_client_is_gone(request).await;
        assert_eq!(world.chats(&format!("{way:?}"))[0].state, "pending");
    }

    world.expire_holds();
    world.server = world.node();
    for way in ways {
        let user = format!("{way:?}");
        let chat = world.ended(&user);
        assert_eq!((chat.state.as_str(), chat.failure.as_str()), ("failed", "deadline_passed"));
        assert_eq!(world.ledger(&user), Price::Usage.refunded(*way));
    }
    world.close();
}

#[rstest]
#[tokio::test]
async fn streams_that_end_in_time_are_finished_before_a_stopping_server_exits(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(mut world) = World::start(on, &[]) else { return };
    world.price(Price::Usage);
    let signal = Signal::default();
    world.upstream.otherwise(delayed(&signal));
    let address = world.server.address();
    let asked: Vec<_> = STREAMS
        .into_iter()
        .map(|way| (way, world.server.user(&format!("{way:?}"))))
        .map(|(way, token)| thread::spawn(move || way.ask(address, &token, None)))
        .collect();
    for _ in STREAMS {
        signal.reached().await;
    }
    let signalled = Instant::now();
    world.server.terminate();
    wait::until("the signal", PATIENCE, || world.server.log().contains("told to stop").then_some(()));
    STREAMS.into_iter().for_each(|_| signal.release());
    for asked in asked {
        let got = asked.join().unwrap();
        assert_eq!((got.text.as_str(), got.is_whole), ("Hello", true), "{got:?}");
    }
    assert_eq!(world.server.wait(STOP * 3).code(), Some(0));
    assert!(signalled.elapsed() < STOP);
    for way in STREAMS {
        let user = format!("{way:?}");
        assert_eq!(world.chats(&user)[0].state, "complete");
        assert_eq!(world.ledger(&user), Price::Usage.settled(way, 3, 2));
    }
    world.close();
}

#[rstest]
#[tokio::test]
async fn streams_that_do_not_end_are_refunded_with_an_error_event_before_a_stopping_server_exits(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(mut world) = World::start(on, &[]) else { return };
    let signal = Signal::default();
    world.upstream.otherwise(delayed(&signal));
    let address = world.server.address();
    let tokens = STREAMS.map(|way| world.server.user(&format!("{way:?}")));
    let asked: Vec<_> = STREAMS
        .into_iter()
        .zip(tokens)
        .map(|(way, token)| thread::spawn(move || way.ask(address, &token, None)))
        .collect();
    for _ in STREAMS {
        signal.reached().await;
    }
    let signalled = Instant::now();
    world.server.terminate();
    for (asked, way) in asked.into_iter().zip(STREAMS) {
        let error = ["The message could not be answered", "responder_failed"][usize::from(way.is_v1())];
        let got = asked.join().unwrap();
        assert_eq!((got.text.as_str(), got.is_whole, got.error.as_deref()), ("Hel", false, Some(error)));
    }
    assert_eq!(world.server.wait(STOP * 3).code(), Some(0));
    assert!(signalled.elapsed() < STOP, "it took {:?}", signalled.elapsed());
    for (request, way) in STREAMS.into_iter().enumerate() {
        let chat = world.ended(&format!("{way:?}"));
        assert_eq!((chat.state.as_str(), chat.failure.as_str()), ("failed", "server_stopped"));
        assert_eq!(chat.response, "Hel");
        assert_eq!(world.ledger(&format!("{way:?}")), Price::Message.refunded(way));
        world.upstream.until_client_is_gone(request).await;
    }
    world.close();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_sweep_at_once_refund_each_hold_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    for _ in 0..30 {
        charged(ledger.db.write_set(hold(ada.auth_token)).await.unwrap());
    }
    ledger.sql("UPDATE chats SET deadline = '2020-01-01 00:00:00'");
    let nodes = [ledger.db.clone(), ledger.node(), ledger.db.clone(), ledger.node()];
    let sweeps = nodes.map(|node| tokio::spawn(async move { sweep(&node).await }));
    let refunded: usize = join_all(sweeps).await.into_iter().map(|swept| swept.unwrap().unwrap()).sum();
    assert_eq!(refunded, 30);
    assert_eq!(ledger.balance(ada.id), 4000);
    assert_eq!(ledger.entries(ada.id).len(), 1 + 30 + 30);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test]
async fn an_answer_that_comes_after_the_sweeper_is_kept_and_costs_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    world.price(Price::Usage);
    let signal = Signal::default();
    world.upstream.otherwise(delayed(&signal));
    let address = world.server.address();
    let ask = |way: Way| {
        let token = world.server.user(&format!("{way:?}"));
        thread::spawn(move || way.ask(address, &token, Some("key")))
    };
    let asked: Vec<_> = WAYS.into_iter().map(|way| (way, ask(way))).collect();
    for _ in WAYS {
        signal.reached().await;
    }
    world.expire_holds();
    sweep(&another_node(&world)).await.unwrap();
    for way in WAYS {
        assert_eq!(world.ended(&format!("{way:?}")).state, "failed");
        signal.release();
    }
    for (way, asked) in asked {
        let got = asked.join().unwrap();
        assert!(got.error.is_some() && !got.is_whole, "{got:?}");
        assert_eq!(got.status, if way.is_stream() { 200 } else { 502 });
        let user = format!("{way:?}");
        let chat = world.ended(&user);
        assert_eq!((chat.state.as_str(), chat.failure.as_str()), ("failed", "deadline_passed"));
        assert_eq!(chat.response, "Hello");
        assert_eq!(world.ledger(&user), Price::Usage.refunded(way));
    }
    world.close();
}
