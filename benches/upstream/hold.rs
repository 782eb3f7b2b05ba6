//! Measures the server's memory while very many streams are open at once.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::dialect::CHAT_COMPLETIONS;
use crate::http::Connection;
use crate::serve::{Pace, sent_times};
use crate::side::Side;

/// The time between the starts of two streams, so that no listen queue overflows.
const STEP: Duration = Duration::from_millis(1);

pub fn run(toll: &Side, count: usize, pid: &str) -> Result<()> {
    let before = memory(pid, "VmRSS")?;
    let requests = toll.requests(&CHAT_COMPLETIONS, Pace::Slow, true);
    let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    let outcome: Result<(f64, Duration)> = thread::scope(|scope| {
        let streams: Vec<_> = (0..count)
            .map(|number| {
                let request = &requests[number % requests.len()];
                let begin = start + STEP * u32::try_from(number).unwrap_or(u32::MAX);
                let (begun, ended) = (&begun, &ended);
                scope.spawn(move || {
                    let outcome = one_stream(toll, request, begin, begun);
                    ended.fetch_add(1, Ordering::Relaxed);
                    outcome
                })
            })
            .collect();
        // All are open once each has received a chunk and none has ended.
        while begun.load(Ordering::Relaxed) < count && ended.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let (held, opened) = (memory(pid, "VmRSS"), start.elapsed());
        let all_open = ended.load(Ordering::Relaxed) == 0;
        for stream in streams {
            stream.join().unwrap_or_else(|_| Err(io::Error::other("a thread died")))?;
        }
        if all_open { Ok((held?, opened)) } else { Err("a stream ended before all had begun".into()) }
    });
    let (held, opened) = outcome?;
    println!("hold_streams {count} streams");
    println!("hold_opened {:.2} s", opened.as_secs_f64());
    println!("hold_memory_before {before:.1} MB");
    println!("hold_memory {held:.1} MB");
    println!("hold_memory_each {:.1} KB", (held - before) * 1024.0 / count.max(1) as f64);
    println!("hold_memory_peak {:.1} MB", memory(pid, "VmHWM")?);
    Ok(())
}

fn one_stream(side: &Side, request: &[u8], begin: Instant, begun: &AtomicUsize) -> io::Result<()> {
    thread::sleep(begin.saturating_duration_since(Instant::now()));
    let mut connection = Connection::open(side.address)?;
    connection.begin(request)?;
    let (mut chunks, mut looked) = (0, 0);
    while let Some(all) = connection.more()? {
        let (sent, done) = sent_times(&all[looked..]);
        looked += done;
        if chunks == 0 && !sent.is_empty() {
            begun.fetch_add(1, Ordering::Relaxed);
        }
        chunks += sent.len();
    }
    match Pace::Slow.chunks().0 as usize {
        whole if whole == chunks => Ok(()),
        whole => Err(io::Error::other(format!("{chunks} of {whole} chunks arrived"))),
    }
}

/// Returns a value of `/proc/PID/status` (`VmRSS`, `VmHWM`), in MB.
fn memory(pid: &str, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no such value in /proc/PID/status")?;
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}
