//! Servers that die during a bulk operation, and two that work on it at once.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use tollgate::administration::{Bulk, BulkKind, BulkRequest, LimitToSet, LimitsToSet};
use tollgate::audit::Actor;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::{OperationId, Reason};
use tollgate::metering::{OpenedAccount, open_account};

use crate::support::ledger::{count, new_account, open, raw};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, require, wait};

const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the number of users, a multiple of 200.
fn users() -> usize {
    if require::long() { 5_000 } else { 2_000 }
}

const GIFT: BulkKind = BulkKind::Adjust(25);
const LIMIT: BulkKind = BulkKind::SetLimits(LimitsToSet {
    concurrent_chats: LimitToSet::Own(3),
    requests_per_minute: LimitToSet::Unchanged,
});

/// Fills a database with users, and starts a bulk operation on all of them.
async fn prepare(database: &TestDatabase, kind: BulkKind) -> Db {
    let db = open(database.url(), 2);
    db.migrate().unwrap();
    let mut ids = Vec::new();
    for part in 0..users() / 200 {
        let names: Arc<[_]> =
            (0..200).map(|number| new_account(&format!("user-{part}-{number}"), 100)).collect();
        let job = move |conn: &mut DbConnection| {
            let mut ids = Vec::new();
            for new in names.iter() {
                let OpenedAccount::Opened(id) = open_account(conn, new)? else { panic!("the name is taken") };
                ids.push(id);
            }
            Ok(ids)
        };
        ids.extend(db.write_bulk(Scope::none(), job).await.unwrap());
    }
    let actor = Actor { user_id: ids.first().copied(), address: "192.0.2.1".to_owned() };
    let request = BulkRequest {
        seed: OperationId::generate(),
        kind,
        reason: Reason::parse("a gift").unwrap(),
        selection: format!("{} users: all", ids.len()),
        ids,
    };
    Bulk::default().start(&db, &actor, request).await.unwrap();
    db
}

fn position(conn: &mut DbConnection) -> i64 {
    count(conn, "SELECT position AS n FROM bulk_operations")
}

fn assert_done_exactly_once(conn: &mut DbConnection, database: &TestDatabase) {
    let all = users() as i64;
    for (query, expected) in [
        ("SELECT count(*) AS n FROM bulk_operations WHERE finished_at IS NOT NULL AND failed = 0", 1),
        ("SELECT count(*) AS n FROM ledger_entries WHERE kind = 'adjustment'", all),
        ("SELECT count(DISTINCT user_id) AS n FROM ledger_entries WHERE kind = 'adjustment'", all),
        ("SELECT count(*) AS n FROM audit_log WHERE action = 'adjust'", all),
        ("SELECT count(*) AS n FROM users WHERE tokens = 125", all),
    ] {
        assert_eq!(count(conn, query), expected, "{query}");
    }
    assert_verified(database);
}

#[rstest]
#[actix_web::test]
async fn a_bulk_adjustment_that_is_killed_repeatedly_is_done_exactly_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    drop(prepare(&database, GIFT).await);
    let mut conn = raw(on, database.url());
    let began = clock::now();
    for part in 1..=3 {
        let mut server = Server::start(&database, &[]);
        let wanted = part * users() as i64 / 5;
        wait::until("a part of the rows", PATIENCE, || (position(&mut conn) >= wanted).then_some(()));
        server.kill9();
        let reached = position(&mut conn);
        assert!(reached < users() as i64, "the operation ended before the kill: this tests nothing");
        let entries = count(&mut conn, "SELECT count(*) AS n FROM ledger_entries WHERE kind = 'adjustment'");
        assert_eq!(entries, reached, "the position must equal the number of adjustments");
        assert_verified(&database);
    }
    let server = Server::start(&database, &[]);
    wait::until("the end of the operation", PATIENCE, || {
        server.log().contains("bulk operation 1 is finished").then_some(())
    });
    println!("it took {}", clock::now() - began);
    assert_done_exactly_once(&mut conn, &database);
}

/// An operation whose rows are done one by one, and not a part at a time.
#[rstest]
#[actix_web::test]
async fn limits_that_are_set_in_bulk_are_set_once_although_the_server_is_killed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    drop(prepare(&database, LIMIT).await);
    let mut conn = raw(on, database.url());
    let mut server = Server::start(&database, &[]);
    wait::until("a part of the rows", PATIENCE, || (position(&mut conn) >= 100).then_some(()));
    server.kill9();
    let reached = position(&mut conn);
    assert!(reached < users() as i64, "the operation ended before the kill: this tests nothing");
    let changed = "SELECT count(*) AS n FROM users WHERE concurrent_chats = 3 AND version = 1";
    assert_eq!(count(&mut conn, changed), reached);
    let server = Server::start(&database, &[]);
    wait::until("the end of the operation", PATIENCE, || {
        server.log().contains("bulk operation 1 is finished").then_some(())
    });
    let former = "SELECT count(*) AS n FROM bulk_former_limits WHERE concurrent_chats IS NULL";
    for query in [changed, former, "SELECT count(*) AS n FROM audit_log WHERE action = 'change'"] {
        assert_eq!(count(&mut conn, query), users() as i64, "{query}");
    }
    assert_eq!(count(&mut conn, "SELECT failed AS n FROM bulk_operations"), 0);
}

#[actix_web::test]
async fn two_servers_share_a_bulk_adjustment_and_one_of_them_may_die() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    drop(prepare(&database, GIFT).await);
    let mut conn = raw(On::Postgres, database.url());
    let (mut one, other) = (Server::start(&database, &[]), Server::start(&database, &[]));
    wait::until("a part of the rows", PATIENCE, || (position(&mut conn) >= 400).then_some(()));
    one.kill9();
    wait::until("the last row", PATIENCE, || (position(&mut conn) >= users() as i64).then_some(()));
    let is_finished = |server: &Server| server.log().contains("bulk operation 1 is finished");
    wait::until("the log line about the end", PATIENCE, || {
        (is_finished(&one) || is_finished(&other)).then_some(())
    });
    assert_done_exactly_once(&mut conn, &database);
}
