//! Measures the time from exec to the first response. The database is empty, so the migrations are
//! part of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::{Connection, address, get};

/// A child process that is killed at the end of the measurement, also if that fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn run(binary: &str, directory: &str, runs: usize) -> Result<()> {
    let directory = Path::new(directory).join("start");
    let mut times = Vec::new();
    for _ in 0..runs {
        // Without this, the next run would find the tables of the last.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        times.push(once(binary, &directory)?);
    }
    fs::remove_dir_all(&directory)?;
    times.sort_unstable();
    let median = times.get(times.len() / 2).ok_or("no runs")?;
    let slowest = times.last().ok_or("no runs")?;
    println!("start_median {:.1} ms", median.as_secs_f64() * 1000.0);
    println!("start_slowest {:.1} ms", slowest.as_secs_f64() * 1000.0);
    Ok(())
}

fn once(binary: &str, directory: &Path) -> Result<Duration> {
    let start = Instant::now();
    let child = Command::new(binary)
        .args(["serve", "--bind", "127.0.0.1:0", "--database-url"])
        .arg(directory.join("tollgate.db"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut server = Server(child);
    let mut lines = BufReader::new(server.0.stderr.take().ok_or("no stderr")?).lines();
    let url = loop {
        let line = lines.next().ok_or("the server ended before it listened")??;
        if let Some((_, url)) = line.split_once("listening on ") {
            break url.split_whitespace().next().unwrap_or_default().to_owned();
        }
    };
    // /readyz returns 200 only once the database works.
    let status = Connection::open(address(&url)?)?.send(&get("/readyz"))?.status;
    let time = start.elapsed();
    if status == 200 { Ok(time) } else { Err(format!("/readyz returned {status}").into()) }
}
