//! Another program has locked the file, or the file is damaged.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{assert_no_start, assert_refused, back_up, run, serve, stop_clean};
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase, figures, wait};

#[test]
fn while_another_program_holds_the_lock_each_chat_gets_503_within_five_seconds() {
    let (database, server, token) = serve();
    let mut lock = SqliteConnection::establish(database.url()).unwrap();
    lock.batch_execute("PRAGMA busy_timeout = 5000; BEGIN EXCLUSIVE").unwrap();
    // Some chats are sent before the first wait has failed, and some after.
    let begun = Instant::now();
    let chats: Vec<_> = [0, 500, 2000, 4000, 4500, 6000]
        .map(|due| {
            let (mut client, token) = (server.client(), token.clone());
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(due).saturating_sub(begun.elapsed()));
                let asked = Instant::now();
                let body = serde_json::json!({"message": "Hello"});
                let answer = client.post("/chat/", Some(&token), &body).unwrap();
                (answer.status, asked.elapsed())
            })
        })
        .into_iter()
        .collect();
    let mut slowest_read = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(6) {
        let asked = Instant::now();
        assert_eq!(server.tokens(&token), 4000, "reads must continue");
        slowest_read = slowest_read.max(asked.elapsed());
        thread::sleep(Duration::from_millis(100));
    }
    let mut slowest = Duration::ZERO;
    for chat in chats {
        let (status, took) = chat.join().unwrap();
        assert_eq!(status, 503);
        assert!(took < Duration::from_secs(5), "503 after {took:?}");
        slowest = slowest.max(took);
    }
    figures::report(
        "another program locks the file",
        &format!(
            "503 after at most {} ms, reads at most {} ms",
            slowest.as_millis(),
            slowest_read.as_millis()
        ),
    );
    lock.batch_execute("ROLLBACK").unwrap();
    wait::until("chats to work again", Duration::from_secs(5), || {
        (server.chat(&token, "Again").status == 201).then_some(())
    });
    assert_eq!(server.tokens(&token), 3900);
    drop(server);
    assert_verified(&database);
}

/// Overwrites the first page of the table of users with garbage.
fn damage_users(database: &TestDatabase) {
    let mut connection = SqliteConnection::establish(database.url()).unwrap();
    #[derive(QueryableByName)]
    struct Root {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rootpage: i64,
    }
    let root: Root = diesel::sql_query("SELECT rootpage FROM sqlite_master WHERE name = 'users'")
        .get_result(&mut connection)
        .unwrap();
    drop(connection);
    let file = OpenOptions::new().write(true).open(database.url()).unwrap();
    file.write_all_at(&[0xA5; 4096], (root.rootpage as u64 - 1) * 4096).unwrap();
}

#[test]
fn a_damaged_database_is_reported_with_advice() {
    let (database, mut server, token) = serve();
    let backup = back_up(&database, "backup.db");
    stop_clean(&mut server, &database);
    damage_users(&database);
    let mut server = Launch::on(&database).spawn();
    if server.listening_or_dead().is_some() {
        let answer = server.client().get("/tokens/", &token).unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(server.chat(&token, "Hello").status, 503);
        server.kill9();
    }
    let log = server.log();
    assert!(log.contains(&format!("{} is damaged", database.url())), "{log}");
    assert!(log.contains("tollgate restore"), "{log}");
    // The advice works.
    assert!(run(&database, &["restore", backup.to_str().unwrap()]).status.success());
    assert_eq!(Server::start(&database, &[]).tokens(&token), 4000);
}

#[test]
fn a_file_that_is_not_a_database_is_reported() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    std::fs::write(database.url(), "some other text ".repeat(1000)).unwrap();
    assert_no_start(&database, &[database.url(), "is not an SQLite database"]);
    assert_refused(&run(&database, &["verify"]), &[database.url(), "is not an SQLite database"]);
}

#[test]
fn another_programs_database_is_refused_and_unchanged() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut connection = SqliteConnection::establish(database.url()).unwrap();
    connection.batch_execute("CREATE TABLE bookmarks (id INTEGER); PRAGMA user_version = 7").unwrap();
    drop(connection);
    let before = std::fs::read(database.url()).unwrap();
    assert_no_start(&database, &[database.url(), "of another program"]);
    assert_refused(&run(&database, &["migrate"]), &["of another program"]);
    assert!(std::fs::read(database.url()).unwrap() == before, "the file was changed");
}
