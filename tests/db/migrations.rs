//! Migrations: up, down, and up again; many at once; and one that fails.

use std::sync::Barrier;

use rstest::rstest;
use tollgate::db::{Db, DbConnection, MigrationError};

use crate::support::ledger::{lines, open, raw};
use crate::support::{On, TestDatabase};

/// Returns everything that migrations create, as text.
fn schema(conn: &mut DbConnection) -> Vec<String> {
    let queries: &[&str] = match conn {
        DbConnection::Sqlite(_) => &["SELECT type || ' ' || name || ': ' || coalesce(sql, '') AS line
             FROM sqlite_master WHERE tbl_name NOT IN ('__diesel_schema_migrations', 'sqlite_sequence') ORDER BY 1"],
        DbConnection::Postgres(_) => &[
            "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default, is_identity,
                              collation_name) AS line
             FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations' ORDER BY 1",
            "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS line
             FROM pg_constraint
             WHERE connamespace = 'public'::regnamespace
               AND conrelid <> '__diesel_schema_migrations'::regclass ORDER BY 1",
            "SELECT indexdef AS line FROM pg_indexes
             WHERE schemaname = 'public' AND tablename <> '__diesel_schema_migrations' ORDER BY 1",
            "SELECT pg_get_triggerdef(oid) AS line FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
            "SELECT pg_get_functiondef(oid) AS line FROM pg_proc
             WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
            "SELECT concat_ws(' ', relname, reloptions::text) AS line FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               AND relname <> '__diesel_schema_migrations' ORDER BY 1",
        ],
    };
    queries.iter().flat_map(|query| lines(conn, query)).collect()
}

fn applied(db: &Db) -> Vec<bool> {
    db.migration_state().unwrap().iter().map(|migration| migration.applied).collect()
}

#[rstest]
fn migrations_can_all_be_reverted_and_applied_again_with_the_same_result(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let db = open(database.url(), 1);
    let all = db.migrate().unwrap();
    assert!(all.len() >= 3 && all.is_sorted(), "{all:?}");
    assert_eq!(db.migrate().unwrap(), Vec::<String>::new(), "a second time there is nothing to do");
    let mut conn = raw(on, database.url());
    let first = schema(&mut conn);
    assert!(first.len() > 20, "{first:#?}");

    for (left, name) in all.iter().enumerate().rev() {
        assert_eq!(db.migrate_down().unwrap().as_ref(), Some(name));
        assert_eq!(applied(&db).iter().filter(|applied| **applied).count(), left);
    }
    assert_eq!(
        schema(&mut conn),
        Vec::<String>::new(),
        "something is left after all migrations were reverted"
    );
    assert_eq!(db.migrate_down().unwrap(), None);

    assert_eq!(db.migrate().unwrap(), all);
    assert_eq!(schema(&mut conn), first);
    assert!(applied(&db).iter().all(|applied| *applied));
}

#[rstest]
fn each_reverted_migration_can_be_applied_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let db = open(database.url(), 1);
    let all = db.migrate().unwrap();
    let mut conn = raw(on, database.url());
    let whole = schema(&mut conn);
    for steps in 1..all.len() {
        for _ in 0..steps {
            db.migrate_down().unwrap();
        }
        assert_eq!(db.migrate().unwrap(), all[all.len() - steps..]);
        assert_eq!(schema(&mut conn), whole);
    }
}

#[rstest]
fn nodes_that_migrate_at_once_run_each_migration_only_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let together = Barrier::new(8);
    let mut applied: Vec<String> = std::thread::scope(|scope| {
        let node = || {
            let db = open(database.url(), 1);
            together.wait();
            db.migrate().unwrap()
        };
        let nodes: Vec<_> = (0..8).map(|_| scope.spawn(node)).collect();
        nodes.into_iter().flat_map(|node| node.join().unwrap()).collect()
    });
    applied.sort();
    let db = open(database.url(), 1);
    let all: Vec<String> =
        db.migration_state().unwrap().into_iter().map(|migration| migration.name).collect();
    assert_eq!(applied, all);
}

#[rstest]
fn a_migration_that_fails_changes_nothing_and_says_so(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let db = open(database.url(), 1);
    let mut conn = raw(on, database.url());
    // A foreign table already has a name that a migration needs.
    diesel::connection::SimpleConnection::batch_execute(&mut conn, "CREATE TABLE chats (id INTEGER)")
        .unwrap();
    let failed = db.migrate().unwrap_err();
    assert!(matches!(failed, MigrationError::Failed(_)), "{failed:?}");
    assert!(failed.to_string().contains("nothing was changed"), "{failed}");
    diesel::connection::SimpleConnection::batch_execute(&mut conn, "DROP TABLE chats").unwrap();
    assert_eq!(db.migrate().unwrap().len(), db.migration_state().unwrap().len());
}

#[rstest]
#[case("99.0.0", true)]
#[case("0.1.1", true)]
#[case(env!("CARGO_PKG_VERSION"), false)]
#[case("0.0.9", false)]
fn a_binary_that_is_too_old_for_the_database_is_refused(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[case] oldest: &str,
    #[case] refused: bool,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let db = open(database.url(), 1);
    db.migrate().unwrap();
    let mut conn = raw(on, database.url());
    let raise = format!("UPDATE compatibility SET oldest_binary = '{oldest}'");
    diesel::connection::SimpleConnection::batch_execute(&mut conn, &raise).unwrap();
    let before = schema(&mut conn);
    let outcomes = [db.migrate().map(|_| ()), db.migration_state().map(|_| ())];
    let down = if refused { db.migrate_down().map(|_| ()) } else { Ok(()) };
    for outcome in outcomes.into_iter().chain(refused.then_some(down)) {
        match outcome {
            Err(MigrationError::TooOld { needed, .. }) if refused => assert_eq!(needed, oldest),
            Ok(()) if !refused => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(schema(&mut conn), before);
}
