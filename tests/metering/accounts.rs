//! Opening an account twice with the same operation id.

use tollgate::administration::{UserToAdd, add_user};
use tollgate::audit::Actor;
use tollgate::domain::{OperationId, Username};

use crate::support::On;
use crate::support::ledger::Ledger;

/// A form that is sent twice may be handled by two nodes at the same time. On PostgreSQL each
/// statement sees what was committed before it, so one run may see only a part of what the other
/// has done so far.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_runs_of_one_operation_open_one_account_and_all_get_its_id() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let nodes = [ledger.db.clone(), ledger.node(), ledger.node()];
    for number in 0..150 {
        let new = UserToAdd {
            username: Username::parse(&format!("user{number}")).unwrap(),
            password_hash: "!".to_owned(),
            tokens: 70,
            is_staff: false,
            is_superuser: false,
            operation_id: OperationId::generate(),
        };
        let actor = Actor::default();
        let runs = nodes.iter().map(|node| add_user(node, &actor, new.clone()));
        let ids: Vec<_> =
            futures_util::future::join_all(runs).await.into_iter().map(|run| run.unwrap()).collect();
        assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "user {number}: {ids:?}");
    }
    assert_eq!(ledger.count("users"), 150);
    ledger.assert_sound();
}
