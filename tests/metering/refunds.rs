//! Refunds by administrators: a chat's cost is returned once, even if others end or refund it at
//! the same time.

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::OperationId;
use tollgate::metering::{Charge, Ended, Ending, Refund, Refunded, end_hold, refund, sweep};
use tollgate::models::EntryKind;

use crate::support::On;
use crate::support::dice::Dice;
use crate::support::ledger::{Account, Ledger, PRICE, adjustment, charge, charged, hold, run_adjustment};

fn refund_of(chat_id: i64, actor_id: i64) -> Refund {
    let operation_id = OperationId::generate();
    Refund { chat_id, note: "a test".to_owned(), actor_id, operation_id, now: clock::now() }
}

async fn run(db: &Db, user: Account, wanted: Refund) -> Refunded {
    db.write(Scope::user(user.id), move |conn| Ok(refund(conn, &wanted)?)).await.unwrap()
}

async fn end(db: &Db, user: Account, chat_id: i64, ending: Ending) -> Ended {
    let (id, now) = (OperationId::generate(), clock::now());
    let job = move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, id, now)?);
    db.write(Scope::user(user.id), job).await.unwrap()
}

async fn chat(ledger: &Ledger, charge: Charge) -> i64 {
    charged(ledger.db.write_set(charge).await.unwrap()).chat_id
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_concurrent_refunds_one_returns_the_tokens(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let (ada, node) = (ledger.user("ada", 4000).await, ledger.node());
    let chat = chat(&ledger, charge(ada.auth_token)).await;
    let refunds = join_all((0..20).map(|number| {
        let db = if number % 2 == 0 { &ledger.db } else { &node };
        run(db, ada, refund_of(chat, ada.id))
    }))
    .await;
    let done =
        refunds.iter().filter(|refunded| matches!(refunded, Refunded::Done { amount: PRICE, .. })).count();
    assert_eq!(done, 1, "{refunds:?}");
    assert!(
        refunds.iter().all(|one| matches!(one, Refunded::Done { .. } | Refunded::AlreadyRefunded)),
        "{refunds:?}"
    );
    assert_eq!(ledger.balance(ada.id), 4000);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_runs_again_finds_what_it_has_done(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    let free = chat(&ledger, Charge { price: 0, ..charge(ada.auth_token) }).await;
    assert_eq!(run(&ledger.db, ada, refund_of(free, ada.id)).await, Refunded::NothingToRefund);
    assert_eq!(run(&ledger.db, ada, refund_of(987_654, ada.id)).await, Refunded::NoSuchChat);
    let chat = chat(&ledger, charge(ada.auth_token)).await;
    let wanted = refund_of(chat, ada.id);
    let done = |is_new| Refunded::Done { user_id: ada.id, amount: PRICE, balance: 4000, is_new };
    assert_eq!(run(&ledger.db, ada, wanted.clone()).await, done(true));
    run_adjustment(&ledger.db, adjustment(ada.id, 7)).await.unwrap();
    assert_eq!(run(&ledger.db, ada, wanted).await, done(false), "the balance as it was then");
    assert_eq!(run(&ledger.db, ada, refund_of(chat, ada.id)).await, Refunded::AlreadyRefunded);
    assert_eq!(ledger.balance(ada.id), 4007);
    ledger.assert_sound();
}

/// The answer, the sweeper and two administrators act at once, in random order, on many chats.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_refunded_at_most_once_in_any_order_of_endings_and_refunds(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let (ada, node) = (ledger.user("ada", 40_000).await, ledger.node());
    let mut dice = Dice::new();
    for _ in 0..40 {
        let is_hold = dice.pick(0..2) == 0;
        let new = if is_hold { hold(ada.auth_token) } else { charge(ada.auth_token) };
        let id = chat(&ledger, new).await;
        let answer = Ending::answered("an answer".to_owned());
        let given_up = Ending::Released { actor_id: Some(ada.id), note: "a test".to_owned() };
        let endings = if dice.pick(0..2) == 0 { [answer, given_up] } else { [given_up, answer] };
        let [first, second] = endings;
        let (db, other) = if dice.pick(0..2) == 0 { (&ledger.db, &node) } else { (&node, &ledger.db) };
        futures_util::join!(
            run(db, ada, refund_of(id, ada.id)),
            end(other, ada, id, first),
            run(other, ada, refund_of(id, ada.id)),
            end(db, ada, id, second),
            async { sweep(db).await.unwrap() },
        );
        // However it ended, one more refund brings it to the same end.
        run(db, ada, refund_of(id, ada.id)).await;
    }
    assert_eq!(ledger.balance(ada.id), 40_000, "each of them was refunded in the end");
    let refunds = ledger.entries(ada.id).into_iter().filter(|entry| entry.kind == EntryKind::Refund).count();
    assert_eq!(refunds, 40);
    ledger.assert_sound();
}
