//! The log is deleted, moved, replaced or truncated under the server. No chat is answered and then
//! lost.

use std::fs::{self, OpenOptions};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use rstest::rstest;

use super::{beside, saved_as, serves_nothing};
use crate::blackbox::load::{self, Load, Outcome, RICH};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, figures, wait};

fn delete_the_log(database: &TestDatabase) {
    fs::remove_file(beside(database, "-wal")).unwrap();
}

fn delete_the_index(database: &TestDatabase) {
    fs::remove_file(beside(database, "-shm")).unwrap();
}

fn delete_both(database: &TestDatabase) {
    delete_the_log(database);
    delete_the_index(database);
}

fn move_the_log(database: &TestDatabase) {
    fs::rename(beside(database, "-wal"), beside(database, "-old")).unwrap();
}

fn replace_the_log(database: &TestDatabase) {
    fs::write(beside(database, "-new"), b"").unwrap();
    fs::rename(beside(database, "-new"), beside(database, "-wal")).unwrap();
}

#[test]
fn a_lost_log_is_saved_once_the_blocking_reader_has_gone() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let token = server.user("ada");
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    for _ in 0..3 {
        assert_eq!(server.chat(&token, "Hello").status, 201);
    }
    delete_the_log(&database);
    wait::until("the first attempt to fail", Duration::from_secs(10), || {
        server.log().contains("could not be saved yet").then_some(())
    });
    assert!(!server.log().contains("nothing that was answered is lost"), "{}", server.log());
    reader.batch_execute("ROLLBACK").unwrap();
    wait::until("the log to be saved", Duration::from_secs(10), || {
        server.log().contains("nothing that was answered is lost").then_some(())
    });
    drop(reader);
    server.kill9();
    let server = Server::start(&database, &RICH);
    assert_eq!(server.history(&token).len(), 3);
    drop(server);
    assert_verified(&database);
}

/// Every answered chat is there after a restart, because the server still had the log open and
/// copied it into the file.
#[rstest]
#[case::wal(delete_the_log)]
#[case::shm(delete_the_index)]
#[case::both(delete_both)]
#[case::moved(move_the_log)]
#[case::replaced_by_an_empty_one(replace_the_log)]
fn no_answered_chat_is_lost_with_a_log_deleted_under_load(
    #[case] handle: fn(&TestDatabase),
    #[values(true, false)] is_killed: bool,
) {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let load = Load::start(&server, &tokens, "lost");
    load.await_acknowledged(150);
    handle(&database);
    load.await_refused(10);
    wait::until("a 503 to everything", Duration::from_secs(5), || {
        serves_nothing(&server, &tokens[0]).then_some(())
    });
    wait::until("the log to be saved", Duration::from_secs(10), || {
        let log = server.log();
        log.contains("was copied into the file").then_some(())
    });
    let sent = load.stop();
    if is_killed {
        server.kill9();
    } else {
        server.terminate();
        server.wait(Duration::from_secs(20));
    }
    let server = Server::start(&database, &RICH);
    load::assert_books(&server, &tokens, &sent);
    drop(server);
    assert_verified(&database);
    let answered = sent.iter().filter(|one| matches!(one.outcome, Outcome::Acknowledged(_))).count();
    figures::report("the log is deleted under load", &format!("{answered} chats answered, 0 lost"));
}

/// SQLite would apply another database's log, put in the place of the server's, to the file.
#[test]
fn another_databases_log_is_never_joined_to_the_file() {
    let (other, database) =
        (TestDatabase::create(On::Sqlite).unwrap(), TestDatabase::create(On::Sqlite).unwrap());
    let mut busy = Server::start(&other, &[]);
    busy.user("bob");
    busy.kill9();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let load = Load::start(&server, &tokens, "lost");
    load.await_acknowledged(150);
    fs::copy(beside(&other, "-wal"), beside(&database, "-new")).unwrap();
    fs::rename(beside(&database, "-new"), beside(&database, "-wal")).unwrap();
    load.await_refused(10);
    wait::until("the database to be saved", Duration::from_secs(10), || {
        server.log().contains("was saved as").then_some(())
    });
    let sent = load.stop();
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(1), "{}", server.log());
    super::assert_no_start(&database, &["-wal is not the log of the"]);
    super::assert_good(&super::run(&database, &["restore", &saved_as(&server)]));
    let server = Server::start(&database, &RICH);
    load::assert_books(&server, &tokens, &sent);
}

/// The content of the log is lost. But afterwards nobody gets an answer, no start joins the rest of
/// the log to the file, and restoring a backup gives a sound database.
#[rstest]
#[case::to_nothing(0)]
#[case::to_its_head(32)]
#[case::in_the_middle(40_000)]
fn a_truncated_log_stops_all_answers_and_a_restore_works(#[case] size: u64) {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let backup = super::back_up(&database, "backup.db");
    // While this reads, the log does not restart, so all of it is in use.
    let mut reader = SqliteConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM users").unwrap();
    let load = Load::start(&server, &tokens, "cut");
    load.await_acknowledged(150);
    OpenOptions::new().write(true).open(beside(&database, "-wal")).unwrap().set_len(size).unwrap();
    load.await_refused(10);
    wait::until("a 503 to everything", Duration::from_secs(5), || {
        serves_nothing(&server, &tokens[0]).then_some(())
    });
    load.stop();
    drop(reader);
    assert!(server.log().contains("damaged log"), "{}", server.log());
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(1), "{}", server.log());
    super::assert_no_start(&database, &["a part of the log", "may be damaged", "tollgate restore"]);
    super::assert_good(&super::run(&database, &["restore", backup.to_str().unwrap()]));
    let server = Server::start(&database, &RICH);
    assert_eq!(server.chat(&tokens[0], "Again").status, 201);
    drop(server);
    assert_verified(&database);
}
