//! One user keeps requesting the longest possible pages, and leaves some of them unread.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use rstest::rstest;

use super::log_ins::StopOnDrop;
use crate::support::figures::report;
use crate::support::honest::HonestUser;
use crate::support::http::Client;
use crate::support::memory::PeakMemory;
use crate::support::server::{Launch, Server};
use crate::support::{On, TestDatabase};

/// Connections that send a request and never read.
const UNREAD: usize = 100;
/// Connections that read as fast as they can.
const READERS: usize = 8;
/// The limit on a page, in bytes: a mebibyte and one row.
const MOST_OF_A_PAGE: usize = 1024 * 1024 + 300_000;
const MOST_MB: u64 = 300;

const LISTS: [&str; 2] = ["/chats/?limit=200", "/ledger/?limit=200"];

/// Starts a server. Returns it with the tokens of a user with a long history and of another user.
fn server(database: &TestDatabase) -> (Server, String, String) {
    let server = Launch::on(database).flags(&["--throttle", "on", "--opening-tokens", "1000000"]).start();
    let (greedy, honest) = (server.user("greedy"), server.user("honest"));
    let long = "\u{1F680}".repeat(32_000);
    for _ in 0..40 {
        assert_eq!(server.chat(&greedy, &long).status, 201);
    }
    (server, greedy, honest)
}

/// Sends a request and reads nothing.
fn ask(address: SocketAddr, token: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    let head =
        format!("GET /chats/?limit=200 HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    connection
}

/// Reads pages until `stop` is set. Counts pages and rejections.
fn read(address: SocketAddr, token: &str, stop: &AtomicBool, pages: &AtomicUsize, rejected: &AtomicUsize) {
    let mut client = Client::new(address);
    for list in LISTS.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let answer = client.get(list, token).unwrap();
        assert!(answer.body.len() <= MOST_OF_A_PAGE, "a page has {} bytes", answer.body.len());
        match answer.status {
            200 => pages.fetch_add(1, Ordering::Relaxed),
            429 => rejected.fetch_add(1, Ordering::Relaxed),
            // The user's own reads have waited for too long.
            503 => 0,
            status => panic!("{status}: {}", answer.text()),
        };
    }
}

/// Times `GET /tokens/` of another user, ten times a second. Returns the times, sorted.
fn look_ups(address: SocketAddr, token: &str, time: Duration) -> Vec<Duration> {
    let (mut client, begun) = (Client::new(address), Instant::now());
    let mut took = Vec::new();
    while begun.elapsed() < time {
        let sent = Instant::now();
        assert_eq!(client.get("/tokens/", token).unwrap().status, 200);
        took.push(sent.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    took.sort();
    took
}

#[rstest]
fn long_histories_disturb_nobody_else(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let (server, greedy, honest) = server(&database);
    let address = server.address();
    let (memory, user) = (PeakMemory::watch(server.pid()), HonestUser::start(&server, &honest));
    let (stop, pages, rejected) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let unread: Vec<TcpStream> = (0..UNREAD).map(|_| ask(address, &greedy)).collect();
    let took = scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| read(address, &greedy, &stop, &pages, &rejected));
        }
        let _stop = StopOnDrop(&stop);
        look_ups(address, &honest, Duration::from_secs(5))
    });
    drop(unread);
    let report_of_user = user.stop();
    let middle = took[took.len() / 2];
    report(
        &format!("{UNREAD} unread and {READERS} read long histories, {on:?}"),
        &format!(
            "{} pages, {} rejected; GET /tokens/ p50 {} ms, slowest {} ms; peak {} MB; {}",
            pages.load(Ordering::Relaxed),
            rejected.load(Ordering::Relaxed),
            middle.as_millis(),
            took[took.len() - 1].as_millis(),
            memory.mb(),
            report_of_user.summary()
        ),
    );
    assert!(rejected.into_inner() > 0, "reads have no limit");
    assert!(memory.mb() < MOST_MB, "{} MB", memory.mb());
    report_of_user.assert_undisturbed();
}
