//! Races for one balance, key, name or hold: one wins, and money moves once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::auth::{NewSuperuser, make_superuser};
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::{FailureReason, OperationId, TokenDigest, Username};
use tollgate::error::{Error, Result};
use tollgate::metering::{Adjusted, Ended, Ending, Verdict, end_hold, sweep};
use tollgate::models::{ChatState, EntryKind};

use crate::support::On;
use crate::support::ledger::{
    Account, Ledger, PRICE, adjustment, charge, charged, hold, key, request, revoke_all, run_adjustment, toll,
};

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_300_chats_at_once_on_4000_tokens_exactly_40_succeed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    let toll = toll(&ledger.db, Duration::ZERO);
    let chats = (0..300).map(|number| {
        let (toll, request) = (toll.clone(), request(ada.auth_token, &format!("message {number}")));
        tokio::spawn(async move { toll.chat(request).await })
    });
    let (mut paid, mut refused) = (Vec::new(), 0);
    for outcome in join_all(chats).await {
        match outcome.unwrap() {
            Ok(receipt) => paid.push(receipt.remaining),
            Err(Error::InsufficientTokens { balance, price: PRICE, is_at_most: false, top_up: None }) => {
                assert_eq!(balance, 0, "a refusal reports the balance at that moment");
                refused += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    paid.sort_unstable();
    let expected: Vec<i64> = (0..40).map(|left| left * PRICE).collect();
    assert_eq!((paid, refused), (expected, 260));
    assert_eq!((ledger.balance(ada.id), ledger.chats(ada.id).len()), (0, 40));
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn several_auth_tokens_of_one_user_spend_one_balance(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    let mut tokens = vec![ada.auth_token];
    for _ in 0..5 {
        tokens.push(ledger.auth_token(ada.id).await);
    }
    let charges = (0..180).map(|number| {
        let (db, charge) = (ledger.db.clone(), charge(tokens[number % tokens.len()]));
        tokio::spawn(async move { db.write_set(charge).await })
    });
    let verdicts: Vec<Verdict> = join_all(charges).await.into_iter().map(|v| v.unwrap().unwrap()).collect();
    let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| wanted(verdict)).count();
    assert_eq!(count(|verdict| matches!(verdict, Verdict::Charged(_))), 40);
    assert_eq!(count(|verdict| matches!(verdict, Verdict::Insufficient { .. })), 140);
    assert_eq!(ledger.balance(ada.id), 0);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_with_one_key_are_charged_once_and_all_get_the_answer(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    let toll = toll(&ledger.db, Duration::ZERO);
    let chats = (0..60).map(|_| {
        let (toll, mut request) = (toll.clone(), request(ada.auth_token, "Hello"));
        request.key = Some(key("one", "Hello"));
        tokio::spawn(async move { toll.chat(request).await })
    });
    let receipts: Vec<_> = join_all(chats).await.into_iter().map(|r| r.unwrap().unwrap()).collect();
    assert_eq!(receipts.iter().filter(|receipt| !receipt.replayed).count(), 1);
    let same = |receipt: &tollgate::chat::Receipt| {
        (receipt.chat_id, receipt.answer.text().unwrap_or_default(), receipt.remaining)
            == (receipts[0].chat_id, "Response to Hello", 3900)
    };
    assert!(receipts.iter().all(same), "{receipts:?}");
    assert_eq!((ledger.balance(ada.id), ledger.chats(ada.id).len()), (3900, 1));
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_with_one_key_for_a_slow_answer_are_charged_once_and_conflict(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    let toll = toll(&ledger.db, Duration::from_millis(300));
    let chats = (0..60).map(|_| {
        let (toll, mut request) = (toll.clone(), request(ada.auth_token, "Hello"));
        request.key = Some(key("one", "Hello"));
        tokio::spawn(async move { toll.chat(request).await })
    });
    let (mut paid, mut replayed, mut in_flight) = (0, 0, 0);
    for outcome in join_all(chats).await {
        match outcome.unwrap() {
            Ok(receipt) if receipt.replayed => replayed += 1,
            Ok(_) => paid += 1,
            Err(Error::KeyInFlight) => in_flight += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((paid, replayed + in_flight), (1, 59));
    assert_eq!((ledger.balance(ada.id), ledger.chats(ada.id).len()), (3900, 1));
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_many_register_at_once_goes_to_one_of_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    for round in 0..5 {
        let registrations = (0..40).map(|number| {
            let name = if number % 2 == 0 { format!("Ada{round}") } else { format!("aDA{round}") };
            let db = ledger.db.clone();
            tokio::spawn(async move { register(&db, &name).await })
        });
        let mut ids = Vec::new();
        for outcome in join_all(registrations).await {
            match outcome.unwrap() {
                Ok(id) => ids.push(id),
                Err(Error::UsernameTaken) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(ids.len(), 1);
        assert_eq!(ledger.entries(ids[0]).len(), 1);
    }
    assert_eq!((ledger.count("users"), ledger.count("ledger_entries")), (5, 5));
    ledger.assert_sound();
}

pub(super) async fn register(db: &Db, name: &str) -> Result<i64> {
    let new = NewSuperuser {
        username: Username::parse(name).unwrap(),
        password_hash: "!".to_owned(),
        tokens: 4000,
    };
    make_superuser(db, new).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_several_end_at_once_is_ended_by_one_of_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 100_000).await;
    let other = ledger.node();
    let (mut kept, mut refunds) = (0, 0);
    for round in 0..60 {
        // Its deadline is now, so the sweeper may take it as well.
        let overdue = tollgate::metering::Charge { hold_for: Duration::ZERO, ..hold(ada.auth_token) };
        let chat_id = charged(ledger.db.write_set(overdue).await.unwrap()).chat_id;
        let complete = Ending::answered(format!("answer {round}"));
        let failed = Ending::failed(FailureReason::ServerError);
        let (swept, settled, again, refunded) = tokio::join!(
            sweep(&other),
            end(&ledger.db, ada, chat_id, complete.clone()),
            end(&other, ada, chat_id, complete),
            end(&ledger.db, ada, chat_id, failed),
        );
        let ended = [settled, again, refunded].map(|ended| matches!(ended.unwrap(), Ended::Now { .. }));
        let winners = ended.iter().filter(|won| **won).count() + swept.unwrap();
        assert_eq!(winners, 1, "{ended:?}");
        let chat = ledger.chats(ada.id).pop().unwrap();
        let of_chat = |kind| {
            let entries = ledger.entries(ada.id);
            entries.iter().filter(|entry| entry.chat_id == Some(chat_id) && entry.kind == kind).count()
        };
        let expected = if chat.state == ChatState::Failed { 1 } else { 0 };
        assert_eq!((of_chat(EntryKind::Charge), of_chat(EntryKind::Refund)), (1, expected));
        kept += 1 - i64::try_from(expected).unwrap();
        refunds += expected;
    }
    println!("{kept} were settled, {refunds} refunded");
    assert_eq!(ledger.balance(ada.id), 100_000 - kept * PRICE);
    ledger.assert_sound();
}

async fn end(db: &Db, account: Account, chat_id: i64, ending: Ending) -> Result<Ended> {
    let operation_id = OperationId::generate();
    let job =
        move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, operation_id, clock::now())?);
    db.write(Scope::user(account.id), job).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_adjustments_and_charges_all_count(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 1000).await;
    let charges = (0..150).map(|_| {
        let (db, charge) = (ledger.db.clone(), charge(ada.auth_token));
        tokio::spawn(async move { db.write_set(charge).await })
    });
    let adjustments = (0..60).map(|number| {
        let amount = if number % 3 == 0 { -170 } else { 130 };
        let (db, adjustment) = (ledger.db.clone(), adjustment(ada.id, amount));
        tokio::spawn(async move { (amount, run_adjustment(&db, adjustment).await) })
    });
    let (charges, adjustments) = tokio::join!(join_all(charges), join_all(adjustments));
    let mut expected = 1000;
    for verdict in charges {
        match verdict.unwrap().unwrap() {
            Verdict::Charged(_) => expected -= PRICE,
            Verdict::Insufficient { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    for adjusted in adjustments {
        match adjusted.unwrap() {
            (amount, Ok(Adjusted::Done { .. })) => expected += amount,
            (_, Ok(Adjusted::OutOfRange { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ledger.balance(ada.id), expected);
    ledger.assert_sound();
}

/// What shuts a user out.
#[derive(Clone, Copy, Debug)]
enum Shut {
    Revoke,
    Deactivate,
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn no_charge_that_is_sent_after_its_user_was_shut_out_succeeds(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Shut::Revoke, Shut::Deactivate)] shut: Shut,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 100_000_000).await;
    let shut_out = Arc::new(AtomicBool::new(false));
    let other = ledger.node();
    let chargers: Vec<_> = (0..16)
        .map(|number| {
            let db = if number % 4 == 0 { other.clone() } else { ledger.db.clone() };
            tokio::spawn(charge_until_refused(db, ada.auth_token, shut_out.clone()))
        })
        .collect();
    crate::support::wait::until("a few charges", Duration::from_secs(20), || {
        (ledger.balance(ada.id) < 100_000_000 - 20 * PRICE).then_some(())
    });
    match shut {
        Shut::Revoke => revoke_all(&ledger.db, ada.id).await,
        Shut::Deactivate => deactivate(&ledger.db, ada.id).await,
    }
    shut_out.store(true, Ordering::SeqCst);
    let paid: i64 = join_all(chargers).await.into_iter().map(|count| count.unwrap()).sum();
    assert_eq!(ledger.balance(ada.id), 100_000_000 - paid * PRICE);
    ledger.assert_sound();
}

/// Charges until it is refused, which must be at once if the user was shut out before. Returns the
/// number of paid charges.
async fn charge_until_refused(db: Db, auth_token: TokenDigest, shut_out: Arc<AtomicBool>) -> i64 {
    for paid in 0.. {
        let too_late = shut_out.load(Ordering::SeqCst);
        match db.write_set(charge(auth_token)).await.unwrap() {
            Verdict::Charged(_) => assert!(!too_late, "charged after the user was shut out"),
            Verdict::Unauthorized => return paid,
            other => panic!("{other:?}"),
        }
    }
    unreachable!("the range has no end")
}

async fn deactivate(db: &Db, user_id: i64) {
    use diesel::prelude::*;
    use tollgate::schema::users;
    let job = move |conn: &mut DbConnection| {
        diesel::update(users::table.find(user_id)).set(users::is_active.eq(false)).execute(conn)?;
        Ok(())
    };
    db.write(Scope::user(user_id), job).await.unwrap();
}
