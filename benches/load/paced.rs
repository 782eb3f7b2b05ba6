//! Sends chats at a fixed rate. The time at which each is due is fixed before the run, whatever the
//! server does, and its latency is measured from then. A client that waits for a slow response
//! before it sends the next request would leave out exactly the requests that had to wait
//! ("coordinated omission", the mistake of most load generators).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::{Connection, post};

/// Requests due within this time of the start are not counted.
const WARM_UP: Duration = Duration::from_secs(2);

pub struct Load {
    pub address: SocketAddr,
    pub requests: Vec<Vec<u8>>,
    /// The time between two requests, over all connections. Zero sends as soon as a connection is
    /// free.
    pub interval: Duration,
    pub connections: usize,
    pub length: Duration,
}

/// The result of a run.
pub struct Latencies {
    /// Sorted.
    all: Vec<Duration>,
    failed: usize,
    length: Duration,
}

/// The results of one connection.
#[derive(Default)]
struct Share {
    latencies: Vec<Duration>,
    failed: usize,
}

/// Returns one chat request for each auth token in the file.
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
    /// Runs one thread per connection. All draw the next due time from one counter, so that a slow
    /// response delays only its own connection. A request is sent late only if all connections are
    /// waiting, and its latency shows that.
    pub fn run(&self) -> Result<Latencies> {
        // By default, sleeping threads wake up to 50 us late, which is a lot compared with the
        // latencies measured here. New threads inherit this setting. If it cannot be set, the
        // figures are worse by that much.
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
    /// Prints the figures. Fails if a request failed: the figures would mean nothing.
    pub fn print(&self) -> Result<()> {
        println!("load_rate {:.0} chats/s", self.all.len() as f64 / self.length.as_secs_f64());
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            println!("load_{name} {:.3} ms", self.at(share).as_secs_f64() * 1000.0);
        }
        if self.failed > 0 { Err(format!("{} requests failed", self.failed).into()) } else { Ok(()) }
    }

    fn at(&self, share: f64) -> Duration {
        percentile(&self.all, share)
    }
}

/// Returns the percentile `share` (0 to 1) of sorted times.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
