//! Chats at a fixed rate. When each is due is settled before the run, whatever the server does, and its latency counts
//! from then: a client that waits for a slow answer before it sends the next request would leave out just those
//! requests that had to wait (the "coordinated omission" of most load generators).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::{Connection, post};

/// What is sent before this is not counted.
const WARM_UP: Duration = Duration::from_secs(2);

pub struct Load {
    pub address: SocketAddr,
    pub requests: Vec<Vec<u8>>,
    /// From one request to the next, over all connections. Zero: send whenever a connection is free.
    pub interval: Duration,
    pub connections: usize,
    pub length: Duration,
}

/// What came of it; sorted.
pub struct Latencies {
    all: Vec<Duration>,
    failed: usize,
    length: Duration,
}

/// One connection's share.
#[derive(Default)]
struct Share {
    latencies: Vec<Duration>,
    failed: usize,
}

/// One chat for each auth token in the file.
pub fn chat_requests(file: &str) -> Result<Vec<Vec<u8>>> {
    let tokens = fs::read_to_string(file)?;
    let requests: Vec<Vec<u8>> = tokens
        .lines()
        .enumerate()
        .map(|(number, token)| {
            let body = format!(r#"{{"message":"Message number {number:05}"}}"#);
            post("/chat/", &format!("Authorization: {token}\r\n"), &body)
        })
        .collect();
    if requests.is_empty() { Err(format!("no auth tokens in {file}").into()) } else { Ok(requests) }
}

impl Load {
    /// A thread for each connection. They draw the next due time from one counter, so that a slow answer holds up
    /// its own connection alone; only when all are waiting does a request leave late, and its latency shows it.
    pub fn run(&self) -> Result<Latencies> {
        // Sleeping threads wake up to 50 us late by default, which is much beside the latency measured here. Threads
        // inherit the setting. Where it cannot be set the figures are only that much worse.
        let _ = fs::write("/proc/self/timerslack_ns", "1");
        let drawn = AtomicU32::new(0);
        let start = Instant::now() + Duration::from_millis(100);
        let shares: Vec<io::Result<Share>> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.connections).map(|_| scope.spawn(|| self.one_connection(start, &drawn))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(died()))).collect()
        });
        let mut latencies = Latencies { all: Vec::new(), failed: 0, length: self.length };
        for share in shares {
            let share = share?;
            latencies.all.extend(share.latencies);
            latencies.failed += share.failed;
        }
        latencies.all.sort_unstable();
        Ok(latencies)
    }

    fn one_connection(&self, start: Instant, drawn: &AtomicU32) -> io::Result<Share> {
        let mut connection = Connection::open(self.address)?;
        let mut share = Share::default();
        let counted_from = start + WARM_UP;
        loop {
            let number = drawn.fetch_add(1, Ordering::Relaxed);
            let due = if self.interval.is_zero() {
                Instant::now().max(start)
            } else {
                start + self.interval * number
            };
            if due >= counted_from + self.length {
                return Ok(share);
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let request = &self.requests[number as usize % self.requests.len()];
            match connection.send(request).map(|response| response.status) {
                Ok(201) if due >= counted_from => share.latencies.push(due.elapsed()),
                Ok(201) => {}
                Ok(_) => share.failed += 1,
                Err(_) => {
                    share.failed += 1;
                    connection = Connection::open(self.address)?;
                }
            }
        }
    }
}

fn died() -> io::Error {
    io::Error::other("a thread died")
}

impl Latencies {
    /// An error when a request failed: figures of a server that refuses are worth nothing.
    pub fn print(&self) -> Result<()> {
        println!("load_rate {:.0} chats/s", self.all.len() as f64 / self.length.as_secs_f64());
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            println!("load_{name} {:.3} ms", self.at(share).as_secs_f64() * 1000.0);
        }
        if self.failed > 0 { Err(format!("{} requests failed", self.failed).into()) } else { Ok(()) }
    }

    /// The latency that this share of the requests stayed within.
    fn at(&self, share: f64) -> Duration {
        let rank = (share * self.all.len() as f64).ceil() as usize;
        self.all.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}
