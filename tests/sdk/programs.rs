//! Programs that use the SDKs, run as any user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::support::{require, temporary};

/// The SDKs of a language, in the user's cache folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdks {
    Python,
    Node,
}

static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
static NODE: OnceLock<Result<PathBuf, String>> = OnceLock::new();

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(file)
}

impl Sdks {
    /// Returns the folder of the SDKs, which are installed if needed. `None` outside of the long
    /// tests, or if this machine cannot install them, which is reported.
    pub fn installed(self) -> Option<PathBuf> {
        if !require::long() {
            return None;
        }
        let (place, name) = match self {
            Sdks::Python => (&PYTHON, "python"),
            Sdks::Node => (&NODE, "node"),
        };
        match place.get_or_init(|| install(name)) {
            Ok(place) => Some(place.clone()),
            Err(why) => {
                require::missing(&format!("what the SDKs of {name} need"), why);
                None
            }
        }
    }
}

fn install(name: &str) -> Result<PathBuf, String> {
    let script = here("install.sh");
    let mut install = Command::new("timeout");
    install.args(["--kill-after=5", "300", "bash"]).arg(script).arg(name).stdin(Stdio::null());
    let output = install.output().map_err(|error| error.to_string())?;
    let place = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(place.into());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "))
}

/// A program in its own folder, which is also its home, so that no user's settings affect it.
pub struct Program {
    command: Command,
    _home: TempDir,
}

impl Program {
    /// Prepares one of this folder's programs, or one with this text, under this name.
    pub fn new(sdks: Sdks, place: &Path, name: &str, text: Option<&str>) -> Program {
        let home = temporary::directory();
        let file = home.path().join(name);
        let text = text.map_or_else(|| std::fs::read_to_string(here(name)).unwrap(), str::to_owned);
        std::fs::write(&file, text).unwrap();
        if sdks == Sdks::Node {
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
        command.args(["--kill-after=5", "180", interpreter]).arg(file);
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", place.join("bin").display()))
            .env("HOME", home.path())
            .env("LLM_USER_PATH", home.path())
            .env("LANG", "C.UTF-8")
            .current_dir(home.path())
            .stdin(Stdio::null());
        Program { command, _home: home }
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
}
