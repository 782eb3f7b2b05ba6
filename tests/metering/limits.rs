//! The limits of one user when many chats begin at once: pending chats, and the balance.

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::OperationId;
use tollgate::metering::{Charge, Charged, Ended, Ending, Verdict, end_hold};

use crate::support::On;
use crate::support::ledger::{Account, Ledger, hold};

/// Begins this many holds at once, on two nodes in turn, with three auth tokens.
async fn many(ledger: &Ledger, user: Account, count: usize, charge: Charge) -> Vec<Verdict> {
    let nodes: [Db; 2] = [ledger.db.clone(), ledger.node()];
    let tokens = [user.auth_token, ledger.auth_token(user.id).await, ledger.auth_token(user.id).await];
    let charges = (0..count).map(|number| {
        let db = nodes[number % 2].clone();
        let auth_token = tokens[number % 3];
        let charge = Charge { auth_token, operation_id: OperationId::generate(), ..charge.clone() };
        tokio::spawn(async move { db.write_set(charge).await })
    });
    join_all(charges).await.into_iter().map(|verdict| verdict.unwrap().unwrap()).collect()
}

fn paid(verdicts: &[Verdict]) -> Vec<Charged> {
    let charged = |verdict: &Verdict| match verdict {
        Verdict::Charged(charged) => Some(*charged),
        _ => None,
    };
    verdicts.iter().filter_map(charged).collect()
}

async fn end(ledger: &Ledger, hold: Charged, ending: Ending) -> Ended {
    let operation_id = OperationId::generate();
    let job =
        move |conn: &mut DbConnection| Ok(end_hold(conn, hold.chat_id, &ending, operation_id, clock::now())?);
    ledger.db.write(Scope::user(hold.user_id), job).await.unwrap()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn holds_begun_at_once_on_two_nodes_never_exceed_the_limit_of_their_user(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(None, Some(3), Some(9), Some(0))] own: Option<usize>,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 1_000_000).await;
    let eve = ledger.user("eve", 1_000_000).await;
    if let Some(own) = own {
        ledger.sql(&format!("UPDATE users SET concurrent_chats = {own} WHERE id = {}", ada.id));
    }
    let limit = own.unwrap_or(5);
    let charge = Charge { concurrent_chats: 5, ..hold(ada.auth_token) };
    for round in 0..4 {
        let verdicts = many(&ledger, ada, 40, charge.clone()).await;
        let begun = paid(&verdicts);
        let refused = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::TooManyHolds)).count();
        assert_eq!((begun.len(), refused), (limit, 40 - limit), "round {round}");
        assert_eq!(paid(&many(&ledger, eve, 10, charge.clone()).await).len(), if round == 0 { 5 } else { 0 });
        // Each hold that ends makes room for one, however it ends.
        if let Some((first, rest)) = begun.split_first() {
            end(&ledger, *first, Ending::LeftEarly).await;
            assert_eq!(paid(&many(&ledger, ada, 10, charge.clone()).await).len(), 1);
            for hold in rest {
                end(&ledger, *hold, Ending::answered("Hello")).await;
            }
        }
        ledger
            .sql("UPDATE chats SET deadline = '2020-01-01 00:00:00' WHERE state = 'pending' AND user_id = 1");
        tollgate::metering::sweep(&ledger.db).await.unwrap();
    }
    ledger.assert_sound();
}

/// A price by usage holds the most that a chat can cost, so a balance for one hold admits one chat,
/// although it would cover several in the end.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_balance_for_one_hold_admits_one_of_many_chats_and_what_is_returned_admits_the_next(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 250).await;
    let charge = Charge { price: 204, ..hold(ada.auth_token) };
    for (round, balance) in [250, 236, 222, 208].into_iter().enumerate() {
        let verdicts = many(&ledger, ada, 30, charge.clone()).await;
        let begun = paid(&verdicts);
        let is_refused = |verdict: &&Verdict| matches!(verdict, Verdict::Insufficient { balance: found } if *found == balance - 204);
        assert_eq!((begun.len(), verdicts.iter().filter(is_refused).count()), (1, 29), "round {round}");
        assert_eq!(ledger.balance(ada.id), balance - 204);
        let ending = Ending::Complete { arrived: Default::default(), cost: Some(14) };
        assert_eq!(end(&ledger, begun[0], ending).await, Ended::Now { balance: balance - 14 });
    }
    assert!(paid(&many(&ledger, ada, 30, charge).await).is_empty(), "194 are not enough for 204");
    assert_eq!(ledger.balance(ada.id), 194);
    ledger.assert_sound();
}
