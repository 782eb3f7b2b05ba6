//! Another file in the place of the served one, and logs that belong to another file.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use rstest::rstest;

use super::{
    assert_no_start, assert_refused, back_up, beside, file, run, said, saved_as, serve, serves_nothing,
    stop_clean, stored_messages,
};
use crate::blackbox::load::{self, Load, Outcome, RICH};
use crate::support::figures;
use crate::support::http::Answer;
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, wait};

/// Moves a copy over the file, as `mv` does.
fn move_into_place(backup: &Path, database: &TestDatabase) {
    let copy = backup.with_extension("copy");
    fs::copy(backup, &copy).unwrap();
    fs::rename(copy, database.url()).unwrap();
}

/// Writes a copy into the file, as `cp` does.
fn copy_into_place(backup: &Path, database: &TestDatabase) {
    fs::copy(backup, database.url()).unwrap();
}

fn cut_short(_: &Path, database: &TestDatabase) {
    OpenOptions::new().write(true).open(database.url()).unwrap().set_len(8192).unwrap();
}

fn delete(_: &Path, database: &TestDatabase) {
    fs::remove_file(database.url()).unwrap();
}

/// An operator changes the file while it is served under load. Soon every response is a 503, and
/// the log says why and what to do.
#[rstest]
#[case::mv(move_into_place, "another one was put in its place")]
#[case::cp(copy_into_place, "was overwritten")]
#[case::truncate(cut_short, "was overwritten or cut short")]
#[case::rm(delete, "was deleted")]
fn a_file_that_is_changed_under_the_server_is_no_longer_served(
    #[case] handle: fn(&Path, &TestDatabase),
    #[case] why: &str,
) {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 3);
    let before = Load::start(&server, &tokens, "before");
    before.await_acknowledged(100);
    before.stop();
    let backup = back_up(&database, "backup.db");
    // A pause lets the keeper copy the log into the file. Before that there is little to cut off.
    wait::until("a copied log", Duration::from_secs(30), || {
        (fs::metadata(database.url()).ok()?.len() > 100_000).then_some(())
    });
    let load = Load::start(&server, &tokens, "after");
    load.await_acknowledged(100);
    handle(&backup, &database);
    let handled = Instant::now();
    load.await_refused(10);
    wait::until("a 503 to everything", Duration::from_secs(5), || {
        serves_nothing(&server, &tokens[0]).then_some(())
    });
    let took = handled.elapsed();
    let sent = load.stop();
    let refused = sent.iter().filter(|one| matches!(one.outcome, Outcome::Refused(503))).count();
    assert!(refused > 0, "{sent:?}");
    let log = server.log();
    assert!(log.contains(why) && log.contains("tollgate restore"), "{log}");
    figures::report(
        &format!("the file is changed under load ({why})"),
        &format!("all 503 after {} ms", took.as_millis()),
    );
    // The fault lasts until a restart.
    assert!(serves_nothing(&server, &tokens[0]));
}

#[test]
fn a_backup_that_is_moved_into_place_is_served_after_a_clean_restart() {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Before").status, 201);
    let backup = back_up(&database, "backup.db");
    assert_eq!(server.chat(&token, "After").status, 201);
    move_into_place(&backup, &database);
    wait::until("a 503", Duration::from_secs(5), || serves_nothing(&server, &token).then_some(()));
    // Answered chats are saved in a separate file, although the old file no longer has a name.
    wait::until("the old database to be saved", Duration::from_secs(10), || {
        server.log().contains("was saved as").then_some(())
    });
    let saved = saved_as(&server);
    server.terminate();
    server.wait(Duration::from_secs(20));
    assert!(!beside(&database, "-wal").exists(), "the log of the old file is left");
    assert_eq!(stored_messages(&database, &token), ["Before"]);
    assert_verified(&database);
    fs::rename(saved, database.url()).unwrap();
    assert_eq!(stored_messages(&database, &token), ["After", "Before"]);
    assert_verified(&database);
}

#[rstest]
#[case::a_backup(move_into_place)]
#[case::a_backup_by_cp(copy_into_place)]
fn a_log_that_a_killed_server_left_is_not_joined_to_a_backup(#[case] handle: fn(&Path, &TestDatabase)) {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Before").status, 201);
    let backup = back_up(&database, "backup.db");
    assert_eq!(server.chat(&token, "After").status, 201);
    server.kill9();
    handle(&backup, &database);
    assert_no_start(&database, &["-wal is not the log of the", "move", "tollgate restore"]);
    for words in [&["verify"][..], &["adjust", "ada", "1", "--note", "x"], &["migrate", "--status"]] {
        assert_refused(&run(&database, words), &["-wal is not the log of the"]);
    }
    assert!(beside(&database, "-wal").exists(), "a log that may be needed was deleted");
    // The message says to move the log away.
    fs::rename(beside(&database, "-wal"), beside(&database, "-away")).unwrap();
    assert_eq!(stored_messages(&database, &token), ["Before"]);
    assert_verified(&database);
}

#[test]
fn a_copy_from_after_a_clean_stop_is_not_joined_to_a_later_log() {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Before").status, 201);
    stop_clean(&mut server, &database);
    let copy = file(&database).with_file_name("copy.db");
    fs::copy(database.url(), &copy).unwrap();
    // A command also starts a new log.
    assert!(run(&database, &["adjust", "ada", "7", "--note", "x"]).status.success());
    let mut server = Server::start(&database, &[]);
    assert_eq!(server.chat(&token, "After").status, 201);
    server.kill9();
    fs::copy(&copy, database.url()).unwrap();
    assert_no_start(&database, &["-wal is not the log of the"]);
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(beside(&database, suffix)).unwrap();
    }
    // A file without a log is served, whatever the file of the generation says.
    let server = Server::start(&database, &[]);
    assert_eq!(server.tokens(&token), 3900);
}

#[test]
fn a_killed_servers_own_log_is_recovered_and_one_of_unknown_origin_is_refused() {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Hello").status, 201);
    server.kill9();
    // As if the database and the log had been copied elsewhere without the file of the generation.
    let generation = fs::read(beside(&database, "-generation")).unwrap();
    fs::remove_file(beside(&database, "-generation")).unwrap();
    assert_no_start(&database, &["-generation", "echo generation"]);
    fs::write(beside(&database, "-generation"), generation).unwrap();
    assert_eq!(stored_messages(&database, &token), ["Hello"]);
}

/// A copy made by another program while the server runs (`.backup` of the sqlite3 shell) has the
/// server's generation.
#[test]
fn a_copy_that_another_program_made_is_not_joined_to_the_log_of_a_killed_server() {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Before").status, 201);
    let copy = file(&database).with_file_name("copy.db");
    let mut shell = SqliteConnection::establish(database.url()).unwrap();
    diesel::sql_query(format!("VACUUM INTO '{}'", copy.display())).execute(&mut shell).unwrap();
    drop(shell);
    assert_eq!(server.chat(&token, "After").status, 201);
    server.kill9();
    fs::rename(&copy, database.url()).unwrap();
    assert_no_start(&database, &["put in its place", "tollgate restore"]);
    assert_refused(&run(&database, &["verify"]), &["put in its place"]);
    fs::remove_file(beside(&database, "-wal")).unwrap();
    assert_eq!(stored_messages(&database, &token), ["Before"]);
}

#[test]
fn a_killed_servers_files_copied_together_are_recovered_elsewhere() {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Hello").status, 201);
    server.kill9();
    let elsewhere = TestDatabase::create(On::Sqlite).unwrap();
    for suffix in ["", "-wal", "-generation"] {
        fs::copy(beside(&database, suffix), beside(&elsewhere, suffix)).unwrap();
    }
    assert_eq!(stored_messages(&elsewhere, &token), ["Hello"]);
}

#[test]
fn a_journal_beside_a_database_that_was_served_is_refused() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    stop_clean(&mut Server::start(&database, &[]), &database);
    fs::write(beside(&database, "-journal"), b"left by another program").unwrap();
    assert_no_start(&database, &["-journal", "belongs to another file"]);
}

#[test]
fn no_empty_database_replaces_a_missing_one() {
    let (database, mut server, token) = serve();
    stop_clean(&mut server, &database);
    let away = file(&database).with_file_name("away.db");
    fs::rename(database.url(), &away).unwrap();
    assert_no_start(&database, &["was moved or deleted", "empty database"]);
    assert!(!file(&database).exists());
    fs::rename(away, database.url()).unwrap();
    assert_eq!(Server::start(&database, &[]).tokens(&token), 4000);
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    chats: i64,
}

#[test]
fn a_folder_that_is_moved_away_and_back_is_served_again() {
    let (database, server, token) = serve();
    assert_eq!(server.chat(&token, "Before").status, 201);
    let folder = file(&database).parent().unwrap();
    let away = folder.with_extension("away");
    fs::rename(folder, &away).unwrap();
    wait::until("a 503", Duration::from_secs(5), || serves_nothing(&server, &token).then_some(()));
    // The answered chats are in the moved file.
    let elsewhere = TestDatabase::create(On::Sqlite).unwrap();
    wait::until("the log to be copied", Duration::from_secs(10), || {
        let moved = away.join(file(&database).file_name().unwrap());
        fs::copy(moved, elsewhere.url()).unwrap();
        let mut connection = SqliteConnection::establish(elsewhere.url()).unwrap();
        let chats =
            diesel::sql_query("SELECT count(*) AS chats FROM chats").get_result::<Stored>(&mut connection);
        chats.is_ok_and(|stored| stored.chats == 1).then_some(())
    });
    fs::rename(&away, folder).unwrap();
    let answer: Answer = wait::until("chats to work again", Duration::from_secs(10), || {
        Some(server.chat(&token, "Again")).filter(|answer| answer.status == 201)
    });
    assert_eq!(answer.header("X-Tokens-Remaining"), Some("3800"));
    assert_eq!(server.messages(&token), ["Again", "Before"]);
}

#[test]
fn commands_do_not_touch_a_file_that_replaced_the_served_one() {
    let (database, _server, _) = serve();
    let backup = back_up(&database, "backup.db");
    move_into_place(&backup, &database);
    let output = run(&database, &["adjust", "ada", "5", "--note", "x"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(fs::read(database.url()).unwrap() == fs::read(backup).unwrap(), "the file was changed");
}
