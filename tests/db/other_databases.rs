//! The follower waits only for open transactions of its own database, prepared ones included.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use tollgate::db::{Db, DbConnection};
use tollgate::index::follower::{Followed, Follower, lag};

use crate::support::ledger::{count, open, raw};
use crate::support::postgres::Cluster;
use crate::support::{On, TestDatabase};

async fn total_lag(db: &Db) -> i64 {
    let lags = |conn: &mut DbConnection| {
        let lags = Followed::ALL.map(|followed| lag(conn, followed));
        Ok(lags.into_iter().sum::<Result<i64, _>>()?)
    };
    db.read(lags).await.unwrap()
}

const NEW_USER: &str =
    "INSERT INTO users (username, username_canonical, password, tokens, is_active, is_staff, is_superuser,
    date_joined, version) VALUES ('NAME', 'NAME', '!', 0, true, false, false, now(), 0)";

#[tokio::test(flavor = "multi_thread")]
async fn the_follower_waits_only_for_transactions_of_its_own_database() {
    let Some(cluster) = Cluster::start(&["fsync=off", "max_prepared_transactions=4"]) else { return };
    let (database, elsewhere) =
        (TestDatabase::from(cluster.database()), TestDatabase::from(cluster.database()));
    let db = open(database.url(), 2);
    db.migrate().unwrap();
    let mut foreign = raw(On::Postgres, elsewhere.url());
    foreign.batch_execute("BEGIN; SELECT pg_current_xact_id()").unwrap();
    let mut own = raw(On::Postgres, database.url());
    own.batch_execute(&NEW_USER.replace("NAME", "ada")).unwrap();
    let mut follower = Follower::default();
    for _ in 0..4 {
        follower.round(&db).await.unwrap();
    }
    assert_eq!(total_lag(&db).await, 0, "a transaction of another database holds it up");

    // A prepared transaction has no connection any more, but may still commit a lower id.
    let prepared = format!("BEGIN; {}; PREPARE TRANSACTION 'a test'", NEW_USER.replace("NAME", "bob"));
    own.batch_execute(&prepared).unwrap();
    own.batch_execute(&NEW_USER.replace("NAME", "eve")).unwrap();
    for _ in 0..10 {
        follower.round(&db).await.unwrap();
    }
    assert!(total_lag(&db).await > 0, "it passed a prepared transaction");
    own.batch_execute("COMMIT PREPARED 'a test'").unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while total_lag(&db).await > 0 {
        assert!(std::time::Instant::now() < deadline, "it does not catch up");
        follower.round(&db).await.unwrap();
    }
    assert_eq!(count(&mut own, "SELECT count(*) AS n FROM user_search"), 3);
}
