//! A user's own history and statement are complete at any moment, however far the index is behind.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use tollgate::db::DbConnection;
use tollgate::error::Error;
use tollgate::index::follower::Follower;
use tollgate::models::{Chat, Keyset, LedgerEntry, MOST_BEHIND, Watermark};

use super::index_file::{assert_healed, beside, index_of};
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::dice::Dice;
use crate::support::index::catch_up;
use crate::support::ledger::{Account, Ledger, adjustment, charge, charged, run_adjustment};

/// Reads a user's pages one after the other, and returns the ids.
fn pages(ledger: &Ledger, user_id: i64, limit: i64, of: fn(&Ledger, i64, Keyset) -> Vec<i64>) -> Vec<i64> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = of(ledger, user_id, Keyset { limit, before });
        let is_last = (page.len() as i64) < limit;
        before = page.last().copied();
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

fn chats(ledger: &Ledger, user_id: i64, page: Keyset) -> Vec<i64> {
    let read = |conn: &mut DbConnection| Chat::page_within(conn, user_id, page, usize::MAX);
    ledger.db.read_blocking(read).unwrap().rows.iter().map(|chat| chat.id).collect()
}

fn entries(ledger: &Ledger, user_id: i64, page: Keyset) -> Vec<i64> {
    let read = |conn: &mut DbConnection| LedgerEntry::page_of(conn, user_id, page);
    ledger.db.read_blocking(read).unwrap().iter().map(|entry| entry.id).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_complete_right_after_each_answer(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let mut dice = Dice::new();
    let mut accounts = Vec::new();
    for number in 0..4 {
        accounts.push(ledger.user(&format!("user{number}"), 1_000_000).await);
    }
    let mut known: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut follower = Follower::default();
    for _ in 0..150 {
        let account = accounts[usize::try_from(dice.pick(0..4)).unwrap()];
        match dice.pick(0..10) {
            0 => drop(run_adjustment(&ledger.db, adjustment(account.id, 1)).await.unwrap()),
            1 | 2 => drop(follower.round(&ledger.db).await.unwrap()),
            // As after a crash.
            3 => follower = Follower::default(),
            _ => {
                let chat = charged(ledger.db.write_set(charge(account.auth_token)).await.unwrap()).chat_id;
                known.entry(account.id).or_default().insert(0, chat);
            }
        }
        let limit = i64::try_from(dice.pick(1..12)).unwrap();
        let expected = known.get(&account.id).cloned().unwrap_or_default();
        assert_eq!(pages(&ledger, account.id, limit, chats), expected);
        let statement = pages(&ledger, account.id, limit, entries);
        let count = ledger.count(&format!("ledger_entries WHERE user_id = {}", account.id));
        assert_eq!(statement.len() as i64, count);
        assert!(statement.windows(2).all(|pair| pair[0] > pair[1]), "not in order: {statement:?}");
    }
}

/// What the follower does while chats are sent.
#[derive(Clone, Copy, Debug)]
enum Index {
    /// Nothing, as if it had been killed.
    Stopped,
    /// It comes behind.
    Followed,
    /// It comes behind, and its file is thrown away again and again.
    Discarded,
    /// Somebody deletes its files again and again.
    Deleted,
}

impl Index {
    /// Runs until all is `done`.
    async fn goes_on(self, ledger: &Ledger, done: &AtomicBool) {
        let mut follower = Follower::default();
        while !done.load(Ordering::Acquire) {
            match self {
                Index::Stopped => {}
                // Other nodes may throw it away at the same time, so a round may fail.
                _ => drop(follower.round(&ledger.db).await),
            }
            match self {
                Index::Discarded => ledger.db.discard_index("a test").await.unwrap(),
                Index::Deleted if ledger.on() == On::Sqlite => {
                    let index = index_of(ledger);
                    ["", "-wal", "-shm"]
                        .iter()
                        .for_each(|suffix| drop(fs::remove_file(beside(&index, suffix))));
                }
                _ => {}
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Sends chats as one user, and reads history and statement after each answer.
async fn chat_and_look(ledger: &Ledger, account: Account) {
    let (mut dice, mut known, mut count) = (Dice::new(), Vec::new(), 1);
    for _ in 0..40 {
        if dice.pick(0..5) == 0 {
            run_adjustment(&ledger.db, adjustment(account.id, 1)).await.unwrap();
        } else {
            known.insert(0, charged(ledger.db.write_set(charge(account.auth_token)).await.unwrap()).chat_id);
        }
        count += 1;
        let limit = i64::try_from(dice.pick(3..30)).unwrap();
        assert_eq!(own(ledger, account.id, limit, chat_ids).await, known);
        let statement = own(ledger, account.id, limit, entry_ids).await;
        assert_eq!(statement.len(), count);
        assert!(statement.windows(2).all(|pair| pair[0] > pair[1]), "not in order: {statement:?}");
    }
}

type Page = fn(&mut DbConnection, i64, Keyset) -> Result<Vec<i64>, Error>;

fn chat_ids(conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Vec<i64>, Error> {
    Ok(Chat::page_within(conn, user_id, page, usize::MAX)?.rows.iter().map(|chat| chat.id).collect())
}

fn entry_ids(conn: &mut DbConnection, user_id: i64, page: Keyset) -> Result<Vec<i64>, Error> {
    Ok(LedgerEntry::page_of(conn, user_id, page)?.iter().map(|entry| entry.id).collect())
}

/// Reads a user's pages one after the other, as requests do.
async fn own(ledger: &Ledger, user_id: i64, limit: i64, of: Page) -> Vec<i64> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = Keyset { limit, before };
        let page = ledger.db.read(move |conn| of(conn, user_id, page)).await.unwrap();
        let is_last = (page.len() as i64) < limit;
        before = page.last().copied();
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_in_the_history_at_once_while_many_write(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Index::Stopped, Index::Followed, Index::Discarded, Index::Deleted)] index: Index,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let mut accounts = Vec::new();
    for number in 0..6 {
        accounts.push(ledger.user(&format!("user{number}"), 1_000_000).await);
    }
    let done = AtomicBool::new(false);
    let chats = async {
        futures_util::future::join_all(accounts.iter().map(|account| chat_and_look(&ledger, *account))).await;
        done.store(true, Ordering::Release);
    };
    tokio::join!(chats, index.goes_on(&ledger, &done));
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
}

/// Adds chats of a user with their charges, as many as it takes for the index to be far behind.
fn add_many(ledger: &Ledger, user_id: i64, count: i64) {
    ledger.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
         SELECT {user_id}, 'hello', 'hello', 'dummy', 'complete', 0, 'imported', '2026-01-01 00:00:00',
                '2026-01-01 00:00:00' FROM n;"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_far_behind_the_index_is_refused_and_never_partial() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let account = ledger.user("ada", 3_000).await;
    catch_up(&ledger.db).await;
    add_many(&ledger, account.id, MOST_BEHIND);
    let first = Keyset { limit: 10, before: None };
    assert_eq!(chats(&ledger, account.id, first).len(), 10, "the rows behind the index are read");
    add_many(&ledger, account.id, 1);
    let read = |conn: &mut DbConnection| Chat::page_within(conn, account.id, first, usize::MAX);
    match ledger.db.read_blocking(read) {
        Err(Error::IndexBehind(behind)) => assert_eq!(behind, MOST_BEHIND + 1),
        other => panic!("{other:?}"),
    }
    // The keys are followed first, many at once. Searches can wait.
    let searched = || ledger.db.read_blocking(|conn| Ok(Watermark::position(conn, "chats")?)).unwrap();
    let before = searched();
    let mut follower = Follower::default();
    for _ in 0..2 {
        follower.round(&ledger.db).await.unwrap();
    }
    assert_eq!(pages(&ledger, account.id, 1_000, chats).len() as i64, MOST_BEHIND + 1);
    assert_eq!(searched(), before);
}

/// The index of a large database is sound, and the server starts: no history waits for the
/// follower.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_has_its_index_at_once() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let account = ledger.user("ada", 3_000).await;
    add_many(&ledger, account.id, MOST_BEHIND + 1);
    let mut follower = Follower::default();
    while follower.round(&ledger.db).await.unwrap() > 0 {}
    ledger.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
    let ledger = ledger.reopened();
    let first = Keyset { limit: 10, before: None };
    let read = |conn: &mut DbConnection| chat_ids(conn, account.id, first);
    assert!(matches!(ledger.db.read_blocking(read), Err(Error::IndexBehind(_))), "nobody has opened it");
    ledger.db.open_index();
    assert_eq!(ledger.db.read_blocking(read).unwrap().len(), 10);
}

#[actix_web::test]
async fn while_the_index_is_built_the_api_asks_to_wait_and_the_panel_works() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    app.chat(&token, "hello").await.assert_status(201);
    let root = app.superuser("root").await;
    let id = app.id_of("ada");
    app.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= {MOST_BEHIND})
         INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
         SELECT {id}, 'hello', 'hello', 'dummy', 'complete', 0, 'imported', '2026-01-01 00:00:00',
                '2026-01-01 00:00:00' FROM n"
    ));
    let refused = app.get("/chats/", &token).await;
    refused.assert_status(503);
    assert!(refused.header("retry-after").is_some());
    app.get("/ledger/", &token).await.assert_status(200);
    app.chat(&token, "chats go on").await.assert_status(201);
    for page in
        ["/admin/", "/admin/users/", "/admin/users/?q=ada", "/admin/chats/?user=ada", "/admin/chats/?q=hello"]
    {
        root.get(page).await.assert_status(200);
    }
    root.get("/admin/").await.assert_shows(&["These numbers are too low", "being built"]);
    root.get(&format!("/admin/users/{id}/")).await.assert_shows(&["The index is being built"]);
    let mut follower = Follower::default();
    for _ in 0..4 {
        follower.round(&app.services.db).await.unwrap();
    }
    app.get("/chats/", &token).await.assert_status(200);
    let built = root.get("/admin/").await;
    assert!(!built.html().contains("being built"));
}

#[actix_web::test]
async fn the_panel_says_why_there_is_no_index() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let root = app.superuser("root").await;
    let index = app.database().url().replace(".db", "-index.db");
    fs::create_dir(&index).unwrap();
    let mut follower = Follower::default();
    follower.round(&app.services.db).await.unwrap_err();
    root.get("/admin/").await.assert_shows(&[
        "Search index missing",
        "These numbers are missing",
        "-index.db",
    ]);
    fs::remove_dir(&index).unwrap();
    catch_up(&app.services.db).await;
    assert!(!root.get("/admin/").await.html().contains("no index"));
}
