//! Measures how many calls the server makes if its clients never pause: each connection sends the
//! next call as soon as the last one is answered.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::dialect::CHAT_COMPLETIONS;
use crate::dialects::cpu_time;
use crate::http::Connection;
use crate::numbers::Times;
use crate::serve::Pace;
use crate::side::Side;

/// How long calls are made before they count.
const WARM_UP: Duration = Duration::from_secs(2);

/// Prints the rate of plain calls over this many connections, how long they take, and the CPU time
/// that the server with this process id spends on each.
pub fn run(toll: &Side, connections: usize, seconds: usize, pid: &str) -> Result<()> {
    let requests = toll.requests(&CHAT_COMPLETIONS, Pace::AtOnce, false);
    let drawn = AtomicUsize::new(0);
    calls(toll, &requests, &drawn, connections, WARM_UP)?;
    let (cpu, begun) = (cpu_time(pid)?, Instant::now());
    let times = calls(toll, &requests, &drawn, connections, Duration::from_secs(u64::try_from(seconds)?))?;
    let (cpu, took) = (cpu_time(pid)?.saturating_sub(cpu), begun.elapsed());
    let count = times.len() as f64;
    println!("busy_rate {:.0} calls/s", count / took.as_secs_f64());
    println!("busy_cpu {:.1} us", cpu.as_secs_f64() * 1e6 / count);
    Times::new(times).print("busy");
    Ok(())
}

/// Makes calls for `length`, with one thread per connection. Users take turns.
fn calls(
    toll: &Side,
    requests: &[Vec<u8>],
    drawn: &AtomicUsize,
    connections: usize,
    length: Duration,
) -> Result<Vec<Duration>> {
    let end = Instant::now() + length;
    let died = || Err(io::Error::other("a thread died"));
    let shares: Vec<io::Result<Vec<Duration>>> = thread::scope(|scope| {
        let one = || one_connection(toll, requests, drawn, end);
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| died())).collect()
    });
    let shares: io::Result<Vec<Vec<Duration>>> = shares.into_iter().collect();
    Ok(shares?.concat())
}

fn one_connection(
    toll: &Side,
    requests: &[Vec<u8>],
    drawn: &AtomicUsize,
    end: Instant,
) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(toll.address)?;
    let mut times = Vec::new();
    while Instant::now() < end {
        let number = drawn.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        let response = connection.send(&requests[number % requests.len()])?;
        times.push(sent.elapsed());
        let whole = CHAT_COMPLETIONS.end(false).as_bytes();
        if response.status != 200 || !response.body.windows(whole.len()).any(|window| window == whole) {
            let body = String::from_utf8_lossy(response.body);
            return Err(io::Error::other(format!("busy: {} {body}", response.status)));
        }
    }
    Ok(times)
}
