//! How long an idempotency key stands for its first request.

use rstest::rstest;
use tollgate::clock;
use tollgate::db::{DbConnection, Scope};
use tollgate::domain::{FailureReason, OperationId};
use tollgate::metering::{Charge, Ended, Ending, Verdict, end_hold, forget_idempotency_keys};

use crate::support::On;
use crate::support::ledger::{Account, Ledger, charge, charged, hold, key};

async fn pay(ledger: &Ledger, charge: Charge, name: &str, message: &str) -> Verdict {
    ledger.db.write_set(Charge { key: Some(key(name, message)), ..charge }).await.unwrap()
}

/// Makes a key this many minutes old.
fn age(ledger: &Ledger, name: &str, minutes: i64) {
    let created = clock::now() - chrono::TimeDelta::minutes(minutes);
    let created = created.format("%Y-%m-%d %H:%M:%S%.6f");
    ledger.sql(&format!("UPDATE idempotency_keys SET created_at = '{created}' WHERE key = '{name}'"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_for_24_hours_and_then_forgotten(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    for name in ["old", "young"] {
        charged(pay(&ledger, charge(ada.auth_token), name, "hi").await);
    }
    age(&ledger, "old", 24 * 60 + 1);
    age(&ledger, "young", 24 * 60 - 1);
    assert_eq!(forget_idempotency_keys(&ledger.db).await.unwrap(), 1);
    let young = pay(&ledger, charge(ada.auth_token), "young", "hi").await;
    assert!(matches!(young, Verdict::Replay { balance: 3800, .. }), "{young:?}");
    let old = pay(&ledger, charge(ada.auth_token), "old", "another message").await;
    assert_eq!(charged(old).balance, 3700);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn all_old_keys_are_forgotten_even_if_that_takes_several_jobs(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 100_000).await;
    let charges = (0..450).map(|number| {
        let charge = Charge { key: Some(key(&format!("key{number}"), "hi")), ..charge(ada.auth_token) };
        ledger.db.write_set(charge)
    });
    futures_util::future::join_all(charges).await.into_iter().for_each(|verdict| {
        charged(verdict.unwrap());
    });
    ledger.sql("UPDATE idempotency_keys SET created_at = '2020-01-01 00:00:00' WHERE key <> 'key7'");
    assert_eq!(forget_idempotency_keys(&ledger.db).await.unwrap(), 449);
    assert_eq!(ledger.count("idempotency_keys"), 1);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_frees_the_key_and_an_answer_does_not(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    let first = charged(pay(&ledger, hold(ada.auth_token), "one", "hi").await);
    let meanwhile = pay(&ledger, hold(ada.auth_token), "one", "hi").await;
    assert!(matches!(meanwhile, Verdict::InFlight), "{meanwhile:?}");
    end(&ledger, ada, first.chat_id, Ending::failed(FailureReason::ServerError)).await;
    assert_eq!(ledger.balance(ada.id), 4000);

    let second = charged(pay(&ledger, hold(ada.auth_token), "one", "hi").await);
    assert_ne!(second.chat_id, first.chat_id);
    end(&ledger, ada, second.chat_id, Ending::answered("hello".to_owned())).await;
    let third = pay(&ledger, hold(ada.auth_token), "one", "hi").await;
    let Verdict::Replay { chat, balance: 3900 } = third else { panic!("{third:?}") };
    assert_eq!((chat.id, chat.response.as_deref()), (second.chat_id, Some("hello")));
    let other = pay(&ledger, hold(ada.auth_token), "one", "another message").await;
    assert!(matches!(other, Verdict::KeyReused), "{other:?}");
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn each_user_has_their_own_keys_and_a_refusal_stores_none(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let (ada, bob) = (ledger.user("ada", 4000).await, ledger.user("bob", 50).await);
    charged(pay(&ledger, charge(ada.auth_token), "one", "hi").await);
    let poor = pay(&ledger, charge(bob.auth_token), "one", "something else").await;
    assert!(matches!(poor, Verdict::Insufficient { balance: 50 }), "{poor:?}");
    ledger.sql("UPDATE auth_tokens SET revoked_at = '2020-01-01 00:00:00'");
    let shut_out = pay(&ledger, charge(ada.auth_token), "one", "hi").await;
    assert!(matches!(shut_out, Verdict::Unauthorized), "a key gives no access: {shut_out:?}");
    assert_eq!((ledger.count("idempotency_keys"), ledger.count("chats")), (1, 1));
    ledger.assert_sound();
}

async fn end(ledger: &Ledger, account: Account, chat_id: i64, ending: Ending) {
    let operation_id = OperationId::generate();
    let job =
        move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, operation_id, clock::now())?);
    let ended = ledger.db.write(Scope::user(account.id), job).await.unwrap();
    assert!(matches!(ended, Ended::Now { .. }), "{ended:?}");
}
