//! The commands, run as an operator runs them.

mod adjust;
mod changepassword;
mod completions;
mod createsuperuser;
mod damage;
mod demo;
mod doctor;
mod health;
mod help;
mod json;
mod migrate;
mod output;
mod reindex;
mod secret_files;
mod secrets;
mod settings;
mod settings_file;
mod sql;
mod starts;
mod terminal;
mod upstream;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::TestDatabase;

const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");

/// How long a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The output and the exit code of a command.
#[derive(Debug)]
pub struct Said {
    code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn assert_good(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
    }

    /// Returns the document on standard output, which has nothing else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that the command exited with this code and said why on standard error.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, why: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(why), "{why:?} is not in {self:?}");
    }
}

/// Runs a command to its end, with `input` on its standard input. One that is still running after
/// [`PATIENCE`], because it serves, is killed.
fn finish(command: &mut Command, input: &str) -> Said {
    finish_with(command, input.as_bytes())
}

/// Like [`finish`], with arbitrary bytes on its standard input.
fn finish_with(command: &mut Command, input: &[u8]) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // A command that refuses at once may have closed it already.
    let _ = process.stdin.take().unwrap().write_all(input);
    let (out, err) = (read(process.stdout.take()), read(process.stderr.take()));
    let deadline = Instant::now() + PATIENCE;
    while process.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            process.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let code = process.wait().unwrap().code();
    Said { code, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// Reads what a command writes, while it runs.
fn read(output: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.unwrap().read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs the binary in a directory with these variables and no others.
fn tollgate_in(directory: &Path, words: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(BINARY);
    command.env_clear().envs(variables.iter().copied()).args(words).current_dir(directory);
    finish(&mut command, "")
}

/// Runs a command on a database, with `input` on its standard input.
pub fn run_with(database: &TestDatabase, words: &[&str], input: &str) -> Said {
    let mut command = Command::new(BINARY);
    // The settings come first, because what follows `--` is never an option.
    command.env_clear().args(["--database-url", database.url(), "--bcrypt-cost", "4"]).args(words);
    finish(&mut command, input)
}

fn run(database: &TestDatabase, words: &[&str]) -> Said {
    run_with(database, words, "")
}
