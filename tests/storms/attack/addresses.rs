//! Many connections from one address.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use rstest::rstest;

use crate::support::server::{Launch, Server};
use crate::support::sockets::{self, held};
use crate::support::wire::{Scheme, Wire};
use crate::support::{On, TestDatabase, wait};

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
/// The head of a chat, which is slow with `--dummy-delay`. The headers of the user follow.
const SLOW: &str = "POST /chat/ HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n";

/// Starts a server that also limits the connections of loopback addresses.
fn server_with_limit(database: &TestDatabase, scheme: Scheme, flags: &[&str]) -> Server {
    let bounds = ["--unlimited-addresses", "", "--max-connections-per-address", "4"];
    Launch::on(database).flags(&[&bounds[..], flags].concat()).over(scheme).start()
}

fn connect_from(from: Ipv4Addr, server: &Server) -> Wire {
    let socket = sockets::connect_from(from, server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    server.connector().over(socket).unwrap()
}

/// Sends a request and reads the beginning of its response. Returns an empty text if the connection
/// was closed.
fn ask(stream: &mut Wire, request: &[u8]) -> String {
    let mut part = [0; 2048];
    let read = stream.write_all(request).and_then(|()| stream.read(&mut part)).unwrap_or(0);
    String::from_utf8_lossy(&part[..read]).into_owned()
}

#[rstest]
fn a_school_behind_one_address_is_served_with_few_connections(
    #[values(Scheme::Http, Scheme::Https)] scheme: Scheme,
) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = server_with_limit(&database, scheme, &[]);
    let school = Ipv4Addr::new(127, 0, 0, 2);
    let mut pupils: Vec<Wire> = Vec::new();
    for _ in 0..60 {
        let mut pupil = connect_from(school, &server);
        assert!(ask(&mut pupil, GET).starts_with("HTTP/1.1 200"));
        pupils.push(pupil);
    }
    let of_school = || {
        let held = held(server.address().port());
        held.iter().filter(|client| client.ip() == school).count()
    };
    wait::until("the idlest connections to be closed", Duration::from_secs(10), || {
        (of_school() <= 4).then_some(())
    });
    assert_eq!(ask(&mut pupils[0], GET), "", "the idlest must be closed first");
    assert!(ask(&mut pupils[59], GET).starts_with("HTTP/1.1 200"));
}

#[rstest]
fn an_address_with_only_busy_connections_gets_429_and_others_are_served(
    #[values(Scheme::Http, Scheme::Https)] scheme: Scheme,
) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = server_with_limit(&database, scheme, &["--dummy-delay", "60000"]);
    let token = server.user("ada");
    let greedy = Ipv4Addr::new(127, 0, 0, 3);
    let chat = format!("{SLOW}Authorization: Bearer {token}\r\n\r\n{{\"message\":\"hi\"}}");
    let mut busy: Vec<Wire> = Vec::new();
    for number in 1..=4 {
        let mut stream = connect_from(greedy, &server);
        stream.write_all(chat.as_bytes()).unwrap();
        busy.push(stream);
        wait::until("the chat to begin", Duration::from_secs(20), || {
            let me = server.client().get("/me/", &token).unwrap().json();
            (me["held"] == 100 * number).then_some(())
        });
    }
    let rejected = ask(&mut connect_from(greedy, &server), GET);
    assert!(rejected.starts_with("HTTP/1.1 429 "), "{rejected}");
    assert!(rejected.contains("\r\nRetry-After: 5\r\n"), "{rejected}");
    assert!(rejected.contains("--max-connections-per-address"), "{rejected}");
    let other = ask(&mut connect_from(Ipv4Addr::new(127, 0, 0, 4), &server), GET);
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    // When one connection ends, the address has a place again.
    drop(busy.pop());
    wait::until("the place to be free", Duration::from_secs(10), || {
        ask(&mut connect_from(greedy, &server), GET).starts_with("HTTP/1.1 200").then_some(())
    });
}

#[test]
fn loopback_and_trusted_proxies_have_no_limit_per_address() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let flags = ["--max-connections-per-address", "4", "--trusted-proxies", "127.0.0.2"];
    for (from, more) in [(1, &[][..]), (2, &["--unlimited-addresses", "127.0.0.9"])] {
        let server = Server::start(&database, &[&flags[..], more].concat());
        let mut own: Vec<Wire> =
            (0..20).map(|_| connect_from(Ipv4Addr::new(127, 0, 0, from), &server)).collect();
        for _ in 0..2 {
            assert!(own.iter_mut().all(|stream| ask(stream, GET).starts_with("HTTP/1.1 200")));
        }
    }
}
