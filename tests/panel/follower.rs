//! The follower's tables match the tables that they follow, also with concurrent writers and
//! several followers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use rstest::rstest;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::{FailureReason, OperationId};
use tollgate::index::follower::{Followed, Follower, lag};
use tollgate::metering::{Ending, end_hold};

use crate::support::On;
use crate::support::ledger::{Account, Ledger, adjustment, charge, charged, hold, run_adjustment};

const WRITERS: i64 = 5;
const ROUNDS: i64 = 25;

/// Checks balances and sums, and that each row is indexed once.
#[track_caller]
fn assert_caught_up(ledger: &Ledger) {
    for (derived, source) in [
        ("user_balances", "users"),
        ("user_search", "users"),
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

async fn catch_up(db: &Db) {
    let mut follower = Follower::default();
    crate::support::app::eventually("the follower", async || {
        let rows = follower.round(db).await.unwrap();
        let behind = |conn: &mut DbConnection| {
            let lags = Followed::ALL.map(|followed| lag(conn, followed));
            Ok(lags.into_iter().sum::<Result<i64, _>>()?)
        };
        rows == 0 && db.read(behind).await.unwrap() == 0
    })
    .await;
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
