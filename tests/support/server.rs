//! The real binary as a process of its own, on a free port of 127.0.0.1, and its commands.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use super::certificates::Certificates;
use super::http::{Answer, Client};
use super::wire::{Connector, Scheme};
use super::{TestDatabase, keeper, temporary, wait};

const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");

/// The password of every user in these tests.
pub const PASSWORD: &str = "a plain pass phrase 7";

/// The command line of a server.
pub struct Launch {
    words: Vec<String>,
    certificates: Option<Arc<Certificates>>,
}

/// A running server. Dropping it kills it.
pub struct Server {
    process: Child,
    address: Option<SocketAddr>,
    log: Arc<Mutex<String>>,
    log_reader: Option<JoinHandle<()>>,
    connector: Connector,
    certificates: Option<Arc<Certificates>>,
    _directory: TempDir,
}

/// A row of `GET /chats/`.
#[derive(Clone, Debug)]
pub struct StoredChat {
    pub id: i64,
    pub message: String,
    pub state: String,
}

impl Launch {
    /// Prepares a server on this database.
    pub fn on(database: &TestDatabase) -> Launch {
        Launch::at(database.url())
    }

    /// Prepares a server for this database URL, which may lead through a proxy.
    pub fn at(url: &str) -> Launch {
        let words = [BINARY, "serve", "--bind", "127.0.0.1:0", "--bcrypt-cost", "4", "--throttle", "off"];
        let words = words.into_iter().chain(["--database-url", url]);
        Launch { words: words.map(str::to_owned).collect(), certificates: None }
    }

    /// Sets flags. A flag replaces its default in the tests (`--throttle off`), because clap
    /// accepts no flag twice.
    pub fn flags(mut self, flags: &[&str]) -> Launch {
        for flag in flags.iter().filter(|flag| flag.starts_with("--")) {
            if let Some(place) = self.words.iter().position(|word| word == flag) {
                self.words.drain(place..place + 2);
            }
        }
        self.words.extend(flags.iter().map(|flag| flag.to_string()));
        self
    }

    /// Speaks TLS with these certificates.
    pub fn with(mut self, certificates: &Arc<Certificates>) -> Launch {
        self.certificates = Some(certificates.clone());
        self.flags(&certificates.flags())
    }

    /// Speaks HTTPS with certificates of its own, or HTTP.
    pub fn over(self, scheme: Scheme) -> Launch {
        match scheme {
            Scheme::Http => self,
            Scheme::Https => self.with(&Arc::new(Certificates::new())),
        }
    }

    /// Leaves a flag of the tests out, so that a variable or a settings file can set it.
    pub fn without(mut self, flag: &str) -> Launch {
        if let Some(place) = self.words.iter().position(|word| word == flag) {
            self.words.drain(place..place + 2);
        }
        self
    }

    /// Listens on this port, which must be free.
    pub fn bind(mut self, port: u16) -> Launch {
        let place = self.words.iter().position(|word| word == "--bind").expect("there is a --bind");
        self.words[place + 1] = format!("127.0.0.1:{port}");
        self
    }

    /// Starts it through another program that becomes the server: `strace -D`, or `sh` with `exec`.
    pub fn under(mut self, wrapper: &[&str]) -> Launch {
        self.words.splice(0..0, wrapper.iter().map(|word| word.to_string()));
        self
    }

    /// Starts the process without waiting.
    pub fn spawn(self) -> Server {
        let directory = temporary::directory();
        let mut process = Command::new(&self.words[0])
            .args(&self.words[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.words[0]));
        keeper::watch(process.id(), "KILL");
        let log = Arc::new(Mutex::new(String::new()));
        let log_reader = process.stderr.take().map(|stderr| collect(stderr, log.clone()));
        let certificates = self.certificates;
        let connector = certificates.as_ref().map(|certificates| certificates.connector());
        let connector = connector.unwrap_or_default();
        Server { process, address: None, log, log_reader, connector, certificates, _directory: directory }
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Server {
        let mut server = self.spawn();
        server.wait_until_ready();
        server
    }
}

/// Collects the log. It goes through a pipe, not into a file, so that a limit on file sizes does
/// not affect it.
fn collect(stderr: ChildStderr, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Returns the address in the line `listening on http://127.0.0.1:PORT`, or the same with https.
fn listening_address(log: &str) -> Option<SocketAddr> {
    let rest = log.split_once("listening on http")?.1.trim_start_matches('s').strip_prefix("://")?;
    let (address, _) = rest.split_once(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
    Some(address.parse().unwrap_or_else(|_| panic!("not an address: {address}")))
}

impl Server {
    pub fn start(database: &TestDatabase, flags: &[&str]) -> Server {
        Launch::on(database).flags(flags).start()
    }

    /// Waits until it listens, and returns its address, or until it has ended, and returns `None`.
    pub fn listening_or_dead(&mut self) -> Option<SocketAddr> {
        let (process, log) = (&mut self.process, &self.log);
        self.address = wait::until("the server's start", Duration::from_secs(30), || {
            let ended = process.try_wait().unwrap().is_some();
            let address = listening_address(&log.lock().unwrap());
            (ended || address.is_some()).then_some(address.filter(|_| !ended))
        });
        self.address
    }

    pub fn wait_until_ready(&mut self) {
        let address = self.listening_or_dead();
        assert!(address.is_some(), "the server did not start:\n{}", self.log());
        wait::until("GET /readyz", Duration::from_secs(30), || self.is_ready().then_some(()));
    }

    pub fn is_ready(&self) -> bool {
        let answer = self.client().send("GET", "/readyz", &[("Connection", "close")], b"");
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Names the address of a server whose log does not.
    pub fn set_address(&mut self, address: SocketAddr) {
        self.address = Some(address);
    }

    pub fn address(&self) -> SocketAddr {
        self.address.expect("the test must first wait for the server")
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns everything that the server has logged so far. If it has ended, this is complete.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn client(&self) -> Client {
        Client::over(self.address(), self.connector())
    }

    /// Returns how clients connect.
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// Returns the certificates of a server that speaks TLS.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("the server must speak TLS")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).expect("a process id is positive");
        kill_process(pid, signal).expect("the server has ended");
    }

    /// Kills it at once, as `kill -9` does.
    pub fn kill9(&mut self) {
        // A test may have caused the server to end by itself.
        let _ = self.process.kill();
        self.reap(Duration::from_secs(10));
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits for its end. Fails after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.reap(limit)
    }

    fn reap(&mut self, limit: Duration) -> ExitStatus {
        let process = &mut self.process;
        let status = wait::until("the server's end", limit, || process.try_wait().unwrap());
        keeper::forget(process.id());
        if let Some(reader) = self.log_reader.take() {
            let _ = reader.join();
        }
        status
    }

    pub fn register(&self, name: &str) {
        let body = json!({"username": name, "password": PASSWORD});
        let answer = self.client().post("/register/", None, &body).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}\n{}", self.log());
    }

    /// Logs in. Returns the auth token.
    pub fn login(&self, name: &str) -> String {
        let body = json!({"username": name, "password": PASSWORD});
        let answer = self.client().post("/login/", None, &body).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
        answer.json()["token"].as_str().expect("a login returns a token").to_owned()
    }

    /// Registers a user and logs in. Returns the auth token.
    pub fn user(&self, name: &str) -> String {
        self.register(name);
        self.login(name)
    }

    pub fn chat(&self, token: &str, message: &str) -> Answer {
        self.client().post("/chat/", Some(token), &json!({"message": message})).unwrap()
    }

    pub fn tokens(&self, token: &str) -> i64 {
        let answer = self.client().get("/tokens/", token).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
        answer.json()["tokens"].as_i64().expect("a balance is a whole number")
    }

    /// Returns all chats of a user, newest first, page by page.
    pub fn history(&self, token: &str) -> Vec<StoredChat> {
        let mut client = self.client();
        let mut chats: Vec<StoredChat> = Vec::new();
        let mut next = Some("/chats/?limit=100".to_owned());
        while let Some(page) = next {
            let answer = client.get(&page, token).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
            let body = answer.json();
            let rows = body["chats"].as_array().expect("a page has chats");
            chats.extend(rows.iter().map(|row| StoredChat {
                id: row["id"].as_i64().expect("a chat has an id"),
                message: row["message"].as_str().expect("a chat has a message").to_owned(),
                state: row["state"].as_str().expect("a chat has a state").to_owned(),
            }));
            next = body["next"].as_str().map(str::to_owned);
            assert!(next.is_none() || !rows.is_empty(), "an empty page has a next one");
        }
        chats
    }

    /// Returns the messages of a user, newest first.
    pub fn messages(&self, token: &str) -> Vec<String> {
        self.history(token).into_iter().map(|chat| chat.message).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        keeper::forget(self.process.id());
    }
}

/// Runs a command of the binary, without standard input and environment.
pub fn tollgate(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_clear().stdin(Stdio::null()).output().unwrap()
}

/// Runs `tollgate verify`.
pub fn verify(database: &TestDatabase) -> Output {
    tollgate(&["verify", "--database-url", database.url()])
}

/// Checks that every balance equals its ledger, and every chat has its charge.
pub fn assert_verified(database: &TestDatabase) {
    let output = verify(database);
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "verify found damage: {}", String::from_utf8_lossy(&said));
}
