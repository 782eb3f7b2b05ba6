//! Floods of log-ins, each address within its throttle, beside honest users who log in.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use rstest::rstest;
use serde_json::json;

use crate::support::figures::report;
use crate::support::honest::HonestUser;
use crate::support::html::forms;
use crate::support::http::{Answer, Client};
use crate::support::ledger::raw;
use crate::support::panel::encoded;
use crate::support::server::{Launch, PASSWORD, Server};
use crate::support::{On, TestDatabase, require, wait};

/// The number of simultaneous clients of the flood. Each uses one address after the other.
const CLIENTS: usize = 48;
const ADDRESSES: usize = 256;
const PUPILS: usize = 30;
const OTHERS: usize = 15;
const SCHOOL: &str = "198.51.100.1";
const OFFICE: &str = "203.0.113.1";

fn other(number: usize) -> String {
    format!("192.0.2.{}", number + 1)
}

/// Sends a body from an address, as a proxy reports it.
fn post_from(client: &mut Client, from: &str, path: &str, name: &str, password: &str) -> Answer {
    let body = json!({ "username": name, "password": password }).to_string();
    let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
    client.send("POST", path, &headers, body.as_bytes()).unwrap()
}

/// Logs in. Returns how long it took.
fn logs_in(address: SocketAddr, from: &str, name: &str) -> Result<Duration, Answer> {
    let (mut client, begun) = (Client::new(address), Instant::now());
    let answer = post_from(&mut client, from, "/login/", name, PASSWORD);
    if answer.status == 200 { Ok(begun.elapsed()) } else { Err(answer) }
}

/// Signs in to the panel.
fn signs_in(address: SocketAddr, from: &str) -> Answer {
    let mut client = Client::new(address);
    let origin = format!("http://{address}");
    let page = client.send("GET", "/admin/sign-in/", &[("X-Forwarded-For", from)], b"").unwrap();
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let form = forms(&page.text()).pop().unwrap().with(&[("username", "root"), ("password", PASSWORD)]);
    let headers = [
        ("Origin", origin.as_str()),
        ("Cookie", cookie.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Forwarded-For", from),
    ];
    client.send("POST", "/admin/sign-in/", &headers, encoded(&form.fields).as_bytes()).unwrap()
}

/// Starts a server behind a proxy, with users who have never logged in.
fn school(database: &TestDatabase) -> Server {
    let flags = ["--throttle", "on", "--trusted-proxies", "127.0.0.1", "--bcrypt-cost", "9"];
    let server = Launch::on(database).flags(&flags).start();
    let mut client = server.client();
    let pupils = (0..PUPILS).map(|number| format!("pupil-{number}"));
    let others = (0..OTHERS).map(|number| format!("other-{number}"));
    for (number, name) in pupils.chain(others).chain(["root".to_owned()]).enumerate() {
        let answer = post_from(&mut client, &format!("10.9.{number}.1"), "/register/", &name, PASSWORD);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let rights = "UPDATE users SET is_staff = TRUE, is_superuser = TRUE WHERE username = 'root'";
    raw(database.on(), database.url()).batch_execute(rights).unwrap();
    server
}

/// Ends the threads of a scope even if a test fails in it.
pub(super) struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The results of those who logged in during a flood.
#[derive(Default)]
struct Seen {
    flood: usize,
    rejected: usize,
    slowest: Duration,
    log_ins: usize,
}

/// Runs `honest` while the flood's addresses guess passwords, each within its throttle. `address`
/// makes an address of a number. Returns how many guesses were sent, and how many were rejected.
fn flooded(server: &Server, address: fn(usize) -> String, honest: impl FnOnce()) -> (usize, usize) {
    let (stop, sent, rejected) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = server.client();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (from, name) = (address(number % ADDRESSES), format!("nobody-{number}"));
                    let answer = post_from(&mut client, &from, "/login/", &name, "a guess");
                    sent.fetch_add(1, Ordering::Relaxed);
                    rejected.fetch_add(usize::from(answer.status != 400), Ordering::Relaxed);
                }
            });
        }
        let is_under_way = || (sent.load(Ordering::Relaxed) >= 2 * CLIENTS).then_some(());
        let _stop = StopOnDrop(&stop);
        wait::until("the flood", Duration::from_secs(30), is_under_way);
        honest();
    });
    (sent.into_inner(), rejected.into_inner())
}

fn log_in_all(server: &Server) -> Seen {
    let mut seen = Seen::default();
    let address = server.address();
    let outcomes: Vec<Result<Duration, Answer>> = scope(|scope| {
        let pupils = (0..PUPILS).map(|number| (SCHOOL.to_owned(), format!("pupil-{number}")));
        let others = (0..OTHERS).map(|number| (other(number), format!("other-{number}")));
        let all: Vec<_> = pupils.chain(others).collect();
        let threads: Vec<_> =
            all.into_iter().map(|(from, name)| scope.spawn(move || logs_in(address, &from, &name))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for outcome in outcomes {
        match outcome {
            Ok(took) => {
                seen.log_ins += 1;
                seen.slowest = seen.slowest.max(took);
            }
            Err(answer) => println!("a log-in got {}", answer.status),
        }
    }
    seen
}

/// The administrator, a class of 30 behind one address, and 15 others from their homes.
#[rstest]
#[case::of_one_56("256 addresses of one IPv6 /56", |n| format!("2001:db8:1:{n:x}::1"))]
#[case::of_many_48s("256 IPv6 /48 of one /32", |n| format!("2001:db8:{n:x}::1"))]
#[case::of_ipv4("256 IPv4 addresses of one /24", |n| format!("100.64.7.{n}"))]
fn everybody_can_log_in_during_a_flood_of_log_ins(#[case] flood: &str, #[case] address: fn(usize) -> String) {
    if !require::long() && !flood.contains("/56") {
        return require::skipped("the other floods run with --all");
    }
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = school(&database);
    let token = logged_in(&server, "pupil-0");
    let user = HonestUser::start(&server, &token);
    let mut seen = Seen::default();
    let (flood_sent, rejected) = flooded(&server, address, || {
        let signed_in = signs_in(server.address(), OFFICE);
        assert_eq!(signed_in.status, 303, "the administrator: {}", signed_in.text());
        seen = log_in_all(&server);
    });
    (seen.flood, seen.rejected) = (flood_sent, rejected);
    let honest = user.stop();
    report(
        &format!("log-ins from {flood}"),
        &format!(
            "{} sent, {} of them rejected; administrator in; {} of {} log-ins, slowest {} ms; {}",
            seen.flood,
            seen.rejected,
            seen.log_ins,
            PUPILS + OTHERS,
            seen.slowest.as_millis(),
            honest.summary()
        ),
    );
    assert!(seen.log_ins + 1 >= PUPILS + OTHERS, "only {} could log in", seen.log_ins);
    honest.assert_undisturbed();
}

/// Logs a user in. Returns the auth token.
fn logged_in(server: &Server, name: &str) -> String {
    let answer = post_from(&mut server.client(), OFFICE, "/login/", name, PASSWORD);
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// Each address of the flood is a separate network, so strangers have to wait. An account that has
/// signed in from the same address before does not wait, and the panel has its own share.
#[test]
fn known_users_can_log_in_during_a_flood_from_everywhere() {
    if !require::long() {
        return require::skipped("it runs with --all");
    }
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = school(&database);
    let address = server.address();
    for number in 0..OTHERS {
        logs_in(address, &other(number), &format!("other-{number}")).unwrap();
    }
    let token = logged_in(&server, "pupil-0");
    let user = HonestUser::start(&server, &token);
    let (mut slowest, mut sign_in) = (Duration::ZERO, Duration::ZERO);
    let everywhere = |n: usize| format!("{}.{}.7.7", 20 + n / 16, n % 16);
    let (sent, _) = flooded(&server, everywhere, || {
        let begun = Instant::now();
        assert_eq!(signs_in(address, OFFICE).status, 303);
        sign_in = begun.elapsed();
        for number in 0..OTHERS {
            let took = logs_in(address, &other(number), &format!("other-{number}"));
            slowest = slowest.max(took.unwrap_or_else(|answer| panic!("{answer:?}")));
        }
    });
    let honest = user.stop();
    report(
        "log-ins from 256 IPv4 /16",
        &format!(
            "{sent} sent; panel in {} ms; {OTHERS} of {OTHERS} known ones in, slowest {} ms; {}",
            sign_in.as_millis(),
            slowest.as_millis(),
            honest.summary()
        ),
    );
    honest.assert_undisturbed();
}
