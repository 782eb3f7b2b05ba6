//! The real binary, run as an operator would, on a port of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::http::{Answer, Client};
use super::{TestDatabase, keeper, temporary, wait};

/// How long a server may take to start. Other tests run at the same time.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop, beyond the ten seconds that it promises.
const STOP: Duration = Duration::from_secs(20);

/// A password that every test user has.
pub const PASSWORD: &str = "correct horse battery";

pub struct Server {
    process: Child,
    address: SocketAddr,
    log: PathBuf,
    _directory: TempDir,
}

/// The binary with the settings that tests share, on a clean environment.
pub fn tollgate(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .env_clear()
        .env("DATABASE_URL", database_url)
        .env("TOLLGATE_BCRYPT_COST", "4")
        .stdin(Stdio::null());
    command
}

impl Server {
    /// Starts `serve` with more flags and waits until it is ready.
    pub fn start(database: &TestDatabase, flags: &[&str]) -> Server {
        Server::start_by(tollgate(database.url()), flags)
    }

    /// Starts what `command` runs, which must end up as `tollgate serve`: under strace, or with limits set.
    pub fn start_by(command: Command, flags: &[&str]) -> Server {
        Server::try_start_by(command, flags).unwrap_or_else(|log| panic!("the server did not start:\n{log}"))
    }

    /// Like [`Server::start_by`]; the error is the log of a process that ended before it listened.
    pub fn try_start_by(mut command: Command, flags: &[&str]) -> Result<Server, String> {
        let directory = temporary::directory();
        let log = directory.path().join("log");
        let process = command
            .args(["--bind", "127.0.0.1:0", "--throttle", "off"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        keeper::watch(process.id(), "KILL");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { process, address: nowhere, log, _directory: directory };
        let address = wait::until("the server's address", START, || match server.listening() {
            Some(address) => Some(Some(address)),
            None => server.process.try_wait().unwrap().map(|_| None),
        });
        server.address = address.ok_or_else(|| server.log())?;
        wait::until("readiness", START, || {
            let answer = server.client().request("GET", "/readyz", &[], None).ok()?;
            (answer.status == 200).then_some(())
        });
        Ok(server)
    }

    fn listening(&self) -> Option<SocketAddr> {
        let log = self.log();
        let (_, rest) = log.split_once("listening on http://")?;
        let (address, _) = rest.split_once('\n')?;
        address.trim().parse().ok()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of the process that was started; under strace that is strace.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A new connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// Everything that was logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.process.id() as i32) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it without a word and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.process.wait();
        keeper::forget(self.process.id());
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait::until("the server's end", STOP, || self.process.try_wait().unwrap());
        keeper::forget(self.process.id());
        status
    }

    /// Sends one request on a connection of its own.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|value| ("Authorization", value.as_str())).collect();
        self.client().request(method, path, &headers, body).unwrap()
    }

    /// Registers a user with [`PASSWORD`] and logs in; answers the auth token.
    #[track_caller]
    pub fn user(&self, name: &str) -> String {
        let body = serde_json::json!({ "username": name, "password": PASSWORD }).to_string();
        let registered = self.send("POST", "/register/", None, Some(&body));
        assert_eq!(registered.status, 201, "{}", registered.text());
        let answer = self.send("POST", "/login/", None, Some(&body));
        answer.json()["token"].as_str().expect("a token").to_owned()
    }

    #[track_caller]
    pub fn chat(&self, token: &str, message: &str) -> Answer {
        let body = serde_json::json!({ "message": message }).to_string();
        self.send("POST", "/chat/", Some(token), Some(&body))
    }

    #[track_caller]
    pub fn tokens(&self, token: &str) -> i64 {
        let answer = self.send("GET", "/tokens/", Some(token), None);
        answer.json()["tokens"].as_i64().unwrap_or_else(|| panic!("no balance in {}", answer.text()))
    }

    /// All messages in the user's history, newest first, over all pages.
    #[track_caller]
    pub fn messages(&self, token: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let mut next = Some("/chats/?limit=200".to_owned());
        while let Some(path) = next {
            let page = self.send("GET", &path, Some(token), None).json();
            let chats = page["chats"].as_array().expect("a list of chats").clone();
            messages.extend(chats.iter().map(|chat| chat["message"].as_str().unwrap_or_default().to_owned()));
            next = page["next"].as_str().map(str::to_owned);
        }
        messages
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().ok().flatten().is_none() {
            self.kill();
        }
    }
}

/// What `tollgate verify` says of the database.
pub fn verify(database: &TestDatabase) -> Output {
    tollgate(database.url()).arg("verify").output().unwrap()
}

#[track_caller]
pub fn assert_verified(database: &TestDatabase) {
    let output = verify(database);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "verify found:\n{out}{err}");
}
