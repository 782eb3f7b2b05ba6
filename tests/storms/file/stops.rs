//! A clean stop, and every command, leaves a single file.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;

use super::{assert_good, beside, file, names, run, serve, stop_clean};
use crate::blackbox::load::{self, Load, RICH};
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase, require, temporary, wait};

#[test]
fn after_a_stop_under_load_a_copy_of_the_file_alone_has_every_chat() {
    let rounds = if require::proofs() { 20 } else { 3 };
    let mut database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let mut sent = Vec::new();
    let mut kept = Vec::new();
    for round in 0..rounds {
        let load = Load::start(&server, &tokens, &format!("round{round}"));
        load.await_acknowledged(200);
        server.terminate();
        // A second signal must not cut the stop short.
        server.terminate();
        stop_clean(&mut server, &database);
        sent.extend(load.stop());
        let elsewhere = TestDatabase::create(On::Sqlite).unwrap();
        fs::copy(database.url(), elsewhere.url()).unwrap();
        assert_verified(&elsewhere);
        server = Server::start(&elsewhere, &RICH);
        load::assert_books(&server, &tokens, &sent);
        kept.push(std::mem::replace(&mut database, elsewhere));
    }
}

#[test]
fn no_command_leaves_a_log_behind() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let name = file(&database).file_name().unwrap().to_str().unwrap().to_owned();
    let commands: [(&[&str], bool); 7] = [
        (&["migrate"], true),
        (&["createsuperuser", "--username", "root", "--password-stdin"], false),
        (&["adjust", "ada", "5", "--note", "x"], true),
        (&["verify"], true),
        (&["migrate", "--status"], true),
        (&["adjust", "nobody", "5", "--note", "x"], false),
        (&["migrate", "--down"], true),
    ];
    let mut server = Server::start(&database, &[]);
    server.user("ada");
    stop_clean(&mut server, &database);
    for (words, is_good) in commands {
        let output = run(&database, words);
        assert_eq!(output.status.success(), is_good, "{words:?}: {}", super::said(&output));
        assert_eq!(names(&database), std::slice::from_ref(&name), "after {words:?}");
    }
}

#[test]
fn commands_beside_a_server_leave_its_log_alone() {
    let (database, mut server, token) = serve();
    for _ in 0..3 {
        assert_eq!(server.chat(&token, "Hello").status, 201);
        assert_good(&run(&database, &["adjust", "ada", "100", "--note", "x"]));
        assert_good(&run(&database, &["verify"]));
    }
    assert_eq!(server.tokens(&token), 4000);
    stop_clean(&mut server, &database);
    assert_verified(&database);
}

#[test]
fn a_hanging_reader_does_not_delay_a_stop_which_reports_an_incomplete_file() {
    let (database, mut server, token) = serve();
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    for _ in 0..5 {
        assert_eq!(server.chat(&token, "Hello").status, 201);
    }
    let asked = Instant::now();
    server.terminate();
    let status = server.wait(Duration::from_secs(20));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("alone is not the whole database"), "{}", server.log());
    reader.batch_execute("ROLLBACK").unwrap();
    drop(reader);
    assert_verified(&database);
    let mut server = Server::start(&database, &[]);
    assert_eq!(server.tokens(&token), 3500);
    stop_clean(&mut server, &database);
}

#[test]
fn a_stop_on_a_full_disk_keeps_the_log_and_says_so() {
    let disk = temporary::directory();
    let mount = ["-t", "tmpfs", "-o", "size=6m", "tollgate-test"];
    let mounted = Command::new("mount").args(mount).arg(disk.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return require::skipped("mounting a file system is not allowed here");
    }
    let database = TestDatabase::sqlite_in(disk.path());
    // Another program holds a snapshot, so that the log cannot be copied before the stop.
    let mut server = Server::start(&database, &RICH);
    let token = server.user("ada");
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    for number in 0..20 {
        assert_eq!(server.chat(&token, &format!("{number} {}", "x".repeat(30_000))).status, 201);
    }
    let filler = disk.path().join("filler");
    let mut full = fs::File::create(&filler).unwrap();
    while full.write_all(&[0; 4096]).is_ok() {}
    drop(full);
    reader.batch_execute("ROLLBACK").unwrap();
    drop(reader);
    server.terminate();
    let status = server.wait(Duration::from_secs(20));
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("alone is not the whole database"), "{}", server.log());
    fs::remove_file(filler).unwrap();
    let mut server = Server::start(&database, &RICH);
    assert_eq!(server.history(&token).len(), 20);
    stop_clean(&mut server, &database);
    let _ = Command::new("umount").arg("-l").arg(disk.path()).status();
}

#[test]
fn a_start_interrupted_at_any_moment_leaves_a_database_that_starts() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    for pause in [0, 2, 5, 10, 20, 40, 80] {
        let mut server = Launch::on(&database).spawn();
        std::thread::sleep(Duration::from_millis(pause));
        server.terminate();
        server.wait(Duration::from_secs(20));
    }
    let mut server = Server::start(&database, &[]);
    let token = server.user("ada");
    let body = json!({"message": "Hello"});
    let answer = wait::until("a chat", Duration::from_secs(10), || {
        server.client().post("/chat/", Some(&token), &body).ok()
    });
    assert_eq!(answer.status, 201, "{answer:?}");
    stop_clean(&mut server, &database);
    assert!(!beside(&database, "-wal").exists());
}
