//! SIGTERM and SIGINT: chats in flight are finished or refunded, and the server exits within ten
//! seconds.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use rstest::rstest;
use rustix::process::Signal;
use serde_json::json;

use super::load::{self, Load, Outcome, RICH};
use crate::support::http::{Answer, Broken, Client};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, wait};

/// The server promises to exit with 0 within this time.
const STOP: Duration = Duration::from_secs(10);

/// Checks that the server exits with 0, and in time after the signal.
fn assert_stops_in_time(server: &mut Server, signalled: Instant) {
    let status = server.wait(STOP * 3);
    let took = signalled.elapsed();
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(took < STOP, "it took {took:?} to stop");
}

/// Waits until one chat of the user is pending.
fn wait_for_hold(server: &Server, token: &str) {
    wait::until("the hold", Duration::from_secs(20), || {
        let me = server.client().get("/me/", token).unwrap().json();
        (me["held"] == 100).then_some(())
    });
}

fn wait_for_the_signal(server: &Server) {
    wait::until("the signal to arrive", Duration::from_secs(10), || {
        server.log().contains("told to stop").then_some(())
    });
}

fn chat_in_flight(address: SocketAddr, token: &str) -> JoinHandle<Result<Answer, Broken>> {
    let token = token.to_owned();
    thread::spawn(move || Client::new(address).post("/chat/", Some(&token), &json!({"message": "Hello"})))
}

/// Checks that the only chat failed because of the stop and was refunded.
fn assert_refunded(database: &TestDatabase, token: &str) {
    assert_verified(database);
    let server = Server::start(database, &[]);
    let chats = server.client().get("/chats/", token).unwrap().json();
    let chat = &chats["chats"][0];
    assert_eq!((&chat["state"], &chat["failure"]), (&json!("failed"), &json!("the server was stopped")));
    assert_eq!(server.tokens(token), 4000);
}

#[rstest]
#[case::sigterm(Signal::TERM)]
#[case::sigint(Signal::INT)]
fn a_stop_under_load_cuts_no_answer_and_keeps_every_chat(
    #[case] signal: Signal,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let load = Load::start(&server, &tokens, "stop");
    load.await_acknowledged(100);
    let signalled = Instant::now();
    server.signal(signal);
    assert_stops_in_time(&mut server, signalled);

    let sent = load.stop();
    for one in &sent {
        match &one.outcome {
            Outcome::Acknowledged(_) | Outcome::Broken(Broken::NoAnswer | Broken::Refused) => {}
            other => panic!("{other:?} to {}", one.message),
        }
    }
    let acknowledged = sent.iter().filter(|one| matches!(one.outcome, Outcome::Acknowledged(_))).count();
    let server = Server::start(&database, &RICH);
    let stored = load::assert_books(&server, &tokens, &sent);
    assert_eq!(stored, acknowledged, "a chat was charged, but its client got no answer");
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn a_chat_in_flight_is_answered_before_the_server_stops(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut server = Server::start(&database, &["--dummy-delay", "3000"]);
    let token = server.user("ada");
    let chat = chat_in_flight(server.address(), &token);
    wait_for_hold(&server, &token);
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    assert_stops_in_time(&mut server, signalled);

    let answer = chat.join().unwrap().unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json(), json!({"message": "Hello", "response": "Response to Hello"}));
    let server = Server::start(&database, &[]);
    assert_eq!(server.history(&token)[0].state, "complete");
    assert_eq!(server.tokens(&token), 3900);
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn a_chat_that_takes_too_long_is_refunded_before_the_server_stops(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut server = Server::start(&database, &["--dummy-delay", "60000"]);
    let token = server.user("ada");
    let chat = chat_in_flight(server.address(), &token);
    wait_for_hold(&server, &token);
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    assert_stops_in_time(&mut server, signalled);

    match chat.join().unwrap() {
        Ok(answer) => assert_eq!(answer.status, 502, "{answer:?}"),
        Err(broken) => assert_eq!(broken, Broken::NoAnswer),
    }
    assert_refunded(&database, &token);
}

/// A chat in progress has the same time after the drain delay as without one.
#[test]
fn the_ten_seconds_for_an_exit_begin_when_the_drain_delay_ends() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut server = Server::start(&database, &["--dummy-delay", "60000", "--drain-delay", "3"]);
    let token = server.user("ada");
    let chat = chat_in_flight(server.address(), &token);
    wait_for_hold(&server, &token);
    let drained = Instant::now() + Duration::from_secs(3);
    server.signal(Signal::TERM);
    wait::until("readiness to end", Duration::from_secs(2), || (!server.is_ready()).then_some(()));
    assert_eq!(server.tokens(&token), 3900, "it still serves requests");
    assert_stops_in_time(&mut server, drained);
    assert!(Instant::now() > drained, "it stopped before the delay was over");
    match chat.join().unwrap() {
        Ok(answer) => assert_eq!(answer.status, 502, "{answer:?}"),
        Err(broken) => assert_eq!(broken, Broken::NoAnswer),
    }
    assert_refunded(&database, &token);
}

#[rstest]
fn a_chat_whose_request_was_still_arriving_at_the_signal_is_refunded_too(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut server = Server::start(&database, &["--dummy-delay", "60000", "--workers", "1"]);
    let token = server.user("ada");
    let head = format!(
        "POST /chat/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 19\r\n\r\n"
    );
    let mut signalled = None;
    let rest = std::iter::once_with(|| {
        // The only worker reads what has arrived before it turns to the next connection.
        for _ in 0..3 {
            server.tokens(&token);
        }
        signalled = Some(Instant::now());
        server.signal(Signal::TERM);
        wait_for_the_signal(&server);
        br#"{"message":"Hello"}"#.as_slice()
    });
    let answer = server.client().raw_in_parts(std::iter::once(head.as_bytes()).chain(rest));
    let answer = answer.unwrap_or_else(|broken| panic!("{broken}:\n{}", server.log()));
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_stops_in_time(&mut server, signalled.unwrap());
    assert_refunded(&database, &token);
}

#[test]
fn a_stopping_server_never_reports_ready_while_a_chat_is_still_being_answered() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut server = Server::start(&database, &["--dummy-delay", "3000"]);
    let token = server.user("ada");
    // An idle keep-alive connection is closed, unless a request comes first and gets the 503.
    let mut probe = server.client();
    let mut ready = || match probe.send("GET", "/readyz", &[], b"") {
        Ok(answer) => Some(answer.status),
        Err(Broken::NoAnswer | Broken::Refused) => None,
        Err(broken) => panic!("{broken}"),
    };
    assert_eq!(ready(), Some(200));
    let chat = chat_in_flight(server.address(), &token);
    wait_for_hold(&server, &token);
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    wait_for_the_signal(&server);
    wait::until("readiness to end", Duration::from_secs(2), || (ready() != Some(200)).then_some(()));
    while !chat.is_finished() {
        let status = ready();
        assert!(matches!(status, None | Some(503)), "{status:?}");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(chat.join().unwrap().unwrap().status, 201);
    assert_stops_in_time(&mut server, signalled);
}

/// A service manager kills what does not stop in time, so what cannot be written is left to the
/// sweeper.
#[test]
fn a_hanging_database_does_not_keep_the_server_from_stopping() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let mut server = Server::start(&database, &["--dummy-delay", "2000"]);
    let token = server.user("ada");
    let chat = chat_in_flight(server.address(), &token);
    wait_for_hold(&server, &token);
    let mut keeper = PgConnection::establish(database.url()).unwrap();
    keeper.batch_execute("BEGIN; LOCK TABLE users, chats, auth_tokens IN ACCESS EXCLUSIVE MODE").unwrap();
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    assert_stops_in_time(&mut server, signalled);
    keeper.batch_execute("ROLLBACK").unwrap();
    assert_eq!(chat.join().unwrap().unwrap().status, 503, "not confirmed");
    assert_verified(&database);
}
