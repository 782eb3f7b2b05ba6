//! Compares calls through each dialect with calls through chat completions. Rounds of all of them
//! alternate, so that other load on the machine affects all.

use std::fs;
use std::time::Duration;

use crate::Result;
use crate::calls::{ROUND, Way, round};
use crate::chunks;
use crate::dialect::{DIALECTS, Dialect};
use crate::numbers::Times;
use crate::serve::Pace;
use crate::side::Side;

/// Prints how long calls take through each dialect, plain and streamed, and how much longer than
/// through chat completions.
pub fn run(toll: &Side, interval: Duration, seconds: usize) -> Result<()> {
    let mut ways: Vec<Way<'_>> = Vec::new();
    for streamed in [false, true] {
        let form = if streamed { "streamed" } else { "plain" };
        for dialect in DIALECTS.iter().filter(|dialect| !streamed || dialect.has_streams()) {
            ways.push(Way::new(format!("{}_{form}", dialect.name), toll, dialect, streamed));
        }
    }
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
    let mut without = Times::new(Vec::new());
    for way in ways {
        let times = Times::new(way.times);
        times.print(&way.name);
        if way.name.starts_with("chat_completions") {
            without = times;
        } else {
            times.print_added(&way.name, &without);
        }
    }
    Ok(())
}

/// Prints the server's CPU time for each chunk of a stream, through each dialect of which `names`
/// has the name.
pub fn run_cpu(toll: &Side, count: usize, seconds: usize, pid: &str, names: &[&str]) -> Result<()> {
    let wanted =
        |dialect: &&Dialect| dialect.has_streams() && (names.is_empty() || names.contains(&dialect.name));
    let dialects: Vec<&Dialect> = DIALECTS.iter().filter(wanted).collect();
    let (chunks, interval) = Pace::Paced.chunks();
    let length = interval * chunks;
    let rounds = Duration::from_secs(u64::try_from(seconds)?).div_duration_f64(length).ceil().max(1.0) as u32;
    let mut spent = vec![Duration::ZERO; dialects.len()];
    // The first round is a warm-up.
    for number in 0..=rounds {
        for (dialect, spent) in dialects.iter().zip(&mut spent) {
            let before = cpu_time(pid)?;
            chunks::round(toll, dialect, count)?;
            let used = cpu_time(pid)?.saturating_sub(before);
            if number > 0 {
                *spent += used;
            }
        }
    }
    let all = f64::from(chunks) * f64::from(rounds) * count as f64;
    for (dialect, spent) in dialects.iter().zip(spent) {
        println!("cpu_{} {:.2} us", dialect.name, spent.as_secs_f64() * 1e6 / all);
    }
    Ok(())
}

/// Returns the CPU time of all threads of a process. `/proc/PID/stat` counts in hundredths of a
/// second, which is too coarse.
pub fn cpu_time(pid: &str) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may have ended in the meantime.
        let Ok(times) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += times.split_whitespace().next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}
