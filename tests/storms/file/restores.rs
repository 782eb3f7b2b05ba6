//! `tollgate restore`: what it refuses, what it keeps, and what a kill during it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{
    assert_good, assert_no_start, assert_refused, back_up, beside, file, names, run, said, serve, stop_clean,
    stored_messages,
};
use crate::support::dice::Dice;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase, require};

/// Returns a stopped database, its backup, and the auth token of its only user, who has sent one
/// chat before and one after the backup.
fn prepare() -> (TestDatabase, PathBuf, String) {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Before").status, 201);
    let backup = back_up(&database, "backup.db");
    assert_eq!(server.chat(&token, "After").status, 201);
    stop_clean(&mut server, &database);
    (database, backup, token)
}

fn restore(database: &TestDatabase, backup: &Path) -> std::process::Output {
    run(database, &["restore", backup.to_str().unwrap()])
}

/// Returns the path of the replaced database, which a restore keeps.
fn kept(database: &TestDatabase) -> PathBuf {
    let names = names(database);
    let name = names.iter().find(|name| name.contains("-before-restore-")).expect("the old one is kept");
    file(database).with_file_name(name)
}

#[test]
fn the_replaced_database_is_kept_and_can_be_restored() {
    let (database, backup, token) = prepare();
    let output = restore(&database, &backup);
    assert_good(&output);
    assert_eq!(stored_messages(&database, &token), ["Before"]);
    let old = kept(&database);
    assert!(said(&output).contains(old.to_str().unwrap()), "{}", said(&output));
    assert_good(&run(&database, &["restore", "--delete-old", old.to_str().unwrap()]));
    assert_eq!(stored_messages(&database, &token), ["After", "Before"]);
    assert_verified(&database);
    let left = names(&database).iter().filter(|name| name.contains("-before-restore-")).count();
    assert_eq!(left, 1, "only the first restore should keep the old one: {:?}", names(&database));
}

#[test]
fn a_restore_after_a_kill_keeps_the_log_with_its_database() {
    let (database, backup, token) = prepare();
    let mut server = Server::start(&database, &[]);
    assert_eq!(server.chat(&token, "Last").status, 201);
    server.kill9();
    assert_good(&restore(&database, &backup));
    assert_eq!(stored_messages(&database, &token), ["Before"]);
    assert_good(&restore(&database, &kept(&database)));
    assert_eq!(stored_messages(&database, &token), ["Last", "After", "Before"]);
}

#[test]
fn a_restore_repairs_a_database_that_no_start_accepts() {
    // A backup was moved into place beside the log of another database.
    let (database, backup, token) = prepare();
    let mut server = Server::start(&database, &[]);
    assert_eq!(server.chat(&token, "Last").status, 201);
    server.kill9();
    fs::copy(&backup, database.url()).unwrap();
    assert_no_start(&database, &["-wal is not the log of the"]);
    assert_good(&restore(&database, &backup));
    assert_eq!(stored_messages(&database, &token), ["Before"]);
    // The database is missing.
    fs::remove_file(database.url()).unwrap();
    assert_no_start(&database, &["was moved or deleted"]);
    assert_good(&restore(&database, &backup));
    assert_eq!(stored_messages(&database, &token), ["Before"]);
    // A new machine, with only the backup.
    let elsewhere = TestDatabase::create(On::Sqlite).unwrap();
    assert_good(&restore(&elsewhere, &backup));
    assert_eq!(stored_messages(&elsewhere, &token), ["Before"]);
}

#[test]
fn a_restore_refuses_invalid_backups_and_changes_nothing() {
    let (database, backup, token) = prepare();
    let folder = file(&database).parent().unwrap().to_owned();
    let bad = folder.join("bad.db");
    let before = fs::read(database.url()).unwrap();
    let whole = fs::read(&backup).unwrap();
    let check = |bytes: &[u8], words: &[&str]| {
        fs::write(&bad, bytes).unwrap();
        assert_refused(&restore(&database, &bad), words);
        assert!(fs::read(database.url()).unwrap() == before, "the database was changed");
        fs::remove_file(&bad).unwrap();
        assert_eq!(names(&database), ["backup.db", "tollgate.db"]);
    };
    check(b"", &["is not an SQLite database"]);
    check(b"a text", &["is not an SQLite database"]);
    check(&whole[..whole.len() / 2], &["not restored"]);
    let mut damaged = whole.clone();
    damaged[4096..20_000].fill(0xA5);
    check(&damaged, &["not restored"]);
    // Databases of another program, of a later release, and with wrong balances.
    let change = |sql: &str| {
        fs::write(&bad, &whole).unwrap();
        let mut connection = SqliteConnection::establish(bad.to_str().unwrap()).unwrap();
        connection.batch_execute(sql).unwrap();
        drop(connection);
        fs::read(&bad).unwrap()
    };
    let foreign = change("ALTER TABLE ledger_entries RENAME TO others");
    check(&foreign, &["is not a database of Tollgate"]);
    let newer = change("UPDATE compatibility SET oldest_binary = '99.0.0'");
    check(&newer, &["needs tollgate 99.0.0"]);
    let wrong = change("UPDATE users SET tokens = tokens + 1");
    check(&wrong, &["books are wrong"]);
    assert_refused(&restore(&database, file(&database)), &["is the database itself"]);
    assert_refused(&restore(&database, &folder.join("none.db")), &["No such file"]);
    assert_eq!(stored_messages(&database, &token), ["After", "Before"]);
}

#[test]
fn a_restore_refuses_while_the_database_or_the_backup_is_in_use() {
    let (database, backup, token) = prepare();
    let mut server = Server::start(&database, &[]);
    assert_refused(&restore(&database, &backup), &["a server runs on", "stop it first"]);
    assert_eq!(server.chat(&token, "Still").status, 201);
    // The live file of another server is not a backup, and neither is a file with a log.
    let other = TestDatabase::create(On::Sqlite).unwrap();
    assert_refused(&restore(&other, file(&database)), &["tollgate.db"]);
    server.kill9();
    assert_refused(&restore(&other, file(&database)), &["has a log beside it", "tollgate backup"]);
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    assert_refused(&restore(&database, &backup), &["another program has", "open"]);
    drop(reader);
    assert_eq!(stored_messages(&database, &token), ["Still", "After", "Before"]);
}

/// After `kill -9` at any moment of a restore, the next start has the old database or the new one,
/// or asks for another restore.
#[test]
fn a_restore_that_is_killed_at_any_moment_leaves_the_old_database_or_the_new_one() {
    let (database, backup, token) = prepare();
    let mut dice = Dice::new();
    let begun = Instant::now();
    assert_good(&restore(&database, &backup));
    let whole = begun.elapsed();
    let (mut old, mut new, mut incomplete) = (0, 0, 0);
    for _ in 0..if require::proofs() { 100 } else { 12 } {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["restore", "--delete-old", backup.to_str().unwrap(), "--database-url", database.url()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(whole.mul_f64(dice.pick(500..1100) as f64 / 1000.0));
        let _ = process.kill();
        process.wait().unwrap();
        let mut server = Launch::on(&database).spawn();
        if server.listening_or_dead().is_none() {
            assert!(server.log().contains("`tollgate restore` was interrupted"), "{}", server.log());
            assert_good(&restore(&database, &backup));
            incomplete += 1;
            continue;
        }
        server.wait_until_ready();
        match server.messages(&token).as_slice() {
            [before] if before == "Before" => new += 1,
            [mark, before] if mark == "Mark" && before == "Before" => old += 1,
            others => panic!("{others:?}"),
        }
        // The next round distinguishes the old database by this chat.
        if server.messages(&token).len() == 1 {
            assert_eq!(server.chat(&token, "Mark").status, 201);
        }
        server.terminate();
        server.wait(Duration::from_secs(20));
        assert_verified(&database);
        assert!(!beside(&database, "-wal").exists());
    }
    crate::support::figures::report(
        "restores that are killed",
        &format!(
            "{old} times the old database, {new} times the new one, {incomplete} times asked to run it again"
        ),
    );
}
