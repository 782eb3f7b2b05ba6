//! Who waits for whom: the bound of the queue, its second lane, readers, and the COMMIT that comes before any answer.

use std::sync::{Arc, Mutex, mpsc};

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::error::Error;
use tollgate::metering::adjust;

use crate::support::On;
use crate::support::ledger::{Ledger, adjustment, charge, run_adjustment};
use crate::support::writer::{HeldWriter, Queued, is_waiting, poll, queue};

/// What `src/db/writer/mod.rs` allows to wait in a lane, and to be in a batch.
const QUEUE_BOUND: usize = 4096;
const BATCH: usize = 128;

fn queue_nothing(db: &Db) -> Queued<()> {
    let db = db.clone();
    queue(async move { db.write(Scope::none(), |_| Ok(())).await })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_503_at_once_and_only_until_there_is_room(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::with_writers(on, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let held = HeldWriter::hold(&ledger.db);
    let queued: Vec<_> = (0..QUEUE_BOUND).map(|_| queue_nothing(&ledger.db)).collect();
    let refused = ledger.db.write(Scope::none(), |_| Ok(())).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let refused = ledger.db.write_set(charge(ada.auth_token)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(ledger.balance(ada.id), 4000, "balances can be read meanwhile");
    held.release().await;
    join_all(queued).await.into_iter().for_each(|answer| answer.unwrap());
    run_adjustment(&ledger.db, adjustment(ada.id, 1)).await.unwrap();
    assert_eq!(ledger.balance(ada.id), 4001);
}

/// PostgreSQL has separate writers for chats and for bulk work.
#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_chats_and_bulk_work_wait_for_each_other_not_at_all() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let held = HeldWriter::hold(&ledger.db);
    ledger.db.write_bulk(Scope::none(), |_| Ok(())).await.unwrap();
    held.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_bulk_work_gives_way_to_many_chats_but_not_to_all() {
    let Some(ledger) = Ledger::with_writers(On::Sqlite, 1) else { return };
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = order.clone();
        move |_: &mut DbConnection| {
            order.lock().unwrap().push(what);
            Ok(())
        }
    };
    let held = HeldWriter::hold(&ledger.db);
    let (db, job) = (ledger.db.clone(), note("bulk"));
    let bulk = queue(async move { db.write_bulk(Scope::none(), job).await });
    let batches = 20;
    let main: Vec<_> = (0..batches * BATCH)
        .map(|_| {
            let (db, job) = (ledger.db.clone(), note("main"));
            queue(async move { db.write(Scope::none(), job).await })
        })
        .collect();
    held.release().await;
    bulk.await.unwrap();
    join_all(main).await.into_iter().for_each(|answer| answer.unwrap());
    let order = order.lock().unwrap();
    let passed = order.iter().position(|what| *what == "bulk").expect("it ran");
    assert!(passed >= 4 * BATCH, "chats waited behind bulk work: only {passed} went first");
    assert!(passed <= 10 * BATCH, "bulk work starved: {passed} went first");
}

/// The last job of a batch looks at the callers of those before it.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_while_the_batch_is_still_running(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::with_writers(on, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let held = HeldWriter::hold(&ledger.db);
    let mut early: Vec<_> = (0..7)
        .map(|_| {
            let (db, adjustment) = (ledger.db.clone(), adjustment(ada.id, 1));
            queue(async move { run_adjustment(&db, adjustment).await })
        })
        .collect();
    let (reached, wait_until_reached) = mpsc::channel();
    let (go_on, wait_to_go_on) = mpsc::channel::<()>();
    let (db, last) = (ledger.db.clone(), adjustment(ada.id, 1));
    let wait_to_go_on = Mutex::new(wait_to_go_on);
    let late = queue(async move {
        let job = move |conn: &mut DbConnection| {
            adjust(conn, &last)?;
            let _ = reached.send(());
            let _ = wait_to_go_on.lock().unwrap().recv();
            Ok(())
        };
        db.write(Scope::user(ada.id), job).await
    });
    held.release().await;
    wait_until_reached.recv().unwrap();
    assert!(early.iter_mut().all(is_waiting), "somebody was answered before the batch was done");
    assert_eq!(ledger.balance(ada.id), 4000, "readers see what was committed, and do not wait");
    drop(go_on);
    late.await.unwrap();
    join_all(early).await.into_iter().for_each(|answer| {
        answer.unwrap();
    });
    assert_eq!(ledger.balance(ada.id), 4008);
    ledger.assert_sound();
}

/// All jobs are done and the transaction is in COMMIT, which does not return yet.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_while_postgresql_commits() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let mut gate = ledger.gate();
    let held = HeldWriter::hold(&ledger.db);
    let mut charges: Vec<_> = (0..8)
        .map(|_| {
            let (db, charge) = (ledger.db.clone(), charge(ada.auth_token));
            queue(async move { db.write_set(charge).await })
        })
        .collect();
    held.release().await;
    gate.wait_for_commits(1);
    assert!(charges.iter_mut().all(is_waiting), "somebody was answered before COMMIT returned");
    assert_eq!(ledger.balance(ada.id), 4000);
    gate.open();
    // The first answer that can be had: what it says must be there for all to see, at that very moment.
    let mut answered = None;
    while answered.is_none() {
        tokio::task::yield_now().await;
        answered = charges.iter_mut().position(|charge| poll(charge).is_ready());
    }
    assert_eq!(ledger.balance(ada.id), 3200);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_for_other_connections_at_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 0).await;
    let mut raw = ledger.raw();
    let tokens = format!("SELECT tokens AS n FROM users WHERE id = {}", ada.id);
    for expected in 1..=150 {
        run_adjustment(&ledger.db, adjustment(ada.id, 1)).await.unwrap();
        assert_eq!(crate::support::ledger::count(&mut raw, &tokens), expected);
    }
}

/// While a database hangs, callers are told 503 and go. When it is back, they must not be charged after all.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_any_more_is_not_done(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::with_writers(on, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let held = HeldWriter::hold(&ledger.db);
    let (db, charge_of_who_leaves) = (ledger.db.clone(), charge(ada.auth_token));
    drop(queue(async move { db.write_set(charge_of_who_leaves).await }));
    let (db, gift) = (ledger.db.clone(), adjustment(ada.id, 7));
    drop(queue(async move { run_adjustment(&db, gift).await }));
    let (db, charge_of_who_stays) = (ledger.db.clone(), charge(ada.auth_token));
    let stays = queue(async move { db.write_set(charge_of_who_stays).await });
    held.release().await;
    stays.await.unwrap();
    assert_eq!(ledger.balance(ada.id), 3900);
    assert_eq!(ledger.count("chats"), 1);
}
