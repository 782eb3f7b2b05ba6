//! Clients that disconnect, or read slowly.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ask::{PLAIN, STREAMS, Way};
use super::world::{PATIENCE, Price, World};
use crate::support::upstream::{
    Signal, Step, answer, chunk, done, finish, head, in_time, role, status, text, usage,
};
use crate::support::{On, wait};

/// How a client disconnects.
#[derive(Clone, Copy, Debug)]
enum Disconnect {
    Closes,
    Resets,
}

/// The promise is one second, but the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

pub(super) async fn send(world: &World, way: Way, token: &str, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.server.address()).await.unwrap();
    let body = way.body().to_string();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        way.path(),
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

/// Reads until `wanted` has arrived. Returns all that was read.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(wanted) {
        let read = in_time(wanted, stream.read_buf(&mut bytes)).await.unwrap();
        assert!(read > 0, "the end instead of {wanted}: {}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn disconnect(stream: TcpStream, how: Disconnect) {
    if let Disconnect::Resets = how {
        stream.set_zero_linger().unwrap();
    }
    drop(stream);
}

/// Checks that the call to the upstream ends soon.
async fn assert_cancelled_soon(world: &World, request: usize) {
    let left = Instant::now();
    world.upstream.until_client_is_gone(request).await;
    assert!(left.elapsed() < SOON, "it took {:?} to end the call", left.elapsed());
}

#[rstest]
#[tokio::test]
async fn a_client_that_disconnects_before_the_first_byte_of_a_stream_ends_the_call_and_pays_for_the_prompt_by_usage(
    #[values(Disconnect::Closes, Disconnect::Resets)] how: Disconnect,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    let scripts = [vec![Step::Hang], vec![head(), Step::Hang], vec![head(), role(), Step::Hang]];
    let mut request = 0;
    for (number, script) in scripts.into_iter().enumerate() {
        for price in [Price::Message, Price::Usage] {
            for way in STREAMS {
                world.price(price);
                world.upstream.next(script.clone());
                let user = format!("{way:?}-{price:?}-{number}");
                let token = world.server.user(&user);
                let stream = send(&world, way, &token, "key").await;
                world.upstream.request(request).await;
                disconnect(stream, how);
                assert_cancelled_soon(&world, request).await;
                let chat = world.ended(&user);
                assert_eq!(
                    (chat.state.as_str(), chat.failure.as_str()),
                    ("cancelled", "client_disconnected")
                );
                let prompt = way.counted_prompt();
                let (usage, ledger) = match price {
                    Price::Message => (String::new(), price.refunded(way)),
                    Price::Usage => (format!("{prompt} 0 counted"), price.settled(way, prompt, 0)),
                };
                assert_eq!((chat.response.as_str(), chat.usage), ("-", usage));
                assert_eq!(world.ledger(&user), ledger);
                request += 1;
            }
        }
    }
    assert_eq!(world.upstream_health()["failures_in_a_row"], 0, "it is not the upstream's fault");
    world.close();
}

/// An upstream that answers a prompt with 503 has done no work for it.
#[rstest]
#[tokio::test]
async fn a_client_that_disconnects_before_the_upstream_accepts_the_prompt_pays_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    world.price(Price::Usage);
    for (request, way) in STREAMS.into_iter().enumerate() {
        let signal = Signal::default();
        let mut script = status(503, &[("retry-after", "5")], "gossip");
        script.push(signal.step());
        world.upstream.next(script);
        let user = format!("{way:?}");
        let stream = send(&world, way, &world.server.user(&user), "key").await;
        world.upstream.request(request).await;
        signal.reached().await;
        // The server logs the rejection once it has read it.
        let refused = || world.server.log().matches("status 503, code").count() > request;
        wait::until("the refusal", PATIENCE, || refused().then_some(()));
        disconnect(stream, Disconnect::Closes);
        assert_eq!(world.ended(&user).state, "cancelled");
        signal.release();
        assert_eq!(world.ledger(&user), Price::Usage.refunded(way));
    }
    world.close();
}

#[rstest]
#[tokio::test]
async fn a_client_that_disconnects_during_a_stream_pays_for_what_arrived_and_ends_the_call(
    #[values(Disconnect::Closes, Disconnect::Resets)] how: Disconnect,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    let mut request = 0;
    for way in STREAMS {
        for price in [Price::Message, Price::Usage] {
            world.price(price);
            world.upstream.next([head(), role(), text("Hel"), Step::Hang]);
            let user = format!("{way:?}-{price:?}");
            let token = world.server.user(&user);
            let mut stream = send(&world, way, &token, "key").await;
            read_until(&mut stream, "Hel").await;
            disconnect(stream, how);
            assert_cancelled_soon(&world, request).await;
            let chat = world.ended(&user);
            assert_eq!((chat.state.as_str(), chat.failure.as_str()), ("cancelled", "client_disconnected"));
            let prompt = way.counted_prompt();
            assert_eq!((chat.response.as_str(), chat.usage), ("Hel", format!("{prompt} 1 counted")));
            assert_eq!(world.ledger(&user), price.settled(way, prompt, 1));
            let again = way.ask(world.server.address(), &token, Some("key"));
            assert_eq!((again.text.as_str(), again.replayed), ("Hel", true), "what was paid for is found");
            assert_eq!(world.ledger(&user), price.settled(way, prompt, 1));
            request += 1;
        }
    }
    world.close();
}

#[rstest]
#[tokio::test]
async fn an_answer_that_its_client_did_not_wait_for_is_finished_and_found_by_its_key(
    #[values(Disconnect::Closes, Disconnect::Resets)] how: Disconnect,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    for (way, price) in PLAIN.into_iter().zip([Price::Usage, Price::Message].into_iter().cycle()) {
        world.price(price);
        let signal = Signal::default();
        let rest = [text("lo"), finish("stop"), usage(3, 2), done(), Step::End];
        world.upstream.next([head(), role(), text("Hel"), signal.step()].into_iter().chain(rest));
        let user = format!("{way:?}");
        let token = world.server.user(&user);
        let stream = send(&world, way, &token, "key").await;
        signal.reached().await;
        disconnect(stream, how);
        // Gives the server time to notice.
        for _ in 0..5 {
            assert_eq!(world.server.tokens(&token), 4000 - price.hold(way));
        }
        signal.release();
        let chat = world.ended(&user);
        assert_eq!((chat.state.as_str(), chat.response.as_str()), ("complete", "Hello"));
        let again = way.ask(world.server.address(), &token, Some("key"));
        assert_eq!((again.status, again.text.as_str(), again.replayed), (way.status(), "Hello", true));
        assert_eq!(world.ledger(&user), price.settled(way, 3, 2));
    }
    assert_eq!(world.upstream.requests().len(), PLAIN.len());
    world.close();
}

#[rstest]
#[tokio::test]
async fn a_client_that_disconnects_while_it_waits_for_a_free_place_is_not_charged(
    #[values(Disconnect::Closes, Disconnect::Resets)] how: Disconnect,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let flags = ["--upstream-calls", "1", "--upstream-patience", "60"];
    let Some(world) = World::start(on, &flags) else { return };
    let signal = Signal::default();
    let mut script = answer("Hello", 3, 2);
    script.insert(1, signal.step());
    world.upstream.next(script);
    let first = send(&world, Way::ChatStream, &world.server.user("first"), "key").await;
    signal.reached().await;
    for (number, way) in STREAMS.into_iter().enumerate() {
        let user = format!("second{number}");
        let second = send(&world, way, &world.server.user(&user), "key").await;
        let waiting = |count: i64| {
            wait::until("the queue", PATIENCE, || {
                (world.upstream_health()["waiting"] == count).then_some(())
            });
        };
        waiting(1);
        disconnect(second, how);
        waiting(0);
        assert_eq!(world.ledger(&user), ["opening 4000"]);
        assert!(world.chats(&user).is_empty());
    }
    signal.release();
    assert_eq!(world.ended("first").state, "complete");
    assert_eq!(world.upstream.requests().len(), 1);
    drop(first);
    world.close();
}

#[rstest]
#[tokio::test]
async fn a_client_that_reads_a_byte_a_second_gets_all_of_its_answer(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    let token = world.server.user("ada");
    let words = "word ".repeat(300) + "end";
    world.upstream.next(answer(&words, 3, 2));
    let mut stream = send(&world, Way::ChatStream, &token, "key").await;
    for _ in 0..3 {
        stream.read_exact(&mut [0]).await.unwrap();
        // The slowness is what this tests.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let text = read_until(&mut stream, "event: done").await;
    assert_eq!(text.matches("event: delta").count(), 301);
    assert_eq!(world.ended("ada").response, words);
    assert_eq!(world.ledger("ada"), ["opening 4000", "charge -100"]);
    world.close();
}

/// Otherwise a client could read so slowly that the answer times out and is refunded, and have it
/// for free.
#[rstest]
#[tokio::test]
async fn a_client_that_stops_reading_uses_bounded_memory_and_pays_for_what_arrived(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let most = "10000000";
    let flags =
        ["--upstream-total-timeout", "8", "--upstream-max-output", most, "--upstream-default-output", most];
    let Some(world) = World::start(on, &flags) else { return };
    let token = world.server.user("ada");
    let Step::Chunk(part) = text(&"x".repeat(20_000)) else { unreachable!("an event is a chunk") };
    world.upstream.next([head(), role(), text("Hel"), Step::Forever(part)]);
    let before = world.memory();
    let mut stream = send(&world, Way::ChatStream, &token, "key").await;
    read_until(&mut stream, "Hel").await;
    world.upstream.until_client_is_gone(0).await;
    let chat = world.ended("ada");
    let grown = world.memory().saturating_sub(before);
    assert!(grown < 60, "the server has grown by {grown} MiB");
    assert_eq!((chat.state.as_str(), chat.failure.as_str()), ("cancelled", "client_disconnected"));
    assert!(chat.response.starts_with("Helxxx"));
    assert_eq!(world.ledger("ada"), ["opening 4000", "charge -100"]);
    drop(stream);
    world.close();
}

/// The upstream thinks for long, or sends only its reasoning, which `/chat/` does not pass on. The
/// connection must not look dead.
#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_comments_or_in_messages_by_pings() {
    let Some(world) = World::start(On::Sqlite, &[]) else { return };
    let signal = Signal::default();
    let thought = chunk(json!({ "reasoning_content": "hm" }), None);
    world.upstream.otherwise([
        head(),
        thought,
        signal.step(),
        text("Hello"),
        finish("stop"),
        usage(3, 2),
        done(),
        Step::End,
    ]);
    let mut streams = Vec::new();
    for way in STREAMS {
        streams.push(send(&world, way, &world.server.user(&format!("{way:?}")), "key").await);
    }
    for (stream, way) in streams.iter_mut().zip(STREAMS) {
        let (wanted, other) = match way {
            Way::MessagesStream => ("event: ping\ndata: {\"type\":\"ping\"}\n\n", "\n:"),
            _ => (": keep-alive\n\n", "event: ping"),
        };
        let mut began = read_until(stream, wanted).await;
        assert!(began.starts_with("HTTP/1.1 200 OK"), "{began}");
        if way == Way::MessagesStream {
            assert!(began.contains("event: message_start"), "the first ping follows the start: {began}");
            began = read_until(stream, wanted).await;
        }
        assert!(!began.contains(other), "{way:?}: {began}");
        signal.release();
    }
    for stream in &mut streams {
        read_until(stream, "Hello").await;
    }
    world.close();
}
