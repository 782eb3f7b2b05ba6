//! The service may make few system calls. What the server does must be among them, or the service
//! would fail where this test's server does not.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use rstest::rstest;
use rustix::process::Signal;
use serde_json::json;

use super::read;
use crate::support::server::{Launch, PASSWORD};
use crate::support::{On, TestDatabase, require, temporary, wait};

/// The sets of system calls that systemd knows, by name.
struct Sets(BTreeMap<String, Vec<String>>);

impl Sets {
    /// Parses what `systemd-analyze syscall-filter` prints: the name of a set, and below it,
    /// indented, its members and comments.
    fn parse(text: &str) -> Sets {
        let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            let word = line.trim();
            match (line.starts_with('@'), line.starts_with(' ') && !word.starts_with('#')) {
                (true, _) => current = word.to_owned(),
                (_, true) => sets.entry(current.clone()).or_default().push(word.to_owned()),
                _ => {}
            }
        }
        Sets(sets)
    }

    /// Returns the system calls of a set, or the one of this name.
    fn members(&self, name: &str) -> BTreeSet<String> {
        match self.0.get(name) {
            Some(members) => members.iter().flat_map(|member| self.members(member)).collect(),
            None => {
                assert!(!name.starts_with('@'), "systemd does not know {name}");
                BTreeSet::from([name.to_owned()])
            }
        }
    }

    /// Returns the system calls that a unit allows.
    fn allowed(&self, unit: &str) -> BTreeSet<String> {
        let mut allowed = BTreeSet::new();
        for filter in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
            let (names, refuses) = filter.strip_prefix('~').map_or((filter, false), |names| (names, true));
            for call in names.split(' ').flat_map(|name| self.members(name)) {
                if refuses {
                    allowed.remove(&call);
                } else {
                    allowed.insert(call);
                }
            }
        }
        allowed
    }
}

/// Returns the system calls in the output of `strace -f`: `PID name(…) = …`.
fn made(trace: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let (call, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
        call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| call.to_owned())
    };
    trace.lines().filter_map(name).collect()
}

#[test]
fn filters_and_traces_are_understood() {
    let sets =
        Sets::parse("@a\n    # Comment\n    @b\n    one\n\n@b\n    two\n    three\n\n# Unlisted\n#   four\n");
    let unit = "SystemCallFilter=@a\nSystemCallFilter=~@b one\nSystemCallFilter=two\n";
    assert_eq!(sets.allowed(unit), BTreeSet::from(["two".to_owned()]));
    let trace =
        "7 futex(0x1, 2) = 0\n8 <... read resumed>) = 1\n9 +++ exited with 0 +++\n7 --- SIGHUP {a(b)} ---\n";
    assert_eq!(made(trace), BTreeSet::from(["futex".to_owned()]));
}

#[rstest]
fn the_service_may_do_what_the_server_does(#[values(On::Sqlite, On::Postgres)] on: On) {
    for (program, package) in [("strace", "strace"), ("systemd-analyze", "systemd")] {
        if require::program(program).is_none() {
            return require::missing(program, &format!("on Debian: apt-get install {package}"));
        }
    }
    let Some(database) = TestDatabase::create(on) else { return };
    let sets = Command::new("systemd-analyze").arg("syscall-filter").output().unwrap();
    let sets = Sets::parse(&String::from_utf8_lossy(&sets.stdout));
    let allowed = sets.allowed(&read("packaging/tollgate.service"));
    assert!(allowed.len() > 100 && !allowed.contains("mount"), "{allowed:?}");

    let directory = temporary::directory();
    let trace = directory.path().join("trace");
    let output = format!("-o{}", trace.display());
    let backups = directory.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let flags = ["--backup-dir", backups.to_str().unwrap(), "--metrics-bind", "127.0.0.1:0"];
    let launch = Launch::on(&database).flags(&flags).under(&["strace", "-D", "-f", "-qqq", &output]);
    let mut server = launch.start();
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "Hello").status, 201);
    let stream = json!({"message": "Hello", "stream": true});
    assert_eq!(server.client().post("/chat/", Some(&token), &stream).unwrap().status, 200);
    let login = json!({"username": "ada", "password": PASSWORD});
    assert_eq!(server.client().post("/login/", None, &login).unwrap().status, 200);
    server.signal(Signal::HUP);
    wait::until("the reload", Duration::from_secs(20), || server.log().contains("reloaded").then_some(()));
    if on == On::Sqlite {
        wait::until("a backup", Duration::from_secs(60), || {
            let is_done = |entry: std::io::Result<std::fs::DirEntry>| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".db"))
            };
            std::fs::read_dir(&backups).unwrap().any(is_done).then_some(())
        });
    }
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(30)).code(), Some(0), "{}", server.log());

    let mut made = made(&std::fs::read_to_string(&trace).unwrap());
    assert!(made.len() > 30, "only {made:?} were traced");
    if rustix::process::geteuid().is_root() {
        // As root, SQLite gives new files the owner of the database.
        made.remove("fchown");
    }
    let refused: Vec<&String> = made.difference(&allowed).collect();
    assert!(refused.is_empty(), "the unit refuses {refused:?}");
}
