//! A full disk: chats get a 503 and cost nothing, and reads go on. When there is room again,
//! everything works without a restart.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use super::assert_unavailable;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::small_disk::SmallDisk;
use crate::support::{On, TestDatabase, wait};

/// The longest allowed message. With the dummy's response, a chat has 64 kB.
fn long_message() -> String {
    "x".repeat(32_000)
}

/// Sends chats until the first refusal, which must be a 503. Returns the number of acknowledged
/// chats.
fn chat_until_full(server: &Server, token: &str, message: &str) -> i64 {
    let mut client = server.client();
    for acknowledged in 0..30 {
        let answer = client.post("/chat/", Some(token), &json!({"message": message})).unwrap();
        if answer.status != 201 {
            assert_unavailable(&answer);
            return acknowledged;
        }
    }
    panic!("thirty chats fitted: the disk was not full")
}

/// Checks that, while the disk is full, chats get a 503 and cost nothing, and reads work.
fn assert_only_reads_work(server: &Server, token: &str, acknowledged: i64) {
    for _ in 0..5 {
        assert_unavailable(&server.chat(token, &long_message()));
        assert_eq!(server.tokens(token), 4000 - 100 * acknowledged);
    }
    assert_eq!(server.history(token).len() as i64, acknowledged);
    let anonymous = server.client().send("GET", "/healthz", &[], b"").unwrap();
    assert_eq!(anonymous.status, 200, "{anonymous:?}");
}

fn assert_recovers(server: &Server, token: &str, acknowledged: i64) {
    let answer = wait::until("chats to work again", Duration::from_secs(20), || {
        let answer = server.chat(token, "Again");
        assert!(matches!(answer.status, 201 | 503), "{answer:?}");
        (answer.status == 201).then_some(answer)
    });
    let remaining = (3900 - 100 * acknowledged).to_string();
    assert_eq!(answer.header("X-Tokens-Remaining"), Some(remaining.as_str()));
    assert_eq!(server.history(token).len() as i64, acknowledged + 1);
    // Others can register and log in again.
    server.user("bob");
}

#[test]
fn a_limit_on_file_sizes_gives_503s_and_chats_work_again_when_it_is_lifted() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    // SIGXFSZ would kill the server. If it is ignored, the write fails, as on a full disk. 2048
    // blocks are 1 MiB.
    let script = r#"trap '' XFSZ; ulimit -S -f 2048; exec "$@""#;
    let server = Launch::on(&database).under(&["sh", "-c", script, "sh"]).start();
    let token = server.user("ada");
    // A snapshot from before the chats. Without it, a checkpoint would restart the log, with room
    // for another chat.
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    let acknowledged = chat_until_full(&server, &token, &long_message());
    assert_only_reads_work(&server, &token, acknowledged);
    assert_verified(&database);
    let pid = Pid::from_raw(server.pid() as i32).unwrap();
    let old = prlimit(Some(pid), Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    assert_eq!(old.current, Some(1024 * 1024));
    drop(reader);
    assert_recovers(&server, &token, acknowledged);
    drop(server);
    assert_verified(&database);
}

#[test]
fn a_full_disk_gives_503s_and_chats_work_again_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let database = TestDatabase::sqlite_in(disk.path());
    let server = Launch::on(&database).start();
    let token = server.user("ada");
    let filler = disk.fill(512 * 1024);
    let acknowledged = chat_until_full(&server, &token, &long_message());
    assert!(acknowledged > 0, "the disk was full before the first chat");
    // Now no file can grow by a page. Short chats use up the room inside the files.
    let rest = disk.path().join("rest");
    let mut more = File::create(&rest).unwrap();
    while more.write_all(&[0; 4096]).is_ok() {}
    let acknowledged = acknowledged + chat_until_full(&server, &token, "Short");
    assert_only_reads_work(&server, &token, acknowledged);
    std::fs::remove_file(filler).unwrap();
    std::fs::remove_file(rest).unwrap();
    assert_recovers(&server, &token, acknowledged);
    drop(server);
    assert_verified(&database);
}
