//! Password prompts, on a terminal that `script` makes.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::BINARY;
use crate::support::server::{PASSWORD, Server};
use crate::support::{On, TestDatabase, require, wait};

const PATIENCE: Duration = Duration::from_secs(20);

/// A command on a terminal of its own.
struct Terminal {
    process: Child,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn run(database: &TestDatabase, words: &str) -> Option<Terminal> {
        if require::program("script").is_none() {
            require::missing("script", "install util-linux, on Debian: apt-get install bsdutils");
            return None;
        }
        let command =
            format!("tty; exec '{BINARY}' {words} --bcrypt-cost 4 --database-url '{}'", database.url());
        let mut process = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut output, screen) = (process.stdout.take().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                screen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Some(Terminal { process, shown })
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn type_line(&mut self, line: &str) {
        self.process.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits for a prompt, then for the echo to be off, and types.
    fn answer_unseen(&mut self, prompt: &str, line: &str) {
        self.wait_for(prompt);
        let terminal = self.shown().lines().next().unwrap_or_default().trim().to_owned();
        wait::until("the echo to be off", PATIENCE, || {
            let state = Command::new("stty").args(["-F", &terminal, "-a"]).output().unwrap();
            String::from_utf8_lossy(&state.stdout).contains(" -echo ").then_some(())
        });
        self.type_line(line);
    }

    fn wait_for(&self, text: &str) {
        wait::until(&format!("{text:?} on the terminal"), PATIENCE, || {
            self.shown().contains(text).then_some(())
        });
    }

    fn end(mut self) -> (ExitStatus, String) {
        let status = wait::until("the command's end", PATIENCE, || self.process.try_wait().unwrap());
        (status, self.shown())
    }
}

/// The terminal ends with `script`, and what still runs on it gets SIGHUP.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_superuser_is_created_at_a_terminal_that_does_not_show_the_password() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let Some(mut terminal) = Terminal::run(&database, "createsuperuser") else { return };
    terminal.wait_for("username: ");
    terminal.type_line("root");
    terminal.answer_unseen("Password: ", PASSWORD);
    terminal.answer_unseen("Password (again): ", PASSWORD);
    terminal.wait_for("Superuser root created");
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    let server = Server::start(&database, &[]);
    server.login("root");
}

#[test]
fn two_passwords_that_differ_change_nothing() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    let Some(mut terminal) = Terminal::run(&database, "changepassword --username ada") else { return };
    terminal.answer_unseen("Password: ", "one pass phrase of two");
    terminal.answer_unseen("Password (again): ", "two pass phrases of two");
    terminal.wait_for("the two passwords differ; nothing was changed");
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(!shown.contains("of two"), "{shown}");
    assert_eq!(server.tokens(&token), 4000);
    server.login("ada");
}
