//! The lines of the start page for Python and JavaScript, run as they are pasted into a shell.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::programs::Sdks;
use crate::support::html::copied;
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, temporary};

/// Returns the lines for one language: the one that installs the SDK, and the program.
fn lines(server: &Server, folder: &str) -> (String, String) {
    let page = server.client().send("GET", "/", &[], b"").unwrap();
    let mut lines = copied(&page.text()).into_iter().filter(|line| line.contains(folder));
    (lines.next().expect("a line that installs"), lines.next().expect("a program"))
}

/// Runs a line in a folder, with the auth token in `$TOKEN`. Returns what it prints.
fn run(folder: &Path, line: &str, token: &str) -> String {
    let mut command = Command::new("bash");
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.args(["-c", line]).current_dir(folder).env_clear();
    command.env("PATH", path).env("HOME", folder).env("TOKEN", token);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that a program gets an answer and pays for it. `install` puts the SDK where the first
/// line would.
fn assert_answered(folder: &str, install: impl FnOnce(&Path), check: &str) {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &[]);
    let token = server.user("ada");
    let (first, program) = lines(&server, folder);
    assert!(first.ends_with(" openai"), "{first}");
    let home = temporary::directory();
    install(home.path());
    assert_eq!(run(home.path(), check, &token).trim(), "", "the SDK is there");
    assert_eq!(run(home.path(), &program, &token).trim(), "Response to Hello");
    assert_eq!(server.tokens(&token), 3900);
    server.terminate();
    server.wait(Duration::from_secs(20));
    assert_verified(&database);
}

#[test]
fn the_lines_for_python_work_as_pasted() {
    let Some(place) = Sdks::Python.installed() else { return };
    let install = |home: &Path| symlink(&place, home.join("tollgate-python")).unwrap();
    // The second half of the first line, which finds that nothing is missing.
    assert_answered("tollgate-python", install, "tollgate-python/bin/pip install --quiet --no-index openai");
}

#[test]
fn the_lines_for_javascript_work_as_pasted() {
    let Some(place) = Sdks::Node.installed() else { return };
    let install = |home: &Path| {
        std::fs::create_dir(home.join("tollgate-js")).unwrap();
        symlink(place.join("node_modules"), home.join("tollgate-js/node_modules")).unwrap();
    };
    assert_answered("tollgate-js", install, "test -d tollgate-js/node_modules/openai");
}
