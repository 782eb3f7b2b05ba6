//! Measures what Tollgate adds to a whole call. Calls are due at fixed times and are timed from
//! then, as in the load client. Rounds of direct calls and of calls through the server alternate,
//! so that other load on the machine affects both.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::dialect::{CHAT_COMPLETIONS, Dialect};
use crate::http::Connection;
use crate::numbers::Times;
use crate::serve::Pace;
use crate::side::Side;

const CONNECTIONS: usize = 16;
/// Long compared with a call, short compared with other load on the machine.
pub const ROUND: Duration = Duration::from_secs(2);

/// One way to make a call, and the times of its calls.
pub struct Way<'a> {
    pub name: String,
    side: &'a Side,
    requests: Vec<Vec<u8>>,
    /// What only a complete answer contains.
    end: &'static str,
    pub times: Vec<Duration>,
}

impl<'a> Way<'a> {
    pub fn new(name: String, side: &'a Side, dialect: &Dialect, streamed: bool) -> Way<'a> {
        let requests = side.requests(dialect, Pace::AtOnce, streamed);
        Way { name, side, requests, end: dialect.end(streamed), times: Vec::new() }
    }
}

pub fn run(direct: &Side, toll: &Side, interval: Duration, seconds: usize) -> Result<()> {
    let mut ways = [("direct", direct, true), ("plain", toll, false), ("streamed", toll, true)]
        .map(|(name, side, streamed)| Way::new(name.to_owned(), side, &CHAT_COMPLETIONS, streamed));
    let rounds = seconds.div_ceil(usize::try_from(ROUND.as_secs())?).max(1);
    // The first round is a warm-up.
    for number in 0..=rounds {
        for way in &mut ways {
            let times = round(way, interval)?;
            if number > 0 {
                way.times.extend(times);
            }
        }
    }
    let length = ROUND.as_secs_f64() * rounds as f64;
    let [direct, plain, streamed] = ways.map(|way| (way.name, Times::new(way.times)));
    println!("calls_rate {:.0} calls/s", direct.1.count() as f64 / length);
    for (name, times) in [&direct, &plain, &streamed] {
        times.print(name);
    }
    for (name, times) in [&plain, &streamed] {
        times.print_added(name, &direct.1);
    }
    Ok(())
}

/// Runs one round, with one thread per connection. All draw the due times from one counter.
pub fn round(way: &Way<'_>, interval: Duration) -> Result<Vec<Duration>> {
    let drawn = AtomicU32::new(0);
    let start = Instant::now() + Duration::from_millis(100);
    let shares: Vec<io::Result<Vec<Duration>>> = thread::scope(|scope| {
        let connections: Vec<_> =
            (0..CONNECTIONS).map(|_| scope.spawn(|| one_connection(way, start, interval, &drawn))).collect();
        let died = || Err(io::Error::other("a thread died"));
        connections.into_iter().map(|thread| thread.join().unwrap_or_else(|_| died())).collect()
    });
    let shares: io::Result<Vec<Vec<Duration>>> = shares.into_iter().collect();
    Ok(shares?.concat())
}

fn one_connection(
    way: &Way<'_>,
    start: Instant,
    interval: Duration,
    drawn: &AtomicU32,
) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(way.side.address)?;
    let mut times = Vec::new();
    loop {
        let number = drawn.fetch_add(1, Ordering::Relaxed);
        let due = start + interval * number;
        if due >= start + ROUND {
            return Ok(times);
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let request = &way.requests[number as usize % way.requests.len()];
        let response = connection.send(request)?;
        times.push(due.elapsed());
        let end = way.end.as_bytes();
        let is_whole = response.body.windows(end.len()).any(|window| window == end);
        if response.status != 200 || !is_whole {
            let body = String::from_utf8_lossy(response.body);
            return Err(io::Error::other(format!("{}: {} {body}", way.name, response.status)));
        }
    }
}
