//! What the metrics count of money is what was committed, and each of it once.

use chrono::NaiveDateTime;
use futures_util::future::join_all;
use rstest::rstest;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::{FailureReason, OperationId, Usage};
use tollgate::error::Error;
use tollgate::metering::{
    AdjustmentOfMany, Arrived, Ending, ImportedAccount, Refund, Undo, Verdict, adjust, adjust_many, end_hold,
    open_imported_accounts, refund, sweep, undo,
};

use crate::support::On;
use crate::support::ledger::{Account, Ledger, adjustment, charge, charged, hold, key, run_adjustment};
use crate::support::writer::{HeldWriter, queue};

async fn chat(ledger: &Ledger, user: Account) -> i64 {
    charged(ledger.db.write_set(charge(user.auth_token)).await.unwrap()).chat_id
}

/// Makes a hold and ends it.
async fn held(ledger: &Ledger, user: Account, ending: Ending) {
    let chat_id = charged(ledger.db.write_set(hold(user.auth_token)).await.unwrap()).chat_id;
    let id = OperationId::generate();
    let job = move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, id, clock::now())?);
    ledger.db.write_end(Scope::user(user.id), job).await.unwrap();
}

/// Ends holds in each way.
async fn end_holds(ledger: &Ledger, user: Account) {
    let arrived = || Arrived::text("hello");
    for cost in [None, Some(30), Some(0)] {
        held(ledger, user, Ending::Complete { arrived: arrived(), cost }).await;
        held(ledger, user, Ending::Cancelled { arrived: arrived(), cost }).await;
    }
    held(ledger, user, Ending::LeftEarly).await;
    held(ledger, user, Ending::failed(FailureReason::Stalled)).await;
    // The upstream worked, so its work is paid for.
    let usage = Usage { prompt_tokens: 1, completion_tokens: 1, estimated: true, ..Usage::default() };
    let worked = Arrived { usage: Some(usage), ..arrived() };
    let reason = FailureReason::TotalTimeout;
    held(ledger, user, Ending::Failed { reason, arrived: worked, settled: Some(40) }).await;
    held(ledger, user, Ending::Released { actor_id: Some(user.id), note: "given up".to_owned() }).await;
    ledger.db.write_set(hold(user.auth_token)).await.unwrap();
    ledger.sql("UPDATE chats SET deadline = '2020-01-01 00:00:00' WHERE state = 'pending'");
    assert_eq!(sweep(&ledger.db).await.unwrap(), 1);
}

/// Does what administrators do: adjusts, refunds, and undoes both.
async fn administer(ledger: &Ledger, ada: Account, bob: Account) {
    let (db, now) = (&ledger.db, clock::now());
    let grant = adjustment(ada.id, 500);
    let granted = grant.operation_id;
    run_adjustment(db, grant).await.unwrap();
    run_adjustment(db, adjustment(ada.id, -120)).await.unwrap();
    run_adjustment(db, adjustment(ada.id, -1_000_000)).await.unwrap();
    let chat_id = chat(ledger, ada).await;
    let operation_id = OperationId::generate();
    let wanted = Refund { chat_id, note: "a test".to_owned(), actor_id: bob.id, operation_id, now };
    // The second one finds that it is done.
    for _ in 0..2 {
        let wanted = wanted.clone();
        db.write(Scope::user(ada.id), move |conn| Ok(refund(conn, &wanted)?)).await.unwrap();
    }
    for undone in [granted, operation_id] {
        let counter = Undo { undone, note: "a mistake".to_owned(), actor_id: Some(bob.id), now };
        db.write(Scope::user(ada.id), move |conn| Ok(undo(conn, &counter)?)).await.unwrap();
    }
    for amount in [70, -10] {
        let many = AdjustmentOfMany {
            user_ids: vec![ada.id, bob.id, 1_000_000],
            amount,
            note: "for all".to_owned(),
            actor_id: Some(bob.id),
            seed: OperationId::generate().as_bytes().to_vec(),
            now,
        };
        let users = Scope::users(many.user_ids.clone());
        db.write_bulk(users, move |conn| adjust_many(conn, &many)).await.unwrap();
    }
}

async fn import(db: &Db) {
    let account = |name: &str, tokens| ImportedAccount {
        username: name.to_owned(),
        password_hash: "!".to_owned(),
        tokens,
        is_active: true,
        is_staff: false,
        is_superuser: false,
        date_joined: NaiveDateTime::default(),
        last_login: None,
        note: "brought over".to_owned(),
        operation_id: OperationId::generate(),
    };
    let accounts = vec![account("carol", 700), account("dave", 0)];
    let job = move |conn: &mut DbConnection| Ok(open_imported_accounts(conn, &accounts, clock::now())?);
    db.write_bulk(Scope::none(), job).await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_what_the_ledger_and_the_chats_say(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let (ada, bob) = (ledger.user("ada", 4000).await, ledger.user("bob", 150).await);
    chat(&ledger, ada).await;
    // Bob can pay for one of these.
    let charges = (0..12).map(|number| charge(if number % 3 == 0 { bob } else { ada }.auth_token));
    let verdicts = join_all(charges.map(|charge| ledger.db.write_set(charge))).await;
    let refused = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Verdict::Insufficient { .. })));
    assert_eq!(refused.count(), 3);
    for _ in 0..2 {
        let keyed = tollgate::metering::Charge { key: Some(key("one", "hi")), ..charge(ada.auth_token) };
        ledger.db.write_set(keyed).await.unwrap();
    }
    end_holds(&ledger, ada).await;
    administer(&ledger, ada, bob).await;
    import(&ledger.db).await;
    ledger.assert_sound();
    ledger.assert_counted();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failing_job_has_undone_is_not_counted(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(false, true)] panics: bool,
) {
    let Some(ledger) = Ledger::with_writers(on, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    let writer = HeldWriter::hold(&ledger.db);
    let adjusting = |amount: i64, fails: bool| {
        let (db, wanted) = (ledger.db.clone(), adjustment(ada.id, amount));
        let job = move |conn: &mut DbConnection| {
            adjust(conn, &wanted)?;
            assert!(!(fails && panics), "a test");
            if fails { Err(Error::Internal("a test".to_owned())) } else { Ok(()) }
        };
        queue(async move { db.write(Scope::user(ada.id), job).await })
    };
    let jobs = [adjusting(1, false), adjusting(10, true), adjusting(100, false)];
    writer.release().await;
    let outcomes: Vec<bool> = join_all(jobs).await.iter().map(Result::is_ok).collect();
    assert_eq!(outcomes, [true, false, true]);
    assert_eq!(ledger.balance(ada.id), 4101);
    ledger.assert_counted();
}
