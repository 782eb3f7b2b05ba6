//! Deadlines of a connection in each of its stages.

use std::sync::Arc;

use tokio::io::ReadBuf;

use super::registry::{Bounds, Registry};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn connection() -> Connection {
    let bounds = Bounds { connections: 10, per_address: 10, unlimited: Default::default() };
    let slot = Arc::new(Registry::new(bounds)).admit("192.0.2.1".parse().unwrap()).unwrap();
    let limits = Limits {
        head: 5 * SECOND,
        body: 15 * SECOND,
        keep_alive: 75 * SECOND,
        write: 30 * SECOND,
        exchange: 420 * SECOND,
    };
    Connection::new(limits, slot, MemoryBudget::new(1 << 20))
}

/// Returns the seconds that are left, and why the connection is closed after them.
fn left(connection: &Connection) -> (u64, &'static str) {
    let (deadline, why) = connection.deadline();
    let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(100);
    (left.as_secs(), why)
}

fn receive(connection: &Connection, bytes: &[u8]) {
    assert_eq!(connection.pass_fresh(bytes), bytes.len());
}

#[test]
fn each_stage_has_its_limit() {
    let connection = connection();
    // actix-http's own limit of 5 s answers 408 first, with a clock that may lag.
    assert_eq!(left(&connection), (5 + 1, "no whole head in time"));
    receive(&connection, b"POST / HTTP/1.1\r\n\r\n");
    connection.begin(BodyLength::Known(3));
    assert_eq!(left(&connection), (15 + 6, "no whole body in time"));
    receive(&connection, b"abc");
    assert_eq!(left(&connection), (420, "no response in time"));
    connection.finish(true);
    assert_eq!(left(&connection), (75, "no further request in time"));
    receive(&connection, b"\r\n");
    assert_eq!(left(&connection).0, 75, "an empty line begins nothing");
    receive(&connection, b"G");
    assert_eq!(left(&connection), (5, "no whole head in time"));
}

#[test]
fn a_tls_handshake_has_a_limit_of_its_own_before_that_of_the_head() {
    let connection = connection();
    connection.begin_handshake();
    assert_eq!(left(&connection), (5, "no whole TLS handshake in time"));
    connection.end_handshake();
    assert_eq!(left(&connection), (5 + 1, "no whole head in time"));
}

#[test]
fn bytes_of_tls_count_towards_the_memory_budget_until_they_are_passed_on() {
    let connection = connection();
    connection.note_sealed(8 * 1024);
    assert_eq!(connection.budget.used(), 0, "a short record is not counted");
    connection.note_sealed(100);
    connection.note_sealed(4_000);
    assert_eq!(connection.budget.used(), 8 * 1024 + 100 + 4_000);
    connection.note_opened();
    assert_eq!(connection.budget.used(), 0);
    connection.note_sealed(10_000);
    connection.end_handshake();
    assert_eq!(connection.budget.used(), 0, "the handshake's messages are gone");
}

#[test]
fn bytes_that_were_read_to_find_the_end_of_tls_wait_for_their_turn() {
    let connection = connection();
    receive(&connection, b"GET / HTTP/1.1\r\n\r\n");
    connection.begin(BodyLength::None);
    connection.carry(b"GET /2", true);
    assert!(!connection.may_read());
    connection.finish(true);
    assert_eq!(left(&connection).0, 5, "the next head has begun");
    let mut space = vec![0; 100];
    let mut buffer = ReadBuf::new(&mut space);
    assert!(connection.pass_carried(&mut buffer));
    assert_eq!(buffer.filled(), b"GET /2");
}

#[test]
fn a_body_has_a_second_more_for_each_64_kib_up_to_the_longest_body() {
    for (length, more) in [(0xffff, 0), (0x10000, 1), (8 << 20, 128), (u64::MAX, 128)] {
        let connection = connection();
        receive(&connection, b"POST / HTTP/1.1\r\n\r\n");
        connection.begin(BodyLength::Known(length));
        assert_eq!(left(&connection).0, 15 + more + 6, "{length}");
    }
    let connection = connection();
    receive(&connection, b"POST / HTTP/1.1\r\n\r\n");
    connection.begin(BodyLength::Chunked);
    receive(&connection, b"fffffff\r\n");
    assert_eq!(left(&connection).0, 21);
    (0..2).for_each(|_| receive(&connection, &[b'x'; 0x10000]));
    assert_eq!(left(&connection).0, 23, "by what has come");
}

#[test]
fn a_response_has_a_second_for_each_4_kib_and_a_stream_what_is_left_of_its_request() {
    let connection = connection();
    receive(&connection, b"GET / HTTP/1.1\r\n\r\n");
    connection.begin(BodyLength::None);
    connection.respond(Some(1 << 20));
    assert_eq!(left(&connection), (30 + 256, "a response was not taken in time"));
    connection.stalls();
    assert_eq!(left(&connection), (30, "nothing of a response was taken in time"));
    connection.wrote();
    assert_eq!(left(&connection).0, 30 + 256);
    connection.finish(true);
    receive(&connection, b"GET / HTTP/1.1\r\n\r\n");
    connection.begin(BodyLength::None);
    connection.respond(None);
    assert_eq!(left(&connection).0, 420);
}

#[test]
fn after_the_last_response_little_time_is_left() {
    for keep in [true, false] {
        let connection = connection();
        receive(&connection, b"POST / HTTP/1.1\r\n\r\n");
        connection.begin(if keep { BodyLength::Known(1) } else { BodyLength::None });
        connection.finish(keep);
        assert_eq!(
            left(&connection),
            (3, "it did not end in time"),
            "a body is not whole, or it is to be closed"
        );
        connection.stalls();
        assert_eq!(left(&connection).0, 30, "unless the client still takes the response");
    }
}

#[test]
fn one_request_is_passed_on_at_a_time() {
    let connection = connection();
    assert_eq!(connection.pass_fresh(b"GET / HTTP/1.1\r\n\r\nGET /2"), 18);
    assert!(!connection.may_read());
    connection.begin(BodyLength::None);
    assert!(!connection.may_read());
    connection.finish(true);
    assert!(connection.may_read());
    assert_eq!(left(&connection).0, 5, "the next head has begun");
    connection.stalls();
    assert!(!connection.may_read(), "while the client takes no response");
}

#[test]
fn bytes_behind_a_request_count_towards_the_memory_budget_until_they_are_passed_on() {
    let connection = connection();
    let mut bytes = b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nX: ".to_vec();
    bytes.resize(18 + 60_000, b'x');
    assert_eq!(connection.pass_fresh(&bytes), 18);
    assert_eq!(connection.budget.used(), 60_000);
    connection.begin(BodyLength::None);
    connection.finish(true);
    let mut space = vec![0; 70_000];
    assert!(connection.pass_carried(&mut ReadBuf::new(&mut space)));
    assert_eq!(connection.budget.used(), 60_000, "as a head, and no longer twice");
}
