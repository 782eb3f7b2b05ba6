//! `tollgate reindex`, and what `tollgate restore` leaves to the index.

use std::process::Command;
use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use rstest::rstest;

use super::{BINARY, run};
use crate::blackbox::load::{self, Load, RICH};
use crate::support::index::assert_like_a_fresh_one;
use crate::support::ledger::{count, raw};
use crate::support::server::{Server, assert_verified, tollgate};
use crate::support::{On, TestDatabase, require, temporary, wait};

#[rstest]
fn the_index_is_built_with_and_without_a_server(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut server = Server::start(&database, &[]);
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "Hello").status, 201);
    let reindex = || {
        let output = tollgate(&["reindex", "--database-url", database.url()]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // A user, a chat, the opening entry and the charge.
        assert!(said.starts_with("the index is built: 4 rows in "), "{said}");
    };
    reindex();
    assert_eq!(server.history(&token).len(), 1);
    server.terminate();
    server.wait(Duration::from_secs(20));
    reindex();
}

#[rstest]
fn a_rebuild_beside_a_busy_server_ends_and_shows_its_progress(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let mut server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 4);
    let load = Load::start(&server, &tokens, "before");
    load.await_acknowledged(500);
    for _ in 0..3 {
        let said = run(&database, &["reindex"]);
        said.assert_good();
        assert!(said.out.starts_with("the index is built: "), "{said:?}");
        let progress = said.err.lines().find(|line| line.starts_with("indexed "));
        assert!(progress.is_some_and(|line| line.contains(" rows (") && line.ends_with(" %)")), "{said:?}");
        load.await_acknowledged(50);
    }
    let sent = load.stop();
    load::assert_books(&server, &tokens, &sent);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    assert!(!server.log().contains("locked"), "{}", server.log());
    assert_verified(&database);
    if on == On::Sqlite {
        assert_like_a_fresh_one(database);
    }
}

/// What another transaction does with the tables of the index while they are to be emptied.
#[derive(Clone, Copy, Debug)]
enum Rival {
    /// It locks what the rebuild has locked already, so that each waits for the other.
    Deadlock,
    /// It goes on for longer than a lock is waited for.
    Slow,
}

#[rstest]
fn a_rebuild_tries_again_while_others_use_the_index(#[values(Rival::Deadlock, Rival::Slow)] rival: Rival) {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let mut server = Server::start(&database, &[]);
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "Hello").status, 201);
    server.terminate();
    server.wait(Duration::from_secs(20));
    let mut other = raw(On::Postgres, database.url());
    // The rebuild finds the deadlock, because this transaction looks for none.
    let begin = "BEGIN; SET LOCAL deadlock_timeout = '1min'; SELECT * FROM chats_to_follow";
    other.batch_execute(begin).unwrap();
    let said = std::thread::scope(|scope| {
        let rebuild = scope.spawn(|| run(&database, &["reindex"]));
        let first = await_blocked(&database, "");
        match rival {
            Rival::Deadlock => other.batch_execute("SELECT * FROM follower_marks FOR UPDATE").unwrap(),
            Rival::Slow => drop(await_blocked(&database, &first)),
        }
        other.batch_execute("COMMIT").unwrap();
        rebuild.join().unwrap()
    });
    said.assert_good();
    assert!(said.out.starts_with("the index is built: 4 rows in "), "{said:?}");
}

/// Waits until a transaction waits for a lock that did not begin at `but_not`. Returns when it
/// began.
pub(super) fn await_blocked(database: &TestDatabase, but_not: &str) -> String {
    #[derive(diesel::QueryableByName)]
    struct Began {
        #[diesel(sql_type = diesel::sql_types::Text)]
        began: String,
    }
    let conn = &mut raw(On::Postgres, database.url());
    wait::until("a transaction that waits for a lock", Duration::from_secs(30), || {
        let waiting = "SELECT xact_start::text AS began FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let rows: Vec<Began> = diesel::sql_query(waiting).load(conn).unwrap();
        rows.into_iter().map(|row| row.began).find(|began| began != but_not)
    })
}

#[rstest]
fn an_index_that_cannot_be_deleted_is_an_error(#[values(true, false)] beside_a_server: bool) {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    run(&database, &["migrate"]).assert_good();
    let index = database.url().replace(".db", "-index.db");
    std::fs::create_dir(&index).unwrap();
    let server = beside_a_server.then(|| Server::start(&database, &[]));
    run(&database, &["reindex"]).assert_refused(1, &format!("tollgate: {index} cannot be deleted"));
    drop(server);
}

#[test]
fn a_missing_database_is_not_created() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let output = tollgate(&["reindex", "--database-url", database.url()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!std::path::Path::new(database.url()).exists());
}

/// Waits until the index of a server's database has all rows.
fn await_index(database: &TestDatabase) {
    wait::until("the index", Duration::from_secs(30), || {
        let conn = &mut raw(On::Sqlite, database.url());
        let missing = "SELECT (SELECT count(*) FROM main.chats) - (SELECT count(*) FROM idx.chat_search)
                            + (SELECT count(*) FROM main.users) - (SELECT count(*) FROM idx.user_search)
                            + (SELECT count(*) FROM main.chats) - (SELECT count(*) FROM idx.chat_keys) AS n";
        (count(conn, missing) == 0).then_some(())
    });
}

/// The backup has the database only. Beside it lies the index of a later moment, or of another
/// history of the same length, with its log if the server was killed.
#[rstest]
fn a_restored_backup_never_uses_the_index_of_another_moment(
    #[values(true, false)] is_killed: bool,
    #[values(true, false)] goes_on: bool,
) {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let folder = temporary::directory();
    let backup = folder.path().join("backup.db");
    let backup = backup.to_str().unwrap();
    let mut server = Server::start(&database, &[]);
    let token = server.user("ada");
    for message in ["first", "second"] {
        assert_eq!(server.chat(&token, message).status, 201);
    }
    run(&database, &["backup", backup]).assert_good();
    for message in ["third", "fourth"] {
        assert_eq!(server.chat(&token, message).status, 201);
    }
    server.register("bob");
    await_index(&database);
    if is_killed {
        server.kill9();
    } else {
        server.terminate();
        server.wait(Duration::from_secs(20));
    }
    run(&database, &["restore", backup]).assert_good();
    let mut server = Server::start(&database, &[]);
    let mut expected = vec!["second", "first"];
    assert_eq!(server.messages(&token), expected);
    if goes_on {
        for message in ["another third", "another fourth"] {
            assert_eq!(server.chat(&token, message).status, 201);
            expected.insert(0, message);
        }
        server.register("eve");
    }
    await_index(&database);
    assert_eq!(server.messages(&token), expected);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    assert_verified(&database);
    assert_like_a_fresh_one(database);
}

#[test]
fn a_killed_rebuild_is_finished_by_the_next_server() {
    if require::program("strace").is_none() {
        return require::missing("strace", "on Debian: apt-get install strace");
    }
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &[]);
    let token = server.user("ada");
    for number in 0..20 {
        assert_eq!(server.chat(&token, &format!("message {number}")).status, 201);
    }
    server.terminate();
    server.wait(Duration::from_secs(20));
    let mut kills = 0;
    for (call, when) in [("unlink", 1), ("unlink", 2), ("pwrite64", 3), ("pwrite64", 20), ("pwrite64", 40)] {
        let (trace, inject) = (format!("--trace={call}"), format!("--inject={call}:signal=KILL:when={when}"));
        let strace = ["-f", "-qqq", &trace, &inject, "-o/dev/null", BINARY];
        let rebuild = ["reindex", "--database-url", database.url()];
        let killed = Command::new("strace").args(strace).args(rebuild).output().unwrap();
        kills += usize::from(!killed.status.success());
    }
    assert!(kills > 2, "only {kills} kills came before the end");
    let mut server = Server::start(&database, &[]);
    assert_eq!(server.history(&token).len(), 20);
    await_index(&database);
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    assert_like_a_fresh_one(database);
}
