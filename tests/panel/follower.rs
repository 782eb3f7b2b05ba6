//! The follower's tables match the tables that they follow, also with concurrent writers and
//! several followers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use rstest::rstest;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, DbOptions, Scope};
use tollgate::domain::{FailureReason, OperationId};
use tollgate::index::follower::Follower;
use tollgate::metering::{Ending, end_hold};

use crate::support::On;
use crate::support::index::{assert_caught_up, catch_up, found};
use crate::support::ledger::{Account, Ledger, adjustment, charge, charged, hold, run_adjustment};
use crate::support::proxy::Proxy;

const WRITERS: i64 = 5;
const ROUNDS: i64 = 25;

/// Adds users, their chats (some answered late or never) and adjustments.
async fn write(ledger: &Ledger, writer: i64) {
    let mut accounts: Vec<Account> = Vec::new();
    let mut holds = Vec::new();
    for round in 0..ROUNDS {
        if round % 5 == 0 {
            accounts.push(ledger.user(&format!("user-{writer}-{round}"), 3_000).await);
        }
        let account = accounts[usize::try_from(round).unwrap() % accounts.len()];
        ledger.db.write_set(charge(account.auth_token)).await.unwrap();
        holds.push(charged(ledger.db.write_set(hold(account.auth_token)).await.unwrap()).chat_id);
        run_adjustment(&ledger.db, adjustment(account.id, if round % 2 == 0 { 7 } else { -3 }))
            .await
            .unwrap();
        if round % 3 == 2 {
            end(&ledger.db, holds.remove(0), round % 2 == 0).await;
        }
    }
}

async fn end(db: &Db, chat_id: i64, is_answered: bool) {
    let ending = if is_answered {
        Ending::answered("an answer".to_owned())
    } else {
        Ending::failed(FailureReason::ServerError)
    };
    let (id, now) = (OperationId::generate(), clock::now());
    let job = move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, id, now)?);
    db.write(Scope::none(), job).await.unwrap();
}

/// Follows until the writers have finished. Every seventh round starts a new follower, as after a
/// restart. Returns the number of rounds.
async fn follow(db: Db, is_over: Arc<AtomicBool>) -> usize {
    let (mut follower, mut rounds) = (Follower::default(), 0);
    while !is_over.load(Ordering::Relaxed) {
        follower.round(&db).await.unwrap();
        rounds += 1;
        if rounds % 7 == 0 {
            follower = Follower::default();
        }
        tokio::task::yield_now().await;
    }
    rounds
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_followers_follow_every_row_once_despite_writes_and_restarts(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let is_over = Arc::new(AtomicBool::new(false));
    let others = ledger.node();
    let followers = [ledger.db.clone(), others.clone(), others.clone()];
    let following: Vec<_> =
        followers.into_iter().map(|db| tokio::spawn(follow(db, is_over.clone()))).collect();
    join_all((0..WRITERS).map(|writer| write(&ledger, writer))).await;
    is_over.store(true, Ordering::Relaxed);
    for rounds in join_all(following).await {
        assert!(rounds.unwrap() > 0, "a follower ran no round");
    }
    catch_up(&others).await;
    assert_caught_up(&ledger);
    assert_eq!(ledger.count("chats WHERE state = 'pending'"), WRITERS * (ROUNDS - ROUNDS / 3));
    ledger.assert_sound();
    // Another follower repeats nothing.
    let totals = ledger.count("quarter_totals");
    catch_up(&ledger.db).await;
    assert_eq!(ledger.count("quarter_totals"), totals);
    assert_caught_up(&ledger);
}

/// Returns the statements that charge a user for a chat, as the server's transactions do.
fn charge_of(account: Account, name: &str) -> String {
    format!(
        "UPDATE users SET tokens = 3900 WHERE id = {0};
         INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at)
         VALUES ({0}, 'hi', 'hi', 'dummy', 'complete', 100, 'live', now());
         INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, note, operation_id, created_at)
         VALUES ({0}, -100, 3900, 'charge', currval('chats_id_seq'), '', decode(md5('{name}'), 'hex'), now());",
        account.id
    )
}

/// On PostgreSQL, a row with a lower id may become visible after one with a higher id, whichever of
/// the two transactions began first.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_committed_late_is_not_skipped(#[values(true, false)] late_begins_first: bool) {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let (slow, fast) = (ledger.user("slow", 4000).await, ledger.user("fast", 4000).await);
    catch_up(&ledger.db).await;
    let (mut late, mut early) = (ledger.raw(), ledger.raw());
    let begin = "BEGIN; SELECT pg_current_xact_id()";
    if late_begins_first {
        late.batch_execute(begin).unwrap();
        early.batch_execute(begin).unwrap();
    } else {
        early.batch_execute(begin).unwrap();
        late.batch_execute(begin).unwrap();
    }
    late.batch_execute(&charge_of(slow, "late")).unwrap();
    early.batch_execute(&charge_of(fast, "early")).unwrap();
    early.batch_execute("COMMIT").unwrap();
    let mut follower = Follower::default();
    for _ in 0..5 {
        follower.round(&ledger.db).await.unwrap();
    }
    late.batch_execute("COMMIT").unwrap();
    catch_up(&ledger.db).await;
    assert_caught_up(&ledger);
    assert_eq!((ledger.balance(slow.id), ledger.balance(fast.id)), (3900, 3900));
}

/// Answers may have megabytes. A batch must not read thousands of them at once.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_late_answers_has_a_bound_in_bytes(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let account = ledger.user("ada", 3_000).await;
    let mut chats = Vec::new();
    for _ in 0..7 {
        chats.push(charged(ledger.db.write_set(hold(account.auth_token)).await.unwrap()).chat_id);
    }
    catch_up(&ledger.db).await;
    for chat in chats {
        let (ending, id) = (Ending::answered("an answer".to_owned()), OperationId::generate());
        let job = move |conn: &mut DbConnection| Ok(end_hold(conn, chat, &ending, id, clock::now())?);
        ledger.db.write(Scope::none(), job).await.unwrap();
    }
    // Not in the text, whose words would take long to find.
    let extras = format!(r#"{{"more":"{}"}}"#, "x".repeat(3 * 1024 * 1024));
    ledger.sql(&format!("UPDATE chats SET answer_extras = '{extras}'"));
    let mut follower = Follower::default();
    let mut left = vec![7];
    crate::support::app::eventually("the late answers", async || {
        follower.round(&ledger.db).await.unwrap();
        let waiting = ledger.count("chats_to_follow");
        if left.last() != Some(&waiting) {
            left.push(waiting);
        }
        waiting == 0
    })
    .await;
    // 8 MiB are two answers of 3 MiB.
    assert!(left.windows(2).all(|pair| pair[0] - pair[1] <= 2), "{left:?}");
    catch_up(&ledger.db).await;
    assert_caught_up(&ledger);
}

/// An index that was not written for long misses changes that are no longer there.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_misses_deleted_changes_is_built_anew() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    ledger.user("ada.before", 3_000).await;
    let other = ledger.user("grace", 3_000).await;
    catch_up(&ledger.db).await;
    // The first change is a new name. So many follow that it is deleted.
    ledger.sql(&format!(
        "UPDATE users SET username = 'linus', username_canonical = 'linus' WHERE username = 'ada.before';
         INSERT INTO index_changes (kind, object_id) SELECT 'user', id FROM users WHERE username = 'linus';
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO index_changes (kind, object_id) SELECT 'user', {} FROM n",
        other.id
    ));
    assert_eq!(tollgate::index::forget_changes(&ledger.db).await.unwrap(), 1);
    catch_up(&ledger.db).await;
    assert_caught_up(&ledger);
    assert_eq!(
        (found(&ledger.db, "linus"), found(&ledger.db, "before"), found(&ledger.db, "grace")),
        (1, 0, 1)
    );
}

/// Something on the way keeps the index's connection open and swallows what is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_connection_that_hangs_is_given_up() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    ledger.user("ada", 3_000).await;
    let proxy = Proxy::start(ledger.url());
    let options = DbOptions {
        url: proxy.url(ledger.url()).parse().unwrap(),
        read_connections: 1,
        pg_writers: Some(1),
        hangs_after: Duration::from_millis(100),
    };
    let db = Db::open(&options).unwrap();
    let mut follower = Follower::default();
    follower.round(&db).await.unwrap();
    // Its handshake passes, and nothing after that.
    proxy.stop_new_connections_after(3);
    let is_given_up = |error: tollgate::error::Error| error.in_full().contains("has not answered the index");
    crate::support::app::eventually("the index to be given up", async || {
        let round = tokio::time::timeout(Duration::from_secs(30), follower.round(&db)).await;
        round.expect("the round hangs").is_err_and(is_given_up)
    })
    .await;
    proxy.stop_no_more_connections();
    crate::support::app::eventually("a new connection", async || follower.round(&db).await.is_ok()).await;
    assert!(proxy.stopped_connections() > 0, "the old connection was to hang");
    catch_up(&ledger.db).await;
    assert_caught_up(&ledger);
    proxy.continue_connections();
}

/// On a busy server each round finds something.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_ends_although_there_are_always_new_rows(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let account = ledger.user("ada", 3_000).await;
    catch_up(&ledger.db).await;
    let mut reports = 0;
    let mut report = |_| {
        reports += 1;
        assert!(reports < 100, "the rebuild does not end");
        ledger.sql(&format!(
            "INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
             VALUES ({}, 'hi', 'hi', 'dummy', 'complete', 0, 'imported', '2026-01-01 00:00:00',
                     '2026-01-01 00:00:00')",
            account.id
        ));
    };
    let rows = tollgate::index::rebuild(&ledger.db, &mut report).await.unwrap();
    assert_eq!(rows, 2, "the user and the opening entry were there at its start");
    catch_up(&ledger.db).await;
    assert_caught_up(&ledger);
}
