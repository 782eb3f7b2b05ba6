//! The SQLite file: moved, replaced, deleted, linked, copied, backed up and restored.

mod backups;
mod foreign;
mod locked;
mod log_size;
mod lost_log;
mod modes;
mod restores;
mod rounds;
mod scheduled;
mod second_server;
mod stops;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use crate::support::http::Answer;
use crate::support::server::{Launch, Server, tollgate};
use crate::support::{On, TestDatabase};

/// Starts a server on a new database. Returns both, and the auth token of the user `ada`.
fn serve() -> (TestDatabase, Server, String) {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    (database, server, token)
}

/// Starts a server, and stops it cleanly. Returns the messages of a user, newest first.
#[track_caller]
fn stored_messages(database: &TestDatabase, token: &str) -> Vec<String> {
    let mut server = Server::start(database, &[]);
    let messages = server.messages(token);
    stop_clean(&mut server, database);
    messages
}

/// Returns the path to which the server has saved its database, according to its log.
fn saved_as(server: &Server) -> String {
    let log = server.log();
    log.split_once("was saved as ").unwrap().1.split_once(',').unwrap().0.to_owned()
}

/// Returns the database's path with `suffix` appended.
fn beside(database: &TestDatabase, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", database.url()))
}

fn file(database: &TestDatabase) -> &Path {
    Path::new(database.url())
}

/// Returns the names in the folder of the database, except locks and generations, in order.
fn names(database: &TestDatabase) -> Vec<String> {
    let folder = file(database).parent().expect("the database is in a folder");
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| !name.ends_with("-lock") && !name.ends_with("-generation"))
        .filter(|name| !name.contains("-index.db"))
        .collect();
    names.sort();
    names
}

/// Stops the server. Checks that it exits with 0, in time, and that the file alone is the database.
#[track_caller]
fn stop_clean(server: &mut Server, database: &TestDatabase) {
    server.terminate();
    let status = server.wait(Duration::from_secs(20));
    assert_eq!(status.code(), Some(0), "{}", server.log());
    let index = database.url().replace(".db", "-index.db");
    for suffix in ["-wal", "-shm", "-journal"] {
        assert!(!beside(database, suffix).exists(), "{suffix} is left:\n{}", server.log());
        assert!(
            !Path::new(&format!("{index}{suffix}")).exists(),
            "{index}{suffix} is left:\n{}",
            server.log()
        );
    }
}

/// Runs a command on the database.
fn run(database: &TestDatabase, words: &[&str]) -> Output {
    let mut all = words.to_vec();
    all.extend(["--database-url", database.url()]);
    tollgate(&all)
}

#[track_caller]
fn assert_good(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// Checks that the command failed, and that its message has all of `words`.
#[track_caller]
fn assert_refused(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    for word in words {
        assert!(said(output).contains(word), "{word:?} is not in {}", said(output));
    }
}

/// Returns what a command printed, on both streams.
fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// Checks that a server does not start now, and that its message has all of `words`.
#[track_caller]
fn assert_no_start(database: &TestDatabase, words: &[&str]) {
    let mut server = Launch::on(database).spawn();
    let status = server.wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(1), "it started:\n{}", server.log());
    for word in words {
        assert!(server.log().contains(word), "{word:?} is not in:\n{}", server.log());
    }
}

/// Checks that the status is 200, 201 or 503. Returns whether it is 503.
fn is_unavailable(answer: &Answer) -> bool {
    assert!([200, 201, 503].contains(&answer.status), "{answer:?}");
    answer.status == 503
}

/// Returns whether chats, reads and readiness all return 503.
fn serves_nothing(server: &Server, token: &str) -> bool {
    let balance = server.client().get("/tokens/", token).unwrap();
    is_unavailable(&server.chat(token, "Refused")) && is_unavailable(&balance) && !server.is_ready()
}

/// Backs up the database into a new file in its folder. Returns the path of the backup.
fn back_up(database: &TestDatabase, name: &str) -> PathBuf {
    let target = file(database).with_file_name(name);
    assert_good(&run(database, &["backup", target.to_str().unwrap()]));
    target
}
