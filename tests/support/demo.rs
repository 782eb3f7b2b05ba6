//! `tollgate demo` as a process of its own, on a free port of 127.0.0.1.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{keeper, temporary, wait};

/// How long a demo may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running demo. Dropping it kills it.
pub struct DemoServer {
    process: Child,
    /// The folder for temporary files, which has nothing else.
    temporary: TempDir,
    out: Arc<Mutex<String>>,
    log: Arc<Mutex<String>>,
}

/// Collects what a process writes.
fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let said = Arc::new(Mutex::new(String::new()));
    let into = said.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    });
    said
}

impl DemoServer {
    /// Starts it without waiting.
    pub fn spawn(flags: &[&str]) -> DemoServer {
        let temporary = temporary::directory();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["demo", "--bind", "127.0.0.1:0", "--bcrypt-cost", "4"])
            .args(flags)
            .env_clear()
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        keeper::watch(process.id(), "KILL");
        let (out, log) = (collect(process.stdout.take().unwrap()), collect(process.stderr.take().unwrap()));
        DemoServer { process, temporary, out, log }
    }

    /// Returns what is on standard output so far.
    pub fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// Waits for the whole document on standard output.
    pub fn document(&self) -> Value {
        wait::until("the demo's document", PATIENCE, || serde_json::from_str(&self.out()).ok())
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Returns what is in its folder for temporary files.
    pub fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.temporary.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.process.id() as i32).unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let process = &mut self.process;
        let status = wait::until("the demo's end", PATIENCE, || process.try_wait().unwrap());
        keeper::forget(process.id());
        status
    }

    /// Stops it, and checks that it ends well.
    pub fn stop(&mut self, signal: Signal) {
        self.signal(signal);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
            keeper::forget(self.process.id());
        }
    }
}

/// Returns the address in a URL.
pub fn address(url: &str) -> SocketAddr {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url}"));
    rest.split('/').next().unwrap().parse().unwrap()
}
