//! Two nodes on one database. On SQLite the second is a command beside the server, which waits for
//! the write lock.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::db::Db;
use tollgate::error::Error;
use tollgate::metering::Verdict;

use super::races::register;
use crate::support::ledger::{
    Ledger, PRICE, adjustment, charge, charged, hold, key, request, run_adjustment, toll,
};
use crate::support::{On, wait};

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_spend_one_balance_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 4000).await;
    let other_token = ledger.auth_token(ada.id).await;
    let nodes = [ledger.db.clone(), ledger.node()];
    let charges = (0..300).map(|number| {
        let auth_token = if number % 3 == 0 { other_token } else { ada.auth_token };
        let (db, charge) = (nodes[number % 2].clone(), charge(auth_token));
        tokio::spawn(async move { db.write_set(charge).await })
    });
    let verdicts: Vec<Verdict> = join_all(charges).await.into_iter().map(|v| v.unwrap().unwrap()).collect();
    let paid = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Charged(_))).count();
    let refused =
        verdicts.iter().filter(|v| matches!(v, Verdict::Insufficient { balance: 0..PRICE })).count();
    assert_eq!((paid, refused), (40, 260));
    assert_eq!(ledger.balance(ada.id), 0);
    ledger.assert_sound();
}

/// The dangerous moment: a node waits for the payer's row while the other commits a charge with the
/// same key.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_sent_to_two_nodes_at_once_is_one_charge(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 1_000_000).await;
    let nodes = [ledger.db.clone(), ledger.node()];
    let tolls = [toll(&nodes[0], Duration::ZERO), toll(&nodes[1], Duration::ZERO)];
    for round in 0..40 {
        let name = format!("key-{round}");
        let chats = (0..6).map(|number| {
            let (toll, mut request) = (tolls[number % 2].clone(), request(ada.auth_token, "Hello"));
            request.key = Some(key(&name, "Hello"));
            tokio::spawn(async move { toll.chat(request).await })
        });
        let receipts: Vec<_> = join_all(chats).await.into_iter().map(|receipt| receipt.unwrap()).collect();
        let paid = receipts.iter().flatten().filter(|receipt| !receipt.replayed).count();
        let replayed = receipts.iter().flatten().filter(|receipt| receipt.replayed).count();
        assert_eq!((paid, replayed), (1, 5), "{receipts:?}");
    }
    assert_eq!(ledger.balance(ada.id), 1_000_000 - 40 * PRICE);
    ledger.assert_sound();
}

/// Waits until a writer of this node has taken its one job. The writer finds the row locked, and
/// retries until it is free.
fn wait_for_an_attempt(node: &Db) {
    wait::until("the other node's attempt", Duration::from_secs(20), || {
        (node.writes_so_far() == 1).then_some(())
    });
}

/// A charge waits for the row while another node commits the same key. Only on PostgreSQL do two
/// writers meet at a row.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_node_commits_while_a_charge_waits_for_the_row_is_seen() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let ada = ledger.user("ada", 4000).await;
    let other = ledger.node();
    let mut gate = ledger.gate();
    let with_key = |charge| tollgate::metering::Charge { key: Some(key("one", "hi")), ..charge };
    let first = tokio::spawn({
        let (db, charge) = (ledger.db.clone(), with_key(hold(ada.auth_token)));
        async move { db.write_set(charge).await }
    });
    gate.wait_for_commits(1);
    let second = tokio::spawn({
        let (db, charge) = (other.clone(), with_key(hold(ada.auth_token)));
        async move { db.write_set(charge).await }
    });
    wait_for_an_attempt(&other);
    gate.open();
    charged(first.await.unwrap().unwrap());
    let second = second.await.unwrap();
    assert!(matches!(second, Ok(Verdict::InFlight)), "{second:?}");
    assert_eq!(ledger.balance(ada.id), 3900);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_name_registered_on_two_nodes_at_once_goes_to_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let nodes = [ledger.db.clone(), ledger.node()];
    for round in 0..15 {
        let registrations = (0..4).map(|number| {
            let (db, name) = (nodes[number % 2].clone(), format!("ada{round}"));
            tokio::spawn(async move { register(&db, &name).await })
        });
        let outcomes: Vec<_> = join_all(registrations).await.into_iter().map(|o| o.unwrap()).collect();
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::UsernameTaken))).count();
        assert_eq!((outcomes.iter().flatten().count(), taken), (1, 3), "{outcomes:?}");
    }
    assert_eq!(ledger.count("users"), 15);
    ledger.assert_sound();
}

/// Batches of the two nodes hold the same users in opposite order; rows are locked by id, so there
/// is no deadlock.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_two_nodes_on_the_same_users_all_succeed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let mut accounts = Vec::new();
    for number in 0..6 {
        accounts.push(ledger.user(&format!("user{number}"), 1_000_000).await);
    }
    let nodes = [ledger.db.clone(), ledger.node()];
    let work = (0..240).map(|number| {
        let node = number % 2;
        let place = (number / 2) % accounts.len();
        let account = accounts[if node == 0 { place } else { accounts.len() - 1 - place }];
        let (db, is_charge) = (nodes[node].clone(), number % 3 != 0);
        tokio::spawn(async move {
            if is_charge {
                charged(db.write_set(charge(account.auth_token)).await.unwrap());
            } else {
                run_adjustment(&db, adjustment(account.id, 7)).await.unwrap();
            }
        })
    });
    join_all(work).await.into_iter().for_each(|done| done.unwrap());
    let total: i64 = accounts.iter().map(|account| ledger.balance(account.id)).sum();
    assert_eq!(total, 6_000_000 - 160 * PRICE + 80 * 7);
    if on == On::Postgres {
        let mut raw = ledger.raw();
        let deadlocks = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(crate::support::ledger::count(&mut raw, deadlocks), 0, "there was a deadlock");
    }
    ledger.assert_sound();
}

/// The statement reads the users as they were before it waited, but the row that it waited for as
/// it is afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_waits_while_the_balance_rises_is_paid_from_the_new_balance() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let ada = ledger.user("ada", 50).await;
    let other = ledger.node();
    let mut gate = ledger.gate();
    let gift = tokio::spawn({
        let db = ledger.db.clone();
        async move { run_adjustment(&db, adjustment(ada.id, 500)).await }
    });
    gate.wait_for_commits(1);
    let (db, charge) = (other.clone(), charge(ada.auth_token));
    let chat = tokio::spawn(async move { db.write_set(charge).await });
    wait_for_an_attempt(&other);
    gate.open();
    gift.await.unwrap().unwrap();
    assert_eq!(charged(chat.await.unwrap().unwrap()).balance, 550 - PRICE);
    assert_eq!(ledger.balance(ada.id), 550 - PRICE);
    ledger.assert_sound();
}
