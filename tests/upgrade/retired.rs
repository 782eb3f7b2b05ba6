//! What an upgrade moves out of the database: the search index of 0.1.0, with all words and names.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use tollgate::administration::finish_all;

use super::dump::Dump;
use crate::cli::run_with;
use crate::support::app::TestApp;
use crate::support::index::{assert_in_no_file, assert_like_a_fresh_one};
use crate::support::ledger::count;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, require, wait};

const NAME: &str = "Wanda.Unmistakable";

/// Adds a user with chats to the old database, and their words to its search index.
fn add_words(dump: &Dump, chats: i64) {
    let day = "'2026-11-28 12:00:00'";
    let words = (0..12).map(|_| "hex(randomblob(4))").collect::<Vec<_>>().join(" || ' ' || ");
    dump.conn()
        .batch_execute(&format!(
            "INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)
             VALUES (5000, '{NAME}', lower('{NAME}'), '!', 4000, {day});
             INSERT INTO ledger_entries (user_id, amount, balance_after, kind, operation_id, created_at)
             VALUES (5000, 4000, 4000, 'opening', randomblob(16), {day});
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {chats})
             INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at)
             SELECT 5000 + i, 5000, 'xylophone quartz', lower({words}), 'dummy', 'complete', 0, 'imported', {day}, {day}
             FROM n;
             INSERT INTO chat_search (rowid, terms)
             SELECT id, message || ' ' || response FROM chats WHERE id > 5000;
             INSERT INTO user_search (rowid, terms) VALUES (5000, lower('{NAME}'))"
        ))
        .unwrap();
}

#[actix_web::test]
async fn a_user_anonymised_right_after_an_upgrade_leaves_no_word_in_any_file() {
    let dump = Dump::restore(On::Sqlite).unwrap();
    add_words(&dump, 300);
    let Dump { database, .. } = dump;
    // This server has no background work, so nothing has removed the old index yet.
    let app = TestApp::spawn_on(database, &[]).await;
    let old = "sqlite_master WHERE name LIKE 'retired_%'";
    assert!(app.count(old) > 0, "the upgrade leaves nothing behind: this test has tested nothing");
    let root = app.superuser("headmistress").await;
    root.submit("/admin/users/5000/anonymise/", &[("name", NAME)]).await.assert_status(303);
    assert_eq!(finish_all(&app.services.db).await.unwrap(), 0);
    assert_eq!(app.count("bulk_operations WHERE finished_at IS NULL"), 0);
    assert_in_no_file(app.database().url(), &["xylophone", "quartz", "unmistakable"]);
    assert_eq!(app.count(old), 0);
}

/// How far the move was when a server was killed.
#[derive(Clone, Copy, Debug)]
struct Moved {
    old_rows: i64,
    /// Whether the old tables are gone.
    is_gone: bool,
    followed: i64,
    chats: i64,
}

impl Moved {
    fn so_far(dump: &Dump) -> Moved {
        let conn = &mut dump.conn();
        let old =
            |name: &str| format!("SELECT count(*) AS n FROM main.sqlite_master WHERE name LIKE '{name}'");
        let has_rows = count(conn, &old("retired_chat_search_docsize")) > 0;
        let rows = "SELECT count(*) AS n FROM main.retired_chat_search_docsize";
        Moved {
            old_rows: if has_rows { count(conn, rows) } else { 0 },
            is_gone: count(conn, &old("retired_%")) == 0,
            followed: count(conn, "SELECT position AS n FROM idx.follower_marks WHERE name = 'chats'"),
            chats: count(conn, "SELECT max(id) AS n FROM main.chats"),
        }
    }

    fn is_over(self) -> bool {
        self.is_gone && self.followed == self.chats
    }
}

/// Kills servers while they empty the old index and build the new one: in the `when`th sync or
/// write of a thread.
#[test]
fn the_move_to_the_index_survives_kills_at_any_moment() {
    if require::program("strace").is_none() {
        return require::missing("strace", "on Debian: apt-get install strace");
    }
    let dump = Dump::restore(On::Sqlite).unwrap();
    add_words(&dump, 8_000);
    run_with(&dump.database, &["migrate"], "").assert_good();
    let rows = Moved::so_far(&dump).old_rows;
    let (mut half_emptied, mut half_built) = (0, 0);
    for (call, when) in [
        ("fdatasync", 2),
        ("pwrite64", 90),
        ("fdatasync", 12),
        ("pwrite64", 250),
        ("pwrite64", 350),
        ("pwrite64", 450),
        ("pwrite64", 600),
        ("pwrite64", 900),
        ("pwrite64", 1_400),
        ("pwrite64", 2_000),
        ("pwrite64", 3_000),
        ("pwrite64", 4_500),
        ("fdatasync", 20),
    ] {
        let (trace, inject) = (format!("--trace={call}"), format!("--inject={call}:signal=KILL:when={when}"));
        let strace = ["strace", "-D", "-f", "-qqq", &trace, &inject, "-o/dev/null"];
        let mut server = Launch::on(&dump.database).under(&strace).spawn();
        wait::until("the kill, or the end of the move", Duration::from_secs(60), || {
            (!server.is_running() || Moved::so_far(&dump).is_over()).then_some(())
        });
        server.kill9();
        let moved = Moved::so_far(&dump);
        println!("{call} {when}: {moved:?}");
        half_emptied += usize::from(moved.old_rows > 0 && moved.old_rows < rows);
        half_built += usize::from(moved.followed > 0 && moved.followed < moved.chats);
        assert_verified(&dump.database);
        if moved.is_over() {
            break;
        }
    }
    assert!(half_emptied > 0 && half_built > 0, "{half_emptied} and {half_built} kills came in between");
    let mut server = Server::start(&dump.database, &[]);
    wait::until("the end of the move", Duration::from_secs(60), || {
        Moved::so_far(&dump).is_over().then_some(())
    });
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    assert_verified(&dump.database);
    let Dump { database, .. } = dump;
    assert_like_a_fresh_one(database);
}
