//! Embeddings have no streams and no text. What else can go wrong with a call ends for them as for
//! chats.

use std::thread;

use rstest::rstest;
use serde_json::json;
use tollgate::db::Db;
use tollgate::domain::FailureReason;
use tollgate::metering::sweep;

use super::failures::GOSSIP;
use super::world::{PATIENCE, World};
use crate::support::http::{Answer, Client};
use crate::support::ledger::open;
use crate::support::upstream::{Signal, Step, embeddings, status};
use crate::support::{On, wait};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// The bound of the tokens of `Hello` is its bytes, 8, and 64. The price is a token for each.
const HOLD: i64 = 5 + 8 + 64;

/// By our own count, `Hello` has this many tokens.
const COUNTED: i64 = 2;

/// The prices: per message, and by usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Price {
    Message,
    Usage,
}

impl Price {
    fn set(self, world: &World) {
        let price = if self == Price::Message { "NULL" } else { "1000" };
        world.sql(&format!("UPDATE models SET embedding_price = {price}"));
    }

    fn hold(self) -> i64 {
        if self == Price::Message { 100 } else { HOLD }
    }

    fn refunded(self) -> [String; 3] {
        let hold = self.hold();
        ["opening 4000".to_owned(), format!("charge -{hold}"), format!("refund {hold}")]
    }

    fn settled(self, prompt_tokens: i64) -> Vec<String> {
        let mut entries = vec!["opening 4000".to_owned(), format!("charge -{}", self.hold())];
        if self == Price::Usage && prompt_tokens < HOLD {
            entries.push(format!("settlement {}", HOLD - prompt_tokens));
        }
        entries
    }
}

const PRICES: [Price; 2] = [Price::Message, Price::Usage];

fn ask(world: &World, token: &str, key: &str) -> Answer {
    ask_at(Client::new(world.server.address()), token, key).unwrap()
}

fn ask_at(mut client: Client, token: &str, key: &str) -> Result<Answer, crate::support::http::Broken> {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", authorization.as_str()),
        ("Idempotency-Key", key),
    ];
    let body = json!({ "model": "m", "input": "Hello" }).to_string();
    client.send("POST", "/v1/embeddings", &headers, body.as_bytes())
}

fn code(answer: &Answer) -> String {
    assert!(!answer.text().contains("gossip"), "{}", answer.text());
    answer.json()["error"]["code"].as_str().unwrap().to_owned()
}

fn refusal(status_code: u16) -> Vec<Step> {
    status(status_code, &JSON, GOSSIP)
}

/// Returns the beginning of an answer of 1,000 bytes, followed by these steps.
fn begun(then: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    let begin = format!(r#"{head}{{"object":"list","data":[{{"index":0,"embedding":[0.5,"#);
    [Step::Raw(begin.into_bytes())].into_iter().chain(then).collect()
}

/// A failure: its script, the calls that it causes, status, code and reason.
type Failure = (Vec<Step>, usize, u16, &'static str, FailureReason);

fn failures() -> Vec<Failure> {
    let failed = |script, reason| (script, 1, 502, "responder_failed", reason);
    vec![
        failed(vec![Step::Reset], FailureReason::ConnectionLost),
        failed(vec![Step::Close], FailureReason::ConnectionLost),
        failed(begun([Step::Close]), FailureReason::CutShort),
        failed(begun([Step::Hang]), FailureReason::Stalled),
        failed(status(200, &[("content-type", "text/html")], "<p>gossip</p>"), FailureReason::NotAnAnswer),
        failed(
            status(200, &JSON, r#"{"data":[{"index":0,"embedding":["gossip"]}]}"#),
            FailureReason::Unreadable,
        ),
        failed(status(200, &JSON, GOSSIP), FailureReason::ErrorInAnswer),
        failed(refusal(401), FailureReason::KeyRejected),
        failed(refusal(500), FailureReason::ServerError),
        (refusal(503), 3, 502, "responder_failed", FailureReason::ServerError),
        (refusal(429), 3, 503, "busy", FailureReason::RateLimited),
        (refusal(400), 1, 400, "request_refused", FailureReason::RequestRejected),
    ]
}

#[rstest]
fn an_upstream_failure_is_refunded_and_frees_the_key(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &["--upstream-idle-timeout", "1"]) else { return };
    for (number, (script, calls, status, error, reason)) in failures().into_iter().enumerate() {
        for price in PRICES {
            price.set(&world);
            let user = format!("{price:?}-{number}");
            let token = world.server.user(&user);
            let before = world.upstream.requests().len();
            world.upstream.otherwise(script.clone());
            let answer = ask(&world, &token, "key");
            let context = format!("{reason:?} {price:?}: {}", answer.text());
            assert_eq!((answer.status, code(&answer).as_str()), (status, error), "{context}");
            assert_eq!(world.upstream.requests().len() - before, calls, "{context}");
            let stored = world.ended(&user);
            assert_eq!(
                (stored.state.as_str(), stored.failure.as_str()),
                ("failed", reason.code()),
                "{context}"
            );
            assert_eq!(world.ledger(&user), price.refunded(), "{context}");
            // The key is free, and the good answer keeps the breaker closed.
            world.upstream.otherwise(embeddings(&[&[1.0, 0.5]], 3));
            let again = ask(&world, &token, "key");
            assert_eq!((again.status, again.header("Idempotency-Replayed")), (200, None), "{context}");
            let ledger = world.ledger(&user);
            assert_eq!(ledger[3..], price.settled(3)[1..], "{context}");
        }
    }
    world.close();
}

#[rstest]
#[tokio::test]
async fn an_upstream_that_takes_no_connection_costs_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &[]) else { return };
    world.upstream.refuse().await;
    for price in PRICES {
        price.set(&world);
        let user = format!("{price:?}");
        let answer = ask(&world, &world.server.user(&user), "key");
        assert_eq!((answer.status, code(&answer).as_str()), (502, "responder_failed"));
        assert_eq!(world.ended(&user).failure, FailureReason::Unreachable.code());
        assert_eq!(world.ledger(&user), price.refunded());
    }
    world.close();
}

/// Nothing arrives before all vectors are made, so the first byte has the total time limit.
#[rstest]
fn an_upstream_that_does_not_answer_in_time_costs_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &["--upstream-total-timeout", "2"]) else { return };
    world.upstream.otherwise([Step::Hang]);
    for (request, price) in PRICES.into_iter().enumerate() {
        price.set(&world);
        let user = format!("{price:?}");
        let answer = ask(&world, &world.server.user(&user), "key");
        assert_eq!((answer.status, code(&answer).as_str()), (502, "responder_failed"));
        let reason = world.ended(&user).failure;
        let reasons = [FailureReason::TotalTimeout, FailureReason::FirstByteTimeout].map(FailureReason::code);
        assert!(reasons.contains(&reason.as_str()), "{reason}");
        assert_eq!(world.ledger(&user), price.refunded());
        world.wait_until_gone(request);
    }
    world.close();
}

#[rstest]
fn an_answer_is_paid_for_by_its_usage_or_our_count(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &[]) else { return };
    let with_usage = |usage: &str| {
        status(200, &JSON, &format!(r#"{{"data":[{{"index":0,"embedding":[1,0.5]}}]{usage}}}"#))
    };
    for (number, (usage, prompt_tokens)) in [
        (r#","usage":{"prompt_tokens":3,"total_tokens":3}"#, 3),
        (r#","usage":{"prompt_tokens":0,"total_tokens":0}"#, COUNTED),
        (r#","usage":{"prompt_tokens":0,"total_tokens":3}"#, 3),
        ("", COUNTED),
        (r#","usage":{"prompt_tokens":-3,"total_tokens":3}"#, COUNTED),
        (r#","usage":{"prompt_tokens":1000000000000000000,"total_tokens":3}"#, COUNTED),
        (r#","usage":{"prompt_tokens":5000,"total_tokens":5000}"#, 5000),
    ]
    .into_iter()
    .enumerate()
    {
        for price in PRICES {
            price.set(&world);
            world.upstream.otherwise(with_usage(usage));
            let user = format!("{price:?}-{number}");
            let token = world.server.user(&user);
            let answer = ask(&world, &token, "key");
            assert_eq!(answer.status, 200, "{usage}: {}", answer.text());
            assert_eq!(answer.json()["usage"]["prompt_tokens"], prompt_tokens, "{usage}");
            let paid = if price == Price::Message { 100 } else { prompt_tokens.min(HOLD) };
            assert_eq!(answer.header("X-Tokens-Charged"), Some(paid.to_string().as_str()), "{usage}");
            assert_eq!(answer.header("X-Tokens-Remaining"), Some((4000 - paid).to_string().as_str()));
            assert_eq!(world.ended(&user).state, "complete");
            assert_eq!(world.ledger(&user), price.settled(prompt_tokens), "{usage}");
            let again = ask(&world, &token, "key");
            assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
            assert_eq!(again.text(), answer.text(), "a replay is the same byte for byte");
            assert_eq!(world.ledger(&user), price.settled(prompt_tokens));
        }
    }
    world.close();
}

#[rstest]
#[tokio::test]
async fn embeddings_that_their_client_did_not_wait_for_are_found_by_their_key(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(world) = World::start(on, &[]) else { return };
    for price in PRICES {
        price.set(&world);
        let signal = Signal::default();
        let mut script = embeddings(&[&[1.0, 0.5]], 3);
        script.insert(0, signal.step());
        world.upstream.next(script);
        let user = format!("{price:?}");
        let token = world.server.user(&user);
        let stream = leave_after_sending(&world, &token).await;
        signal.reached().await;
        drop(stream);
        signal.release();
        assert_eq!(world.ended(&user).state, "complete");
        let calls = world.upstream.requests().len();
        let again = ask(&world, &token, "key");
        assert_eq!((again.status, again.header("Idempotency-Replayed")), (200, Some("true")));
        assert_eq!(world.upstream.requests().len(), calls);
        assert_eq!(world.ledger(&user), price.settled(3));
    }
    world.close();
}

async fn leave_after_sending(world: &World, token: &str) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::net::TcpStream::connect(world.server.address()).await.unwrap();
    let body = json!({ "model": "m", "input": "Hello" }).to_string();
    let request = format!(
        "POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: key\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// A kill leaves the hold open, and the sweeper refunds it. An answer after the sweeper costs
/// nothing.
#[rstest]
#[tokio::test]
async fn holds_of_a_dead_node_and_late_answers_are_refunded(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(mut world) = World::start(on, &[]) else { return };
    Price::Usage.set(&world);
    let signal = Signal::default();
    let mut late = embeddings(&[&[1.0, 0.5]], 3);
    late.insert(0, signal.step());
    world.upstream.next(late);
    let address = world.server.address();
    let token = world.server.user("late");
    let asked = thread::spawn(move || ask_at(Client::new(address), &token, "key"));
    signal.reached().await;
    world.expire_holds();
    let node: Db = open(world.database.url(), 2);
    sweep(&node).await.unwrap();
    assert_eq!(world.ended("late").state, "failed");
    signal.release();
    let answer = asked.join().unwrap().unwrap();
    assert_eq!((answer.status, code(&answer).as_str()), (502, "responder_failed"));
    assert_eq!(world.ledger("late"), Price::Usage.refunded());

    world.upstream.next([Step::Hang]);
    let token = world.server.user("dead");
    let asked = thread::spawn(move || ask_at(Client::new(address), &token, "key"));
    world.upstream.request(1).await;
    world.server.kill9();
    assert!(asked.join().unwrap().is_err(), "nobody is left to answer");
    assert_eq!(world.chats("dead")[0].state, "pending");
    world.expire_holds();
    world.server = world.node();
    assert_eq!(world.ended("dead").failure, "deadline_passed");
    assert_eq!(world.ledger("dead"), Price::Usage.refunded());
    world.close();
}

#[rstest]
fn while_the_model_is_down_nothing_is_charged(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &[]) else { return };
    let token = world.server.user("ada");
    world.upstream.break_down();
    for number in 0..5 {
        assert_eq!(ask(&world, &token, &format!("key-{number}")).status, 502);
    }
    wait::until("the breaker to open", PATIENCE, || {
        (world.upstream_health()["breaker"] != "closed").then_some(())
    });
    let token = world.server.user("bob");
    let answer = ask(&world, &token, "key");
    assert_eq!((answer.status, code(&answer).as_str()), (503, "busy"));
    assert!(answer.header("Retry-After").is_some());
    assert_eq!(world.ledger("bob"), ["opening 4000"]);
    assert!(world.chats("bob").is_empty());
    world.close();
}
