//! No connection outlives its limits, whatever its client sends, drips or leaves unread. None is
//! closed early. TLS changes nothing of this, and handshakes have a limit of their own.

mod cases;
mod handshakes;

use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use crate::support::server::{Launch, Server};
use crate::support::sockets::{self, connect_with_a_small_buffer};
use crate::support::wire::{Connector, Scheme, Wire};
use crate::support::{On, TestDatabase, require};

/// The limits of the server under test, in seconds.
const HEAD: f64 = 1.0;
const BODY: f64 = 1.0;
const KEEP_ALIVE: f64 = 4.0;
const WRITE: f64 = 2.0;
/// How long the server keeps reading after its last response.
const LINGER: f64 = 3.5;
/// A busy machine closes connections late.
const SLACK: Duration = Duration::from_millis(2500);
/// A client that sends its first bytes later than this may miss the time limit for a head.
const PROMPT: Duration = Duration::from_millis(500);
/// A connection that the kernel's table omits is there again within this time.
const REAPPEARS: Duration = Duration::from_millis(500);
/// Longer than any limit.
const END: Duration = Duration::from_secs(14);

/// What a client does after its first bytes.
#[derive(Clone, Debug)]
enum Then {
    Nothing,
    /// Sends these bytes ten times a second.
    Drip(Vec<u8>),
    /// Sends these bytes a thousand times a second.
    Flood(Vec<u8>),
    /// Reads one byte a second.
    Sip,
    /// Shuts down its sending side.
    HalfClose,
    /// Waits for this time, then sends these bytes.
    Later(Duration, Vec<u8>),
}

/// A hostile client, and the longest time that its connection may last, in seconds.
#[derive(Clone, Debug)]
struct Case {
    what: String,
    first: Vec<u8>,
    then: Then,
    /// Whether the client has a small receive buffer, so that a long response stays in the server.
    is_deaf: bool,
    at_least: f64,
    at_most: f64,
}

struct Scene {
    _database: TestDatabase,
    server: Server,
    token: String,
}

impl Scene {
    /// Starts a server with this limit on heads and bodies, in seconds, and a user with a history.
    fn new(scheme: Scheme, limit: &str) -> Option<Scene> {
        let database = TestDatabase::create(On::Sqlite)?;
        let flags = ["--head-timeout", limit, "--body-timeout", limit, "--keep-alive-timeout", "4"];
        let flags = [&flags[..], &["--write-timeout", "2", "--log", "debug"]].concat();
        let server = Launch::on(&database).flags(&flags).over(scheme).start();
        let token = server.user("ada");
        // A history of 2 MB.
        for _ in 0..8 {
            assert_eq!(server.chat(&token, &"\u{1f422}".repeat(32_000)).status, 201);
        }
        // The last response has 28 KB.
        assert_eq!(server.chat(&token, &"\u{1f422}".repeat(3500)).status, 201);
        Some(Scene { _database: database, server, token })
    }
}

impl Case {
    /// Connects, sends the first bytes, and starts a thread for the rest, which ends once
    /// `should_stop` is set. The next client waits until this one has sent its first bytes, as
    /// otherwise a busy machine would make many of them too late.
    fn start(self, server: SocketAddr, connector: &Connector, should_stop: &Arc<AtomicBool>) -> Client {
        // The server may see the connection before this thread runs again.
        let since = Instant::now();
        let socket = match self.is_deaf {
            true => connect_with_a_small_buffer(server),
            false => TcpStream::connect(server).unwrap(),
        };
        socket.set_nodelay(true).unwrap();
        socket.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = connector.over(socket).map(|mut stream| {
            let _ = stream.write_all(&self.first);
            stream
        });
        let is_prompt = stream.is_ok() && since.elapsed() < PROMPT;
        let (then, should_stop) = (self.then.clone(), should_stop.clone());
        let thread = std::thread::spawn(move || {
            let mut stream = stream.ok()?;
            then.act(&mut stream, &should_stop);
            Some(stream)
        });
        Client { case: self, own, since, is_prompt, thread }
    }
}

/// A hostile client that has connected.
struct Client {
    case: Case,
    own: SocketAddr,
    since: Instant,
    is_prompt: bool,
    /// Returns the stream, so that it stays open until then.
    thread: JoinHandle<Option<Wire>>,
}

impl Then {
    /// Acts until `should_stop` is set, whatever happens to the connection.
    fn act(&self, stream: &mut Wire, should_stop: &AtomicBool) {
        let pause = match self {
            Then::Nothing => return,
            Then::HalfClose => {
                stream.close_write();
                return;
            }
            Then::Later(wait, bytes) => {
                std::thread::sleep(*wait);
                let _ = stream.write_all(bytes);
                return;
            }
            // A higher rate would only keep this machine busy.
            Then::Flood(_) => Duration::from_millis(1),
            Then::Drip(_) => Duration::from_millis(100),
            Then::Sip => Duration::from_secs(1),
        };
        while !should_stop.load(Ordering::Relaxed) {
            match self {
                Then::Sip => drop(stream.read(&mut [0])),
                Then::Drip(bytes) | Then::Flood(bytes) => {
                    if stream.write(bytes).is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
                    {
                        return;
                    }
                }
                _ => return,
            }
            std::thread::sleep(pause);
        }
    }
}

/// How long the server held a connection.
struct Lifetime {
    case: Case,
    /// In seconds. Infinite if the server still held it at the end.
    lasted: f64,
    /// Whether the client sent its first bytes promptly. On a busy machine it may not, and then the
    /// connection may be closed early.
    is_prompt: bool,
}

/// Returns how long the server held each connection.
fn lifetimes(server: SocketAddr, connector: &Connector, cases: Vec<Case>) -> Vec<Lifetime> {
    let should_stop = Arc::new(AtomicBool::new(false));
    let start = |case: Case| case.start(server, connector, &should_stop);
    let clients: Vec<Client> = cases.into_iter().map(start).collect();
    let last = Instant::now() + END;
    let mut closed: HashMap<SocketAddr, Instant> = HashMap::new();
    let mut changed = Instant::now();
    while Instant::now() < last && (closed.len() < clients.len() || changed.elapsed() < REAPPEARS) {
        std::thread::sleep(Duration::from_millis(50));
        let now = Instant::now();
        let open = sockets::open(server.port());
        for client in &clients {
            // The kernel's table may omit a connection while others come and go, so what counts is
            // when it was last there.
            if open.contains(&client.own) {
                closed.remove(&client.own);
                changed = now;
            } else {
                closed.entry(client.own).or_insert_with(|| {
                    changed = now;
                    now
                });
            }
        }
    }
    should_stop.store(true, Ordering::Relaxed);
    let measured = clients.into_iter().map(|Client { case, own, since, is_prompt, thread }| {
        drop(thread.join());
        let closed = closed.get(&own).filter(|closed| closed.elapsed() >= REAPPEARS);
        let lasted = closed.map(|closed| closed.saturating_duration_since(since).as_secs_f64());
        Lifetime { case, lasted: lasted.unwrap_or(f64::INFINITY), is_prompt }
    });
    measured.collect()
}

impl Lifetime {
    /// Returns whether the connection was held for as long as it should be.
    fn is_right(&self) -> bool {
        let slack = require::patience(SLACK).as_secs_f64();
        let is_early = self.is_prompt && self.lasted < self.case.at_least - 0.2;
        !is_early && self.lasted <= self.case.at_most + slack
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { what, at_least, at_most, .. } = &self.case;
        write!(f, "{what}: {:.1} s, not {at_least:.1} to {at_most:.1} s", self.lasted)
    }
}

/// Fails if a connection is held for longer than it may last, or is closed early. On a machine that
/// is busy with other tests a measurement may be off, so what looks wrong is measured again, with
/// few other connections.
fn assert_limits(server: &Server, connector: &Connector, cases: Vec<Case>) {
    let count = cases.len();
    let measured = lifetimes(server.address(), connector, cases);
    let prompt = measured.iter().filter(|lifetime| lifetime.is_prompt).count();
    assert!(prompt * 2 > count, "only {prompt} of {count} clients were prompt: this machine is too busy");
    let first: Vec<_> = measured.into_iter().filter(|lifetime| !lifetime.is_right()).collect();
    if first.is_empty() {
        return;
    }
    println!("measured again: {}", list(&first));
    let again: Vec<_> = first.into_iter().map(|lifetime| lifetime.case).collect();
    let again = lifetimes(server.address(), connector, again);
    let wrong: Vec<_> = again.into_iter().filter(|lifetime| !lifetime.is_right()).collect();
    assert!(wrong.is_empty(), "{} of {count}:\n{}\n{}", wrong.len(), list(&wrong), server.log());
}

fn list(lifetimes: &[Lifetime]) -> String {
    lifetimes.iter().map(Lifetime::to_string).collect::<Vec<_>>().join("\n")
}

#[rstest]
fn no_connection_outlives_its_limits_and_none_is_closed_early(
    #[values(Scheme::Http, Scheme::Https)] scheme: Scheme,
) {
    let Some(scene) = Scene::new(scheme, "1") else { return };
    assert_limits(&scene.server, &scene.server.connector(), cases::all(&scene.token));
    assert_eq!(scene.server.chat(&scene.token, "still there?").status, 201);
    let log = scene.server.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// The counterpart: clients that are merely slow get their responses.
#[rstest]
fn a_client_that_is_merely_slow_is_served(#[values(Scheme::Http, Scheme::Https)] scheme: Scheme) {
    let Some(scene) = Scene::new(scheme, "3") else { return };
    let head = format!("Host: a\r\nAuthorization: Bearer {}\r\n", scene.token);
    let (page, own) = std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let socket = connect_with_a_small_buffer(scene.server.address());
            let mut stream = scene.server.connector().over(socket).unwrap();
            write!(stream, "GET /chats/?limit=200 HTTP/1.1\r\n{head}Connection: close\r\n\r\n").unwrap();
            let (mut page, mut part) = (Vec::new(), vec![0; 64 * 1024]);
            loop {
                match stream.read(&mut part).unwrap() {
                    0 => return page,
                    read => page.extend_from_slice(&part[..read]),
                }
                // Slow at first only, so that the test ends.
                if page.len() < 600_000 {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        let writer = threads.spawn(|| {
            // Each request takes 1.2 s in all, and each has its own time limit.
            let mut client = scene.server.client();
            let body = json!({ "message": "slowly" }).to_string();
            let request =
                format!("POST /chat/ HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
            (0..3)
                .map(|_| {
                    let size = request.len().div_ceil(6);
                    let parts = request.as_bytes().chunks(size);
                    let parts = parts.inspect(|_| std::thread::sleep(Duration::from_millis(200)));
                    client.raw_in_parts(parts).unwrap().status
                })
                .collect::<Vec<_>>()
        });
        (reader.join().unwrap(), writer.join().unwrap())
    });
    assert_eq!(own, [201, 201, 201]);
    let text = String::from_utf8(page).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let page: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.len() > 500_000 && page["chats"].is_array());
}
