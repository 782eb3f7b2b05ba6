//! Measures what Tollgate adds to a call of an upstream, with an upstream that answers at once or
//! at a fixed pace, and a client that calls it directly and through the server. Prints results as
//! `name value unit` lines.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a measurement that cannot continue panics"
)]

mod busy;
mod calls;
mod chunks;
mod dialect;
mod dialects;
mod hold;
#[allow(dead_code)] // benches/load uses the rest
#[path = "../load/http.rs"]
mod http;
mod numbers;
mod serve;
mod side;

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use side::Side;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage:
  upstream serve                                       run an upstream on a free port until it is killed
  upstream calls UPSTREAM SERVER FILE RATE SECONDS     make RATE calls a second, directly and through the server
  upstream busy SERVER FILE CONNECTIONS SECONDS PID    make calls through the server without a pause; also print
                                                       the server's CPU time for each
  upstream chunks UPSTREAM SERVER FILE COUNT SECONDS   open COUNT streams, directly and through the server
  upstream hold SERVER FILE COUNT PID                  open COUNT streams at once; print the server's memory
  upstream dialects SERVER FILE RATE SECONDS           make RATE calls a second through each dialect in turn
  upstream cpu SERVER FILE COUNT SECONDS PID DIALECT...
                                                       open COUNT streams through each dialect in turn; print
                                                       the server's CPU time for each chunk
FILE contains the users' auth tokens, one per line.";

fn main() -> ExitCode {
    // By default, sleeping threads wake up to 50 us late. New threads inherit this setting. If it
    // cannot be set, the figures are worse by that much.
    let _ = fs::write("/proc/self/timerslack_ns", "1");
    // `cargo bench` without a command passes only `--bench`, and there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{USAGE}");
            ExitCode::from(if arguments.is_empty() { 0 } else { 2 })
        }
        Err(error) => {
            eprintln!("upstream: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. Returns false if there is no such command.
fn run(arguments: &[&str]) -> Result<bool> {
    match *arguments {
        ["serve"] => serve::run()?,
        ["calls", upstream, server, file, rate, seconds] => {
            let (direct, toll) = (Side::direct(upstream)?, Side::through(server, file)?);
            let interval = Duration::from_secs(1).div_f64(rate.parse::<f64>()?.max(1.0));
            calls::run(&direct, &toll, interval, parse(seconds)?)?;
        }
        ["busy", server, file, connections, seconds, pid] => {
            busy::run(&Side::through(server, file)?, parse(connections)?, parse(seconds)?, pid)?;
        }
        ["chunks", upstream, server, file, count, seconds] => {
            let (direct, toll) = (Side::direct(upstream)?, Side::through(server, file)?);
            chunks::run(&direct, &toll, parse(count)?, parse(seconds)?)?;
        }
        ["dialects", server, file, rate, seconds] => {
            let interval = Duration::from_secs(1).div_f64(rate.parse::<f64>()?.max(1.0));
            dialects::run(&Side::through(server, file)?, interval, parse(seconds)?)?;
        }
        ["cpu", server, file, count, seconds, pid, ref names @ ..] => {
            dialects::run_cpu(&Side::through(server, file)?, parse(count)?, parse(seconds)?, pid, names)?;
        }
        ["hold", server, file, count, pid] => hold::run(&Side::through(server, file)?, parse(count)?, pid)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn parse(text: &str) -> Result<usize> {
    text.parse().map_err(|error| format!("{text}: {error}").into())
}
