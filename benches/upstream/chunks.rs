//! Measures what Tollgate adds to a chunk of a stream. Each chunk contains the time at which it was
//! sent. Rounds of direct streams and of streams through the server alternate.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::dialect::{CHAT_COMPLETIONS, Dialect};
use crate::http::Connection;
use crate::numbers::Times;
use crate::serve::{Pace, now, sent_times};
use crate::side::Side;

pub fn run(direct: &Side, toll: &Side, count: usize, seconds: usize) -> Result<()> {
    let (chunks, interval) = Pace::Paced.chunks();
    let rounds =
        Duration::from_secs(u64::try_from(seconds)?).div_duration_f64(interval * chunks).ceil() as usize;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // The first round is a warm-up.
    for number in 0..=rounds.max(1) {
        let (one, other) = (round(direct, &CHAT_COMPLETIONS, count)?, round(toll, &CHAT_COMPLETIONS, count)?);
        if number > 0 {
            without.extend(one);
            with.extend(other);
        }
    }
    let (without, with) = (Times::new(without), Times::new(with));
    without.print("chunk_direct");
    with.print("chunk");
    with.print_added("chunk", &without);
    Ok(())
}

/// Runs one round. The streams start one after the other, so that their chunks are evenly spaced.
pub fn round(side: &Side, dialect: &Dialect, count: usize) -> Result<Vec<Duration>> {
    let requests = side.requests(dialect, Pace::Paced, true);
    let (chunks, interval) = Pace::Paced.chunks();
    let step = interval.div_f64(count.max(1) as f64);
    let start = Instant::now() + Duration::from_millis(100);
    let streams: Vec<io::Result<Vec<Duration>>> = thread::scope(|scope| {
        let streams: Vec<_> = (0..count)
            .map(|number| {
                let request = &requests[number % requests.len()];
                let begin = start + step.mul_f64(number as f64);
                scope.spawn(move || one_stream(side, request, begin))
            })
            .collect();
        let died = || Err(io::Error::other("a thread died"));
        streams.into_iter().map(|thread| thread.join().unwrap_or_else(|_| died())).collect()
    });
    let mut all = Vec::new();
    for times in streams {
        let times = times?;
        // The last event of some dialects has the whole text once more.
        if times.len() < chunks as usize {
            return Err(format!("{} of {chunks} chunks arrived", times.len()).into());
        }
        all.extend(times);
    }
    Ok(all)
}

fn one_stream(side: &Side, request: &[u8], begin: Instant) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(side.address)?;
    thread::sleep(begin.saturating_duration_since(Instant::now()));
    connection.begin(request)?;
    let (mut times, mut looked) = (Vec::new(), 0);
    while let Some(all) = connection.more()? {
        let arrived = now();
        let (sent, done) = sent_times(&all[looked..]);
        looked += done;
        times.extend(sent.into_iter().map(|sent| Duration::from_nanos(arrived.saturating_sub(sent))));
    }
    Ok(times)
}
