//! Work on many rows: in batches of one transaction each, by one node at a time.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use tollgate::administration::{Bulk, BulkKind, BulkRequest, finish_all};
use tollgate::audit::Actor;
use tollgate::domain::{OperationId, Reason};
use tollgate::metering::sweep;

use crate::support::On;
use crate::support::ledger::{Account, Ledger, charged, hold, revoke_all};

async fn holds(ledger: &Ledger, account: Account, number: usize) {
    let holds = (0..number).map(|_| ledger.db.write_set(hold(account.auth_token)));
    for verdict in futures_util::future::join_all(holds).await {
        charged(verdict.unwrap());
    }
}

const OVERDUE: &str = "UPDATE chats SET deadline = '2020-01-01 00:00:00' WHERE state = 'pending'";

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn holds_past_their_deadline_are_swept_in_parts_of_100(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let ada = ledger.user("ada", 100_000).await;
    holds(&ledger, ada, 250).await;
    ledger.sql(OVERDUE);
    assert_eq!(sweep(&ledger.db).await.unwrap(), 250);
    assert_eq!(ledger.balance(ada.id), 100_000);
    if on == On::Postgres {
        let transactions = "(SELECT DISTINCT xmin::text FROM ledger_entries WHERE kind = 'refund') t";
        assert_eq!(ledger.count(transactions), 3);
    }
    ledger.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_does_not_wait_for_the_sweep_of_another_node() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let ada = ledger.user("ada", 1_000).await;
    holds(&ledger, ada, 3).await;
    ledger.sql(OVERDUE);
    let mut other = ledger.raw();
    // The number that all nodes lock: "toll" in ASCII, and 0 for the sweeper.
    other.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1953459308, 0)").unwrap();
    assert_eq!(sweep(&ledger.db).await.unwrap(), 0);
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(sweep(&ledger.db).await.unwrap(), 3);
    ledger.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_user_does_not_keep_others_from_being_swept() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let (ada, bob) = (ledger.user("ada", 1_000).await, ledger.user("bob", 1_000).await);
    holds(&ledger, ada, 3).await;
    holds(&ledger, bob, 3).await;
    ledger.sql(OVERDUE);
    let mut other = ledger.raw();
    other.batch_execute(&format!("BEGIN; SELECT 1 FROM users WHERE id = {} FOR UPDATE", ada.id)).unwrap();
    assert_eq!(sweep(&ledger.db).await.unwrap(), 3);
    assert_eq!((ledger.balance(ada.id), ledger.balance(bob.id)), (700, 1_000));
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(sweep(&ledger.db).await.unwrap(), 3);
    ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_adjustment_is_one_statement_for_each_part(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let root = ledger.user("root", 0).await;
    let mut ids = Vec::new();
    for number in 0..150 {
        ids.push(ledger.user(&format!("user{number}"), if number == 7 { 10 } else { 1_000 }).await.id);
    }
    revoke_all(&ledger.db, root.id).await;
    let request = BulkRequest {
        seed: OperationId::generate(),
        kind: BulkKind::Adjust(-30),
        reason: Reason::parse("a test").unwrap(),
        selection: "all".to_owned(),
        ids: ids.iter().copied().chain([999_999]).collect(),
    };
    let actor = Actor { user_id: Some(root.id), address: String::new() };
    Bulk::default().start(&ledger.db, &actor, request).await.unwrap();
    let other = ledger.node();
    let both = tokio::join!(finish_all(&ledger.db), finish_all(&other));
    both.0.unwrap();
    both.1.unwrap();
    // Each node may have left the work to the other.
    finish_all(&ledger.db).await.unwrap();
    assert_eq!(ledger.count("ledger_entries WHERE kind = 'adjustment' AND amount = -30"), 149);
    assert_eq!(ledger.count("audit_log WHERE action = 'adjust'"), 149);
    assert_eq!(ledger.count("bulk_failures"), 2, "one balance is too low, and one user does not exist");
    assert_eq!((ledger.balance(ids[0]), ledger.balance(ids[7])), (970, 10));
    if on == On::Postgres {
        let commands =
            "(SELECT DISTINCT xmin::text, cmin::text FROM ledger_entries WHERE kind = 'adjustment') t";
        assert_eq!(ledger.count(commands), 2);
    }
    ledger.assert_sound();
}
