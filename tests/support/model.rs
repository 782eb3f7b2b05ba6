//! The small real model of `scripts/model`, as a process of its own. The tests share one. The first
//! test that needs it starts it, and it ends with the test process. Only one test uses it at a
//! time, so its counters are those of one test.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tempfile::TempDir;

use super::http::{Answer, Client};
use super::server::Server;
use super::{TestDatabase, keeper, require, temporary, wait};

/// The model's name.
pub const NAME: &str = "smollm2-135m";

/// The model, or the reason why this machine cannot run it.
static SHARED: OnceLock<Result<Mutex<Model>, String>> = OnceLock::new();

pub struct Model {
    address: SocketAddr,
    process: Child,
    /// The directory of its log.
    directory: TempDir,
}

/// The tokens that the model itself has counted since its start. They include those of answers that
/// were cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub prompt: i64,
    pub completion: i64,
}

/// Returns the shared model, locked for the calling test. `None` if this is not a long run, or if
/// this machine cannot run the model, which is then reported.
pub fn shared() -> Option<MutexGuard<'static, Model>> {
    if !require::long() {
        return None;
    }
    match SHARED.get_or_init(|| Model::start().map(Mutex::new)) {
        Ok(model) => {
            // A test that failed has not damaged the model.
            let model = model.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            model.tokens();
            Some(model)
        }
        Err(why) => {
            require::missing("the small model", why);
            None
        }
    }
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/model")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Model {
    fn start() -> Result<Model, String> {
        let mut prepare = Command::new("timeout");
        prepare.args(["--kill-after=5", "300"]).arg(script()).arg("--prepare").stdin(Stdio::null());
        let prepared = prepare.output().map_err(|error| error.to_string())?;
        if !prepared.status.success() {
            return Err(String::from_utf8_lossy(&prepared.stderr).trim().replace('\n', "; "));
        }
        // Another program may take the free port first. Then the model ends at once.
        let started = (0..3).find_map(|_| Model::start_on(free_port()));
        Ok(started.expect("the model did not start on any of three ports: its log is above"))
    }

    fn start_on(port: u16) -> Option<Model> {
        let directory = temporary::directory();
        let log = File::create(directory.path().join("log")).unwrap();
        let process = Command::new(script())
            .arg(port.to_string())
            .env_remove("MODEL_API_KEY")
            .env("MODEL_ANSWER", "48")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        keeper::watch(process.id(), "KILL");
        let mut model = Model { address: (Ipv4Addr::LOCALHOST, port).into(), process, directory };
        let is_up = wait::until("the model's start", Duration::from_secs(120), || {
            let has_ended = model.process.try_wait().unwrap().is_some();
            let is_up =
                Client::new(model.address).get("/health", "").is_ok_and(|answer| answer.status == 200);
            (has_ended || is_up).then_some(is_up && !has_ended)
        });
        if !is_up {
            println!("{}", std::fs::read_to_string(model.directory.path().join("log")).unwrap_or_default());
            keeper::forget(model.process.id());
        }
        is_up.then_some(model)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Starts a server that uses this model.
    pub fn server(&self, database: &TestDatabase) -> Server {
        let url = format!("http://{}/v1", self.address);
        let flags = ["--responder", "openai", "--upstream-url", &url, "--upstream-models", NAME];
        Server::start(database, &flags)
    }

    /// Waits until the model is idle. Returns the tokens counted.
    pub fn tokens(&self) -> Tokens {
        let text = wait::until("the model to be idle", Duration::from_secs(60), || {
            let answer: Answer = Client::new(self.address).get("/metrics", "").ok()?;
            assert_eq!(answer.status, 200, "{answer:?}");
            let text = answer.text();
            (metric(&text, "requests_processing") + metric(&text, "requests_deferred") == 0).then_some(text)
        });
        // Tokens cached from an earlier prompt are counted separately, but are part of the prompt.
        let prompt = metric(&text, "prompt_tokens_total") + metric(&text, "prompt_tokens_cached_total");
        Tokens { prompt, completion: metric(&text, "tokens_predicted_total") }
    }
}

fn metric(text: &str, name: &str) -> i64 {
    let value =
        text.lines().find_map(|line| line.strip_prefix("llamacpp:")?.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no metric {name} in {text}"))
}
