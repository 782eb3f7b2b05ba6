//! `kill -9` at any moment loses no acknowledged chat and no token.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::load::{self, Load, Outcome, RICH, Sent};
use crate::support::app::TestApp;
use crate::support::dice::Dice;
use crate::support::http::Broken;
use crate::support::index::{assert_catches_up, assert_in_no_file, assert_like_a_fresh_one};
use crate::support::ledger::{count, raw};
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase, require, temporary, wait};

const USERS: usize = 4;

/// Delays each send, to the client and to PostgreSQL, by 15 ms, so that a kill at a random moment
/// often falls between COMMIT and the response.
const SLOW_TO_ANSWER: [&str; 8] = [
    "strace",
    "-D",
    "-f",
    "--seccomp-bpf",
    "-qqq",
    "--trace=sendto,sendmsg,writev",
    "--inject=sendto,sendmsg,writev:delay_enter=15000",
    "-o/dev/null",
];

/// Kills the process in the `when`th sync of a thread: on SQLite, the commit is then written, but
/// not answered. (With --seccomp-bpf, strace miscounts `when`.)
fn dies_at_sync(when: u32) -> [String; 7] {
    let inject = format!("--inject=fsync,fdatasync:signal=KILL:when={when}");
    ["strace", "-D", "-f", "-qqq", "--trace=fsync,fdatasync", &inject, "-o/dev/null"].map(str::to_owned)
}

/// Kills the process in the `when`th call of a thread.
fn dies_at(call: &str, when: u32) -> [String; 7] {
    let (trace, inject) = (format!("--trace={call}"), format!("--inject={call}:signal=KILL:when={when}"));
    ["strace", "-D", "-f", "-qqq", &trace, &inject, "-o/dev/null"].map(str::to_owned)
}

/// Starts again on the same database after a kill, and checks the books before and after it resends
/// every unanswered message. Returns how many of these had been stored.
fn recover(database: &TestDatabase, tokens: &[String], sent: &mut [Sent]) -> usize {
    assert!(sent.iter().all(|one| !matches!(one.outcome, Outcome::Refused(_))), "{sent:?}");
    assert_verified(database);
    let server = Server::start(database, &RICH);
    load::assert_books(&server, tokens, sent);
    let replayed = load::retry_unanswered(&server, sent);
    load::assert_books(&server, tokens, sent);
    drop(server);
    assert_verified(database);
    replayed
}

#[rstest]
fn a_kill_under_load_loses_no_acknowledged_chat_and_no_token(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut dice = Dice::new();
    let mut sent = Vec::new();
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", USERS);
    for round in 0..if require::long() { 40 } else { 10 } {
        let load = Load::start(&server, &tokens, &format!("round{round}"));
        load.await_acknowledged(dice.pick(1..150));
        // Without this the kill would always come just after a response.
        std::thread::sleep(Duration::from_micros(dice.pick(0..5_000)));
        server.kill9();
        let mut round = load.stop();
        assert!(
            round.iter().any(|one| matches!(one.outcome, Outcome::Broken(_))),
            "no client noticed the kill"
        );
        assert_verified(&database);
        server = Server::start(&database, &RICH);
        load::assert_books(&server, &tokens, &round);
        load::retry_unanswered(&server, &mut round);
        sent.extend(round);
    }
    load::assert_books(&server, &tokens, &sent);
    server.kill9();
    assert_verified(&database);
    // The index was written all the time.
    assert_catches_up(database);
}

#[rstest]
fn a_kill_between_commit_and_answer_charges_once_and_the_retry_is_free(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    if require::program("strace").is_none() {
        return require::missing("strace", "on Debian: apt-get install strace");
    }
    let Some(database) = TestDatabase::create(on) else { return };
    let mut dice = Dice::new();
    let tokens = load::users(&Server::start(&database, &RICH), "user", USERS);
    let mut stored_unanswered = 0;
    let rounds = if require::long() { 15 } else { 4 };
    for round in 0.. {
        // On a busy machine, it takes more kills until one falls between COMMIT and the answer.
        if round >= rounds && stored_unanswered > 0 {
            break;
        }
        assert!(
            round < 10 * rounds,
            "no kill fell between COMMIT and the answer: this test has tested nothing"
        );
        let mut server = Launch::on(&database).flags(&RICH).under(&SLOW_TO_ANSWER).start();
        let load = Load::start(&server, &tokens, &format!("round{round}"));
        load.await_acknowledged(dice.pick(2..20));
        std::thread::sleep(Duration::from_micros(dice.pick(0..30_000)));
        server.kill9();
        stored_unanswered += recover(&database, &tokens, &mut load.stop());
    }
}

#[test]
fn a_kill_during_the_sync_of_a_commit_leaves_the_chat_whole_or_absent() {
    if require::program("strace").is_none() {
        return require::missing("strace", "on Debian: apt-get install strace");
    }
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let tokens = load::users(&Server::start(&database, &RICH), "user", USERS);
    let mut stored_unanswered = 0;
    for when in [1, 2, 3, 5, 8, 13, 21] {
        let wrapper = dies_at_sync(when);
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let mut server = Launch::on(&database).flags(&RICH).under(&wrapper).spawn();
        // The start syncs too, so with a small `when` the server dies there.
        let mut sent = Vec::new();
        if let Some(address) = server.listening_or_dead() {
            let load = Load::start_at(address, &tokens, &format!("kill{when}"));
            server.wait(Duration::from_secs(30));
            sent = load.stop();
        }
        stored_unanswered += recover(&database, &tokens, &mut sent);
    }
    assert!(
        stored_unanswered > 0,
        "no kill fell between COMMIT and the answer: this test has tested nothing"
    );
}

#[rstest]
fn a_hold_survives_a_kill(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut server = Server::start(&database, &["--dummy-delay", "60000"]);
    let token = server.user("ada");
    let mut client = server.client();
    let waiting = token.clone();
    let request =
        std::thread::spawn(move || client.post("/chat/", Some(&waiting), &json!({"message": "Hello"})));
    wait::until("the hold", Duration::from_secs(10), || (server.tokens(&token) == 3900).then_some(()));
    server.kill9();
    assert_eq!(request.join().unwrap().err(), Some(Broken::NoAnswer));
    assert_verified(&database);
    let server = Server::start(&database, &[]);
    assert_eq!(server.tokens(&token), 3900, "the sweeper refunds it, but only when its deadline is past");
    let states: Vec<String> = server.history(&token).into_iter().map(|chat| chat.state).collect();
    assert_eq!(states, ["pending"]);
    assert_eq!(server.chat(&token, "Next").status, 201);
    assert_verified(&database);
}

/// Makes a user with chats, and starts to anonymise that user. There is no worker to do it.
async fn start_to_anonymise(database: TestDatabase) {
    let app = TestApp::spawn_on(database, &RICH).await;
    let (token, other) = (app.user("Wanda.Unmistakable").await, app.user("other").await);
    for number in 0..120 {
        app.chat(&token, &format!("xylophone {number}")).await.assert_status(201);
        app.chat(&other, &format!("hello {number}")).await.assert_status(201);
        if number % 40 == 0 {
            app.catch_up().await;
        }
    }
    app.catch_up().await;
    let root = app.superuser("root").await;
    let id = app.id_of("Wanda.Unmistakable");
    let page = format!("/admin/users/{id}/anonymise/");
    root.submit(&page, &[("name", "Wanda.Unmistakable")]).await.assert_status(303);
}

/// The operation is left to servers that are killed while they do it.
#[test]
fn a_user_who_is_anonymised_between_kills_leaves_no_word_in_the_end() {
    if require::program("strace").is_none() {
        return require::missing("strace", "on Debian: apt-get install strace");
    }
    let folder = temporary::directory();
    let database = || TestDatabase::sqlite_in(folder.path());
    actix_web::rt::System::new().block_on(start_to_anonymise(database()));
    let database = database();
    let is_done = || {
        let unfinished = "SELECT count(*) AS n FROM bulk_operations WHERE finished_at IS NULL";
        count(&mut raw(On::Sqlite, database.url()), unfinished) == 0
    };
    let mut killed_before_the_end = 0;
    for (call, when) in [
        ("fdatasync", 1),
        ("fdatasync", 2),
        ("fdatasync", 4),
        ("pwrite64", 25),
        ("fdatasync", 5),
        ("ftruncate", 1),
    ] {
        let wrapper = dies_at(call, when);
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let mut server = Launch::on(&database).under(&wrapper).spawn();
        wait::until("the kill, or the end", Duration::from_secs(60), || {
            (!server.is_running() || is_done()).then_some(())
        });
        server.kill9();
        assert_verified(&database);
        if is_done() {
            break;
        }
        killed_before_the_end += 1;
    }
    assert!(killed_before_the_end > 2, "only {killed_before_the_end} kills came before the end");
    let mut server = Server::start(&database, &[]);
    wait::until("the operation", Duration::from_secs(60), || is_done().then_some(()));
    // While the server runs.
    assert_in_no_file(database.url(), &["xylophone", "unmistakable"]);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    assert_in_no_file(database.url(), &["xylophone", "unmistakable"]);
    assert_like_a_fresh_one(database);
}
