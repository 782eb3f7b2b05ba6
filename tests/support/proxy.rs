//! A proxy in front of PostgreSQL. It can lose the response to a COMMIT, so that the client does
//! not learn that the commit is done. A writer's statement outside a transaction counts as one. It
//! can close the client's side of a connection and deliver its statement later. It can stall: it
//! keeps all connections open and passes nothing on. It can also stop each new connection at a
//! chosen point.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::wait;

#[derive(Default)]
struct Orders {
    /// Counts down with each COMMIT. The COMMIT that makes it 0 is lost.
    commits_left: AtomicU32,
    /// The number of further COMMITs that are lost after that one.
    more_losses: AtomicU32,
    stalled: AtomicBool,
    /// Whether to pass nothing on from the next COMMIT on.
    stall_at_commit: AtomicBool,
    /// Whether to close new connections.
    refuse: AtomicBool,
    /// Whether to set `refuse` when a COMMIT is lost.
    refuse_then: AtomicBool,
    /// New connections stop before this message of their client, counted from 1. 0 means that they
    /// do not stop.
    stop_at_message: AtomicU32,
    /// The number of connections that have stopped at that point.
    stopped: AtomicU32,
    /// The number of queries that end a connection of PostgreSQL and are lost, each with its own
    /// connection.
    ends_to_lose: AtomicU32,
    /// Whether to withhold a writer's next statement.
    withhold: AtomicBool,
    /// The statement that is withheld, and where it should go.
    withheld: Mutex<Option<(Vec<u8>, TcpStream)>>,
    /// Whether the server has ended its side of that connection, or answered.
    withheld_is_over: AtomicBool,
    /// Both ends of each connection.
    open: Mutex<Vec<TcpStream>>,
}

impl Orders {
    fn wait_while_stalled(&self) {
        while self.stalled.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop_here(&self) {
        self.stopped.fetch_add(1, Ordering::SeqCst);
        while self.stop_at_message.load(Ordering::SeqCst) != 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn loses_this_end(&self) -> bool {
        let count_down = |left: u32| left.checked_sub(1);
        self.ends_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).is_ok()
    }

    fn loses_this_commit(&self) -> bool {
        let count_down = |left: u32| left.checked_sub(1);
        match self.commits_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down) {
            Ok(left) => left == 1,
            Err(_) => self.more_losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).is_ok(),
        }
    }
}

pub struct Proxy {
    address: SocketAddr,
    orders: Arc<Orders>,
}

impl Proxy {
    /// Starts a proxy for the database at `url`. It lasts as long as the test process.
    pub fn start(url: &str) -> Proxy {
        let server: SocketAddr = host_of(url).parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let orders = Arc::new(Orders::default());
        let shared = orders.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !shared.refuse.load(Ordering::SeqCst) {
                    forward(client, TcpStream::connect(server).unwrap(), shared.clone());
                }
            }
        });
        Proxy { address, orders }
    }

    /// Returns the URL of the same database through the proxy.
    pub fn url(&self, url: &str) -> String {
        url.replace(host_of(url), &self.address.to_string())
    }

    /// Loses one COMMIT, counted from 1 and from now: it reaches the server, but its response and
    /// the connection are lost.
    pub fn lose_commit(&self, number: u32) {
        self.orders.commits_left.store(number, Ordering::SeqCst);
    }

    /// Like [`Proxy::lose_commit`], for this number of COMMITs in a row.
    pub fn lose_commits(&self, number: u32, in_a_row: u32) {
        self.orders.more_losses.store(in_a_row - 1, Ordering::SeqCst);
        self.lose_commit(number);
    }

    /// From the next COMMIT on, passes nothing on and closes nothing, so that its transaction stays
    /// open.
    pub fn stall_at_commit(&self) {
        self.orders.stall_at_commit.store(true, Ordering::SeqCst);
    }

    pub fn is_stalled(&self) -> bool {
        self.orders.stalled.load(Ordering::SeqCst)
    }

    pub fn resume(&self) {
        self.orders.stalled.store(false, Ordering::SeqCst);
    }

    /// Closes all connections. From now on, each new one passes on this number of messages of its
    /// client (a query, or a part of the handshake) and then nothing more, but stays open.
    pub fn stop_new_connections_after(&self, messages: u32) {
        self.orders.stopped.store(0, Ordering::SeqCst);
        self.orders.stop_at_message.store(messages + 1, Ordering::SeqCst);
        for end in self.orders.open.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Returns the number of connections that have stopped so far.
    pub fn stopped_connections(&self) -> u32 {
        self.orders.stopped.load(Ordering::SeqCst)
    }

    /// Lets new connections through, while those that have stopped stay as they are.
    pub fn stop_no_more_connections(&self) {
        self.orders.stop_at_message.store(u32::MAX, Ordering::SeqCst);
    }

    /// Lets the stopped connections continue. New ones do not stop.
    pub fn continue_connections(&self) {
        self.orders.stop_at_message.store(0, Ordering::SeqCst);
    }

    /// Like [`Proxy::lose_commit`], but later connections fail, until [`Proxy::accept_again`].
    pub fn lose_commit_and_refuse(&self, number: u32) {
        self.orders.refuse_then.store(true, Ordering::SeqCst);
        self.lose_commit(number);
    }

    pub fn accept_again(&self) {
        self.orders.refuse_then.store(false, Ordering::SeqCst);
        self.orders.refuse.store(false, Ordering::SeqCst);
    }

    /// Keeps back a writer's next statement outside a transaction, and disconnects the client. With
    /// `refuses`, later connections fail, until [`Proxy::accept_again`].
    pub fn withhold_statement(&self, refuses: bool) {
        self.orders.refuse_then.store(refuses, Ordering::SeqCst);
        self.orders.withhold.store(true, Ordering::SeqCst);
    }

    /// Loses this number of `pg_terminate_backend`, each with its connection.
    pub fn lose_ends(&self, number: u32) {
        self.orders.ends_to_lose.store(number, Ordering::SeqCst);
    }

    /// Returns whether all of those have been lost.
    pub fn has_lost_ends(&self) -> bool {
        self.orders.ends_to_lose.load(Ordering::SeqCst) == 0
    }

    pub fn has_withheld(&self) -> bool {
        self.orders.withheld.lock().unwrap().is_some()
    }

    /// Delivers the statement that was kept back. Waits until the server has answered it, or has
    /// ended the connection.
    pub fn deliver(&self) {
        let (bytes, mut server) = self.orders.withheld.lock().unwrap().take().expect("nothing was withheld");
        // The server may have ended the connection.
        let _ = server.write_all(&bytes);
        wait::until("the answer to the statement", Duration::from_secs(20), || {
            self.orders.withheld_is_over.load(Ordering::SeqCst).then_some(())
        });
    }

    /// Returns whether all COMMITs that were to be lost have been lost.
    pub fn has_lost_commits(&self) -> bool {
        let left = |counter: &AtomicU32| counter.load(Ordering::SeqCst);
        left(&self.orders.commits_left) == 0 && left(&self.orders.more_losses) == 0
    }
}

/// Returns `127.0.0.1:5432` for `postgres://postgres@127.0.0.1:5432/test`.
fn host_of(url: &str) -> &str {
    let (_, rest) = url.split_once('@').expect("the URL has a user");
    rest.split_once('/').expect("the URL has a database").0
}

fn forward(client: TcpStream, server: TcpStream, orders: Arc<Orders>) {
    let cut = Arc::new(AtomicBool::new(false));
    let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    orders.open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    let mut messages_left = orders.stop_at_message.load(Ordering::SeqCst);
    let from_server_is_cut = cut.clone();
    let watched = orders.clone();
    let in_transaction = Arc::new(AtomicBool::new(false));
    let (is_in_transaction, mut is_writer) = (in_transaction.clone(), false);
    let is_withheld = Arc::new(AtomicBool::new(false));
    let (withholds, kept) = (is_withheld.clone(), to_server.try_clone().unwrap());
    std::thread::spawn(move || {
        copy(from_client, to_server, |bytes| {
            let contains = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
            is_writer |= contains(b"tollgate-writer");
            let runs_statement = bytes.starts_with(b"B") && contains(b"__diesel_stmt");
            let is_alone = is_writer && runs_statement && !is_in_transaction.load(Ordering::SeqCst);
            let is_commit = is_alone || contains(b"COMMIT\0");
            if contains(b"pg_terminate_backend") && watched.loses_this_end() {
                return Pass::Nothing;
            }
            if is_alone && watched.withhold.swap(false, Ordering::SeqCst) {
                watched.refuse.store(watched.refuse_then.load(Ordering::SeqCst), Ordering::SeqCst);
                let statement = (bytes.to_owned(), kept.try_clone().unwrap());
                *watched.withheld.lock().unwrap() = Some(statement);
                withholds.store(true, Ordering::SeqCst);
                return Pass::Kept;
            }
            if is_commit && watched.stall_at_commit.swap(false, Ordering::SeqCst) {
                watched.stalled.store(true, Ordering::SeqCst);
            }
            watched.wait_while_stalled();
            if messages_left == 1 {
                watched.stop_here();
            }
            messages_left = messages_left.saturating_sub(1);
            if is_commit && watched.loses_this_commit() {
                cut.store(true, Ordering::SeqCst);
            }
            Pass::On
        })
    });
    // libpq waits for each response before it sends more, so the next response after a COMMIT
    // belongs to it.
    std::thread::spawn(move || {
        copy(server, client, |bytes| {
            // The server ends each response with ReadyForQuery, which has the state.
            if let [.., b'Z', 0, 0, 0, 5, state] = bytes {
                in_transaction.store(*state != b'I', Ordering::SeqCst);
            }
            orders.wait_while_stalled();
            let is_cut = from_server_is_cut.load(Ordering::SeqCst);
            if is_cut && orders.refuse_then.load(Ordering::SeqCst) {
                orders.refuse.store(true, Ordering::SeqCst);
            }
            if is_cut { Pass::Nothing } else { Pass::On }
        });
        if is_withheld.load(Ordering::SeqCst) {
            orders.withheld_is_over.store(true, Ordering::SeqCst);
        }
    });
}

/// What happens to bytes.
enum Pass {
    On,
    /// From now on, nothing is passed on in either direction.
    Nothing,
    /// The sender is disconnected, and the receiver is not.
    Kept,
}

/// Copies until one side ends, or `pass` says otherwise.
fn copy(mut from: TcpStream, mut to: TcpStream, mut pass: impl FnMut(&[u8]) -> Pass) {
    let mut buffer = [0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        match pass(&buffer[..count]) {
            Pass::On if to.write_all(&buffer[..count]).is_ok() => {}
            Pass::On | Pass::Nothing => break,
            Pass::Kept => {
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
