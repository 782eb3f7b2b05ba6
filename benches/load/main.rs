//! The load client of the benches, for what wrk cannot do. It creates users and rows, sends chats
//! at a fixed rate and measures the latency of each from the moment it was due, times the server's
//! start and the disk's commits, and reads how far the index is behind. It prints results as `name
//! value unit` lines.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a measurement that cannot continue panics"
)]

mod database;
mod disk;
#[allow(dead_code)] // benches/panel uses the rest
mod http;
mod paced;
mod setup;
#[allow(dead_code)] // raw_sqlite and panel use the rest
#[path = "../raw_sqlite/sqlite.rs"]
mod sqlite;
mod start;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage:
  load setup URL COUNT FILE                       register and log in COUNT users; write their auth tokens to FILE
  load rate URL FILE RATE CONNECTIONS SECONDS     send RATE chats a second, however long the responses take
  load max URL FILE CONNECTIONS SECONDS           send chats as fast as the connections allow
  load start BINARY DIRECTORY RUNS                time from exec to the first response, on an empty database
  load fill DATABASE USERS CHATS FILE             insert users and their chats into a new database on SQLite; write
                                                  their auth tokens to FILE
  load lag DATABASE                               how far the index of a SQLite database is behind
  load disk DIRECTORY BYTES RATE SECONDS          time to write BYTES and sync them, RATE times a second";

fn main() -> ExitCode {
    // `cargo bench` without a command passes only `--bench`, and there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] => {
            eprintln!("{USAGE}");
            Ok(())
        }
        ["setup", url, count, file] => parse(count).and_then(|count| setup::run(url, count, file)),
        ["rate", url, file, rate, connections, seconds] => send(url, file, Some(rate), connections, seconds),
        ["max", url, file, connections, seconds] => send(url, file, None, connections, seconds),
        ["start", binary, directory, runs] => {
            parse(runs).and_then(|runs| start::run(binary, directory, runs))
        }
        ["fill", file, users, chats, tokens] => fill(file, users, chats, tokens),
        ["lag", file] => database::lag(file),
        ["disk", directory, bytes, rate, seconds] => measure_disk(directory, bytes, rate, seconds),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(text: &str) -> Result<usize> {
    text.parse().map_err(|error| format!("{text}: {error}").into())
}

fn fill(file: &str, users: &str, chats: &str, tokens: &str) -> Result<()> {
    database::fill(file, parse(users)?, i64::try_from(parse(chats)?)?, tokens)
}

fn measure_disk(directory: &str, bytes: &str, rate: &str, seconds: &str) -> Result<()> {
    disk::run(directory, parse(bytes)?, parse(rate)?, Duration::from_secs_f64(seconds.parse()?))
}

fn send(url: &str, file: &str, rate: Option<&str>, connections: &str, seconds: &str) -> Result<()> {
    let load = paced::Load {
        address: http::address(url)?,
        requests: paced::chat_requests(file)?,
        interval: match rate {
            Some(rate) => Duration::from_secs(1).div_f64(rate.parse::<f64>()?.max(1.0)),
            None => Duration::ZERO,
        },
        connections: parse(connections)?,
        length: Duration::from_secs_f64(seconds.parse()?),
    };
    load.run()?.print()
}
