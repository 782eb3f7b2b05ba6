//! The index: lets it catch up, and compares it with what it is made of.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tollgate::db::{Db, DbConnection};
use tollgate::index::follower::{Followed, Follower, lag};
use tollgate::index::rebuild;
use tollgate::index::search::{SearchIndex, Span, Wanted, find, wanted_parts};

use super::app::eventually;
use super::ledger::{Ledger, lines};
use super::{On, TestDatabase};

/// Runs a follower until there is nothing left to do.
pub async fn catch_up(db: &Db) {
    let mut follower = Follower::default();
    eventually("the follower", async || {
        let rows = follower.round(db).await.unwrap();
        let behind = |conn: &mut DbConnection| {
            let lags = Followed::ALL.map(|followed| lag(conn, followed));
            Ok(lags.into_iter().sum::<Result<i64, _>>()?)
        };
        rows == 0 && db.read(behind).await.unwrap() == 0
    })
    .await;
}

/// Returns how many users are found by a part of their names.
pub fn found(db: &Db, part: &'static str) -> usize {
    let span = Span { above: 0, below: i64::MAX, descending: true, limit: 100 };
    let wanted = move || Wanted::terms(wanted_parts(part));
    db.read_blocking(move |conn| Ok(find(conn, SearchIndex::Users, &wanted(), span)?)).unwrap().ids.len()
}

/// Checks that these words are in none of the files of a database and its index: their own, and
/// their logs.
#[track_caller]
pub fn assert_in_no_file(database: &str, words: &[&str]) {
    let index = database.replace(".db", "-index.db");
    let files = [database, &index].map(|file| [file.to_owned(), format!("{file}-wal")]);
    for file in files.as_flattened() {
        let bytes = std::fs::read(file).unwrap_or_default().to_ascii_lowercase();
        for word in words {
            let found = bytes.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!found, "{word} is still in {file}");
        }
    }
}

/// Returns everything that is in the index of a database that is closed, as text, to compare it
/// with an index that was built anew.
pub fn contents(database: &str) -> BTreeSet<String> {
    let index = database.replace(".db", "-index.db");
    let mut conn = DbConnection::Sqlite(SqliteConnection::establish(&index).unwrap());
    conn.batch_execute(
        "CREATE VIRTUAL TABLE temp.chat_words USING fts5vocab('main', 'chat_search', 'instance');
         CREATE VIRTUAL TABLE temp.user_words USING fts5vocab('main', 'user_search', 'instance');
         CREATE VIRTUAL TABLE temp.reason_words USING fts5vocab('main', 'reason_search', 'instance');
         CREATE VIRTUAL TABLE temp.history_words USING fts5vocab('main', 'history_search', 'instance')",
    )
    .unwrap();
    [
        // Changes from before the index was made are not read.
        "name || ' ' || position AS line FROM follower_marks WHERE name <> 'index_changes'",
        "'chat ' || user_id || ' ' || is_listed || ' ' || id AS line FROM chat_keys",
        "'entry ' || user_id || ' ' || id AS line FROM entry_keys",
        "'balance ' || user_id || ' ' || balance AS line FROM user_balances",
        "quarter || ' ' || kind || ' ' || count || ' ' || amount AS line FROM quarter_totals",
        "'pending ' || chat_id AS line FROM chats_to_follow",
        "'chat word ' || doc || ' ' || term AS line FROM chat_words",
        "'user word ' || doc || ' ' || term AS line FROM user_words",
        "'reason word ' || doc || ' ' || term AS line FROM reason_words",
        "'history word ' || doc || ' ' || term AS line FROM history_words",
    ]
    .into_iter()
    .flat_map(|columns| lines(&mut conn, &format!("SELECT {columns}")))
    .collect::<BTreeSet<String>>()
}

/// Checks that the index of a database that no process uses is whole, and the same as one that is
/// built anew.
#[track_caller]
pub fn assert_like_a_fresh_one(database: TestDatabase) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ledger = Ledger::of(database);
    let close = |db: &Db| db.close(Instant::now() + Duration::from_secs(10)).unwrap();
    runtime.block_on(catch_up(&ledger.db));
    close(&ledger.db);
    let healed = contents(ledger.url());
    assert!(healed.iter().any(|line| line.starts_with("chat word ")), "there is nothing to compare");
    let ledger = ledger.reopened();
    runtime.block_on(rebuild(&ledger.db, &mut |_| {})).unwrap();
    assert_caught_up(&ledger);
    close(&ledger.db);
    let fresh = contents(ledger.url());
    let only_healed: Vec<&String> = healed.difference(&fresh).take(20).collect();
    let only_fresh: Vec<&String> = fresh.difference(&healed).take(20).collect();
    assert!(healed == fresh, "not in a fresh one: {only_healed:#?}, only in a fresh one: {only_fresh:#?}");
}

/// Checks that the index of a database that no server uses any more catches up.
#[track_caller]
pub fn assert_catches_up(database: TestDatabase) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ledger = Ledger::of(database);
    runtime.block_on(catch_up(&ledger.db));
    assert_caught_up(&ledger);
}

/// Checks balances and sums, and that each row is indexed once.
#[track_caller]
pub fn assert_caught_up(ledger: &Ledger) {
    if ledger.on() == On::Sqlite {
        for (derived, source) in [("chat_keys", "chats"), ("entry_keys", "ledger_entries")] {
            assert_eq!(ledger.count(derived), ledger.count(source), "{derived}");
        }
    }
    for (derived, source) in [
        ("user_balances", "users"),
        ("user_search", "users"),
        ("reason_search", "ledger_entries WHERE note <> ''"),
        ("history_search", "audit_log"),
        ("chat_search", "chats WHERE state <> 'pending'"),
        ("chats_to_follow", "chats WHERE state = 'pending'"),
    ] {
        assert_eq!(ledger.count(derived), ledger.count(source), "{derived}");
    }
    for wrong in [
        "users LEFT JOIN user_balances b ON b.user_id = users.id WHERE b.balance IS DISTINCT FROM users.tokens",
        "(SELECT kind, sum(amount) AS a, count(*) AS c FROM ledger_entries GROUP BY kind) l
         LEFT JOIN (SELECT kind, sum(amount) AS a, sum(count) AS c FROM quarter_totals GROUP BY kind) q
         ON q.kind = l.kind WHERE q.a IS DISTINCT FROM l.a OR q.c IS DISTINCT FROM l.c",
        "(SELECT sum(amount) AS a FROM ledger_entries WHERE kind = 'adjustment' AND amount > 0) l
         JOIN (SELECT sum(amount) AS a FROM quarter_totals WHERE kind = 'granted') q ON q.a IS DISTINCT FROM l.a",
        "(SELECT count(*) AS c FROM chats WHERE state = 'failed') l
         JOIN (SELECT coalesce(sum(count), 0) AS c FROM quarter_totals WHERE kind = 'failed') q ON q.c <> l.c",
    ] {
        assert_eq!(ledger.count(wrong), 0, "{wrong}");
    }
}
