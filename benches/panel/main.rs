//! The panel with a large database: fills one of realistic shape, and times the panel's pages over
//! HTTP. benches/README.md says how to read the results.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a measurement that cannot continue panics"
)]

mod client;
mod fill;
#[allow(dead_code)] // benches/load uses the rest
#[path = "../load/http.rs"]
mod http;
mod pages;
mod report;
mod rows;
mod shape;
#[allow(dead_code)] // benches/raw_sqlite uses the rest
#[path = "../raw_sqlite/sqlite.rs"]
mod sqlite;
mod words;

use std::error::Error;
use std::process::ExitCode;

use chrono::NaiveDateTime;

use shape::Shape;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage:
  panel fill FILE USERS CHATS END           fill an SQLite file that was just migrated, up to the time END
  panel script USERS CHATS END              print the same rows as a script for psql
  panel time URL PID USERS CHATS END FILE   time the pages of a server as the user panelbench; write a line for each to FILE
  panel table FILE FILE                     print the results for SQLite and for PostgreSQL as Markdown";

fn main() -> ExitCode {
    // `cargo bench` without a command passes only `--bench`, and there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] => {
            eprintln!("{USAGE}");
            Ok(())
        }
        ["fill", file, shape @ ..] => parsed(shape).and_then(|shape| fill::sqlite(&shape, file)),
        ["script", shape @ ..] => parsed(shape).and_then(|shape| fill::script(&shape)),
        ["time", url, pid, users, chats, end, file] => {
            parsed(&[users, chats, end]).and_then(|shape| client::run(url, pid, &shape, file))
        }
        ["table", sqlite, postgres] => report::print(sqlite, postgres),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("panel: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parsed(shape: &[&str]) -> Result<Shape> {
    let [users, chats, end] = shape else { return Err(USAGE.into()) };
    let end = NaiveDateTime::parse_from_str(end, "%Y-%m-%dT%H:%M:%S")?;
    let shape = Shape { users: users.parse()?, chats: chats.parse()?, end };
    if shape.users < 1000 || shape.chats < 1000 {
        return Err("the shape needs at least 1,000 users and 1,000 chats".into());
    }
    Ok(shape)
}
