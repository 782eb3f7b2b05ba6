//! Who waits for whom: the limit of the queue, its second lane, readers, and callers until COMMIT.

use std::sync::{Arc, Mutex, mpsc};

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::OperationId;
use tollgate::error::Error;
use tollgate::metering::{Ended, Ending, adjust, end_hold};

use crate::support::On;
use crate::support::ledger::{Ledger, adjustment, charge, charged, count, hold, raw, run_adjustment};
use crate::support::writer::{HeldWriter, Queued, is_waiting, poll, queue};

/// How many jobs can wait in a lane: see `src/db/writer/mod.rs`.
const QUEUE_BOUND: usize = 4096;
/// How many jobs a batch has at most: see `src/db/writer/mod.rs`.
const BATCH: usize = 128;

fn queue_nothing(db: &Db) -> Queued<()> {
    let db = db.clone();
    queue(async move { db.write(Scope::none(), |_| Ok(())).await })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_rejects_with_503_at_once_and_only_until_there_is_room(
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
async fn on_postgresql_bulk_work_does_not_wait_for_chats() {
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

/// On SQLite it is in the transaction that was running when it came. On PostgreSQL it is in the
/// next one.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_hold_joins_a_batch_that_has_begun() {
    let Some(ledger) = Ledger::with_writers(On::Sqlite, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let chat_id = charged(ledger.db.write_set(hold(ada.auth_token)).await.unwrap()).chat_id;
    let held = HeldWriter::hold(&ledger.db);
    let (db, url) = (ledger.db.clone(), ledger.url().to_owned());
    let next = queue(async move {
        // Another connection sees only what was committed before.
        let job = move |_: &mut DbConnection| {
            Ok(count(&mut raw(On::Sqlite, &url), "SELECT tokens AS n FROM users"))
        };
        db.write(Scope::none(), job).await
    });
    let (db, id) = (ledger.db.clone(), OperationId::generate());
    let end = queue(async move {
        let job =
            move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &Ending::LeftEarly, id, clock::now())?);
        db.write_end(Scope::user(ada.id), job).await
    });
    held.release().await;
    assert_eq!(end.await.unwrap(), Ended::Now { balance: 4000 });
    assert_eq!(next.await.unwrap(), 4000, "it was committed with the next batch only");
    ledger.assert_sound();
}

/// A job that fails by its own fault, and joined a batch that had begun, affects no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_hold_that_fails_does_not_undo_the_batch_that_it_joined() {
    let Some(ledger) = Ledger::with_writers(On::Sqlite, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let held = HeldWriter::hold(&ledger.db);
    let ends: Vec<Queued<()>> = [true, false, true]
        .into_iter()
        .map(|is_good| {
            let (db, change) = (ledger.db.clone(), adjustment(ada.id, 1));
            queue(async move {
                let job = move |conn: &mut DbConnection| {
                    adjust(conn, &change)?;
                    if is_good { Ok(()) } else { Err(Error::NotFound) }
                };
                db.write_end(Scope::user(ada.id), job).await
            })
        })
        .collect();
    held.release().await;
    let outcomes: Vec<bool> = join_all(ends).await.iter().map(Result::is_ok).collect();
    assert_eq!(outcomes, [true, false, true]);
    assert_eq!(ledger.balance(ada.id), 4002);
    ledger.assert_sound();
}

/// While the last job of the batch runs, the callers of the earlier ones must still wait.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn no_caller_is_answered_while_the_batch_is_still_running(#[values(On::Sqlite, On::Postgres)] on: On) {
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
    assert!(early.iter_mut().all(is_waiting), "a caller was answered before the batch was done");
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
async fn no_caller_is_answered_while_postgresql_commits() {
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
    assert!(charges.iter_mut().all(is_waiting), "a caller was answered before COMMIT returned");
    assert_eq!(ledger.balance(ada.id), 4000);
    gate.open();
    // At the moment of the first answer, everybody must be able to read what it reports.
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
async fn other_connections_see_at_once_what_was_answered(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 0).await;
    let mut raw = ledger.raw();
    let tokens = format!("SELECT tokens AS n FROM users WHERE id = {}", ada.id);
    for expected in 1..=150 {
        run_adjustment(&ledger.db, adjustment(ada.id, 1)).await.unwrap();
        assert_eq!(crate::support::ledger::count(&mut raw, &tokens), expected);
    }
}

/// While a database hangs, callers get a 503 and leave. When it is back, they must not be charged
/// after all.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_caller_has_left_is_not_run(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::with_writers(on, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let held = HeldWriter::hold(&ledger.db);
    let (db, abandoned_charge) = (ledger.db.clone(), charge(ada.auth_token));
    drop(queue(async move { db.write_set(abandoned_charge).await }));
    let (db, gift) = (ledger.db.clone(), adjustment(ada.id, 7));
    drop(queue(async move { run_adjustment(&db, gift).await }));
    let (db, awaited_charge) = (ledger.db.clone(), charge(ada.auth_token));
    let awaited = queue(async move { db.write_set(awaited_charge).await });
    held.release().await;
    awaited.await.unwrap();
    assert_eq!(ledger.balance(ada.id), 3900);
    assert_eq!(ledger.count("chats"), 1);
}
