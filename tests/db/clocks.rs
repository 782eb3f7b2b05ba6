//! Times on PostgreSQL come from the database, whatever the nodes' clocks show.

use chrono::TimeDelta;
use tollgate::clock;
use tollgate::db::{DbConnection, Scope, clock_of};
use tollgate::domain::{FailureReason, OperationId};
use tollgate::metering::{Adjustment, Charge, Ending, adjust, end_hold};

use crate::support::On;
use crate::support::ledger::{Ledger, adjustment, charge, charged, hold};

/// Two nodes whose clocks are ten minutes wrong, one fast and one slow.
#[tokio::test(flavor = "multi_thread")]
async fn entries_of_nodes_with_wrong_clocks_have_the_databases_time_in_the_order_of_their_ids() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let ada = ledger.user("ada", 100_000).await;
    let nodes = [(ledger.db.clone(), 10), (ledger.node(), -10)];
    let began = ledger.db.read(|conn| Ok(clock_of(conn)?)).await.unwrap().expect("PostgreSQL has a clock");
    for _ in 0..5 {
        for (node, minutes) in &nodes {
            let now = clock::now() + TimeDelta::minutes(*minutes);
            charged(node.write_set(Charge { now, ..charge(ada.auth_token) }).await.unwrap());
            let held = charged(node.write_set(Charge { now, ..hold(ada.auth_token) }).await.unwrap());
            assert!((held.created_at - began).abs() < TimeDelta::minutes(1), "{held:?}");
            let settle = move |conn: &mut DbConnection| {
                let ending = Ending::failed(FailureReason::ServerError);
                Ok(end_hold(conn, held.chat_id, &ending, OperationId::generate(), now)?)
            };
            node.write(Scope::user(ada.id), settle).await.unwrap();
            let gift = Adjustment { now, ..adjustment(ada.id, 1) };
            node.write(Scope::user(ada.id), move |conn| Ok(adjust(conn, &gift)?)).await.unwrap();
        }
    }
    let entries = ledger.entries(ada.id);
    let times: Vec<_> = entries.iter().skip(1).map(|entry| entry.created_at).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.iter().all(|at| (*at - began).abs() < TimeDelta::minutes(1)), "{times:?}");
    for chat in ledger.chats(ada.id) {
        let finished = chat.finished_at.unwrap();
        assert!(chat.created_at <= finished && finished - began < TimeDelta::minutes(1), "{chat:?}");
    }
    ledger.assert_sound();
}
