//! Programs that use the SDKs, run as any user would.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::support::{keeper, require, temporary};

/// What `install.sh` installs under one name, in the user's cache folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sdks {
    Python,
    LlamaIndex,
    PydanticAi,
    Mirascope,
    Inspect,
    Aider,
    LiteLlm,
    OpenWebUi,
    Node,
    OpenCode,
    Codex,
    ClaudeCode,
}

/// An installation, or the reason why this machine cannot have it. Tests that need the same one
/// wait for each other; others do not.
type Place = &'static Mutex<Option<Result<PathBuf, String>>>;

static PLACES: LazyLock<Mutex<HashMap<Sdks, Place>>> = LazyLock::new(Mutex::default);

pub fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(file)
}

impl Sdks {
    /// Returns the folder of the SDKs, which are installed if needed. `None` outside of the long
    /// tests, or if this machine cannot install them, which is reported.
    pub fn installed(self) -> Option<PathBuf> {
        if !require::long() || self.is_heavy() && !require::proofs() {
            return None;
        }
        let place: Place = PLACES.lock().unwrap().entry(self).or_insert_with(|| Box::leak(Box::default()));
        // A test that failed has not damaged the installation.
        let mut place = place.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match place.get_or_insert_with(|| self.install()) {
            Ok(place) => Some(place.clone()),
            Err(why) => {
                require::missing(&format!("what `install.sh {}` needs", self.name()), why);
                None
            }
        }
    }

    /// Returns the name for `install.sh`.
    fn name(self) -> &'static str {
        match self {
            Sdks::Python => "python",
            Sdks::LlamaIndex => "llamaindex",
            Sdks::PydanticAi => "pydantic-ai",
            Sdks::Mirascope => "mirascope",
            Sdks::Inspect => "inspect-ai",
            Sdks::Aider => "aider",
            Sdks::LiteLlm => "litellm",
            Sdks::OpenWebUi => "open-webui",
            Sdks::Node => "node",
            Sdks::OpenCode => "opencode",
            Sdks::Codex => "codex",
            Sdks::ClaudeCode => "claude-code",
        }
    }

    /// Returns whether only `scripts/proofs clients` runs these programs, because they are large or
    /// take long.
    fn is_heavy(self) -> bool {
        match self {
            Sdks::Aider
            | Sdks::LiteLlm
            | Sdks::OpenWebUi
            | Sdks::OpenCode
            | Sdks::Codex
            | Sdks::ClaudeCode
            | Sdks::Mirascope
            | Sdks::Inspect => true,
            Sdks::Python | Sdks::LlamaIndex | Sdks::PydanticAi | Sdks::Node => false,
        }
    }

    fn install(self) -> Result<PathBuf, String> {
        let limit = if self.is_heavy() { "1800" } else { "300" };
        let mut install = Command::new("timeout");
        install.args(["--kill-after=5", limit, "bash"]).arg(here("install.sh")).arg(self.name());
        let output = install.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        let place = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(place.into());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "))
    }
}

/// A program in its own folder, which is also its home, so that no user's settings affect it.
pub struct Program {
    command: Command,
    home: TempDir,
}

/// A program that keeps running until it is dropped, with all that it has started.
pub struct Running {
    process: Child,
    home: TempDir,
}

impl Running {
    /// Returns what it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.process.id() as i32).expect("a process id is positive");
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.process.wait();
        keeper::forget(self.process.id());
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

impl Program {
    /// Prepares one of this folder's programs, or one with this text, under this name.
    pub fn new(place: &Path, name: &str, text: Option<&str>) -> Program {
        let home = temporary::directory();
        let file = home.path().join(name);
        let text = text.map_or_else(|| std::fs::read_to_string(here(name)).unwrap(), str::to_owned);
        std::fs::write(&file, text).unwrap();
        if place.join("node_modules").exists() {
            // Node looks for imported modules next to the program.
            let modules = home.path().join("node_modules");
            std::os::unix::fs::symlink(place.join("node_modules"), modules).unwrap();
        }
        let interpreter = match file.extension().and_then(|extension| extension.to_str()) {
            Some("py") => "python",
            Some("mjs") => "node",
            _ => "bash",
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "240", interpreter]).arg(file);
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", place.join("bin").display()))
            .env("HOME", home.path())
            .env("LLM_USER_PATH", home.path())
            .env("LANG", "C.UTF-8")
            .current_dir(home.path())
            .stdin(Stdio::null());
        Program { command, home }
    }

    pub fn argument(mut self, argument: &str) -> Program {
        self.command.arg(argument);
        self
    }

    /// Writes a file into the program's folder.
    pub fn file(self, path: &str, text: &str) -> Program {
        let file = self.home.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a file is in a folder")).unwrap();
        std::fs::write(file, text).unwrap();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.command.env(name, value);
        self
    }

    /// Runs the program, which must succeed, and returns its output.
    #[track_caller]
    pub fn run(mut self) -> String {
        let Output { status, stdout, stderr } = self.command.output().expect("coreutils has timeout");
        let (printed, said) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{status}\n{printed}\n{said}");
        printed.into_owned()
    }

    /// Starts the program, which keeps running: a server.
    pub fn start(mut self) -> Running {
        let log = File::create(self.home.path().join("log")).unwrap();
        self.command.stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let process = self.command.spawn().expect("coreutils has timeout");
        // The group has more processes than this one. If this process dies first, `timeout` ends
        // them.
        keeper::watch(process.id(), "TERM");
        Running { process, home: self.home }
    }
}
