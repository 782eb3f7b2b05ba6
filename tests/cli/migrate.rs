//! `tollgate migrate`, and databases that this binary must leave alone.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use rstest::rstest;

use super::reindex::await_blocked;
use super::run;
use super::sql::execute;
use crate::support::ledger::raw;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase};

/// Returns the names of the migrations, and whether each is applied.
fn status(database: &TestDatabase) -> Vec<(String, bool)> {
    let said = run(database, &["migrate", "--status"]);
    said.assert_good();
    let line = |line: &str| (line[4..].to_owned(), line.starts_with("[x] "));
    said.out.lines().map(line).collect()
}

#[rstest]
fn migrations_go_up_and_down_and_up_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let applied = run(&database, &["migrate"]);
    applied.assert_good();
    let all = status(&database);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.len() >= 3 && names.is_sorted(), "{names:?}");
    assert!(all.iter().all(|(_, applied)| *applied), "{all:?}");
    let expected: Vec<String> = names.iter().map(|name| format!("applied {name}\n")).collect();
    assert_eq!(applied.out, expected.concat());
    assert_eq!(run(&database, &["migrate"]).out, "the database is up to date\n");

    for (left, name) in names.iter().enumerate().rev() {
        assert_eq!(run(&database, &["migrate", "--down"]).out, format!("reverted {name}\n"));
        let applied = status(&database).into_iter().filter(|(_, applied)| *applied).count();
        assert_eq!(applied, left);
    }
    assert_eq!(run(&database, &["migrate", "--down"]).out, "there is nothing to revert\n");
    run(&database, &["migrate"]).assert_good();
    assert_eq!(status(&database), all);
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "Hello").status, 201);
    drop(server);
    assert_verified(&database);
}

/// Everybody who wants a table waits behind a migration that waits for it.
#[test]
fn a_migration_gives_way_while_a_dump_reads_all_tables() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    run(&database, &["migrate"]).assert_good();
    for _ in 0..3 {
        run(&database, &["migrate", "--down"]).assert_good();
    }
    let mut dump = raw(On::Postgres, database.url());
    let lock = "BEGIN; DO $$ DECLARE name TEXT; BEGIN
                    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
                        EXECUTE format('LOCK TABLE %I IN ACCESS SHARE MODE', name);
                    END LOOP;
                END $$";
    dump.batch_execute(lock).unwrap();
    let migrated = std::thread::scope(|scope| {
        let migrate = scope.spawn(|| run(&database, &["migrate"]));
        let first = await_blocked(&database, "");
        await_blocked(&database, &first);
        dump.batch_execute("COMMIT").unwrap();
        migrate.join().unwrap()
    });
    migrated.assert_good();
    assert!(status(&database).iter().all(|(_, applied)| *applied));
}

#[rstest]
fn the_status_of_an_empty_database_changes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    if on == On::Sqlite {
        std::fs::File::create(database.url()).unwrap();
    }
    for _ in 0..2 {
        assert!(status(&database).iter().all(|(_, applied)| !applied));
    }
    run(&database, &["migrate", "--status", "--down"]).assert_refused(2, "--down");
}

#[test]
fn no_migration_is_reverted_under_a_running_server() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    run(&database, &["migrate", "--down"]).assert_refused(1, "already serves");
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "Hello").status, 201);
}

#[rstest]
fn a_database_that_needs_a_newer_binary_is_left_alone(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    run(&database, &["migrate"]).assert_good();
    execute(&database, on, "UPDATE compatibility SET oldest_binary = '99.0.0'");
    let why =
        format!("this database needs tollgate 99.0.0 or newer, and this is {}", env!("CARGO_PKG_VERSION"));
    let mut server = Launch::on(&database).spawn();
    assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(1));
    assert!(server.log().contains(&why), "{}", server.log());
    for words in [
        ["migrate"].as_slice(),
        &["migrate", "--down"],
        &["migrate", "--status"],
        &["verify"],
        &["adjust", "ada", "1", "--note", "a reason"],
    ] {
        run(&database, words).assert_refused(1, &why);
    }
    execute(&database, on, "UPDATE compatibility SET oldest_binary = '0.1.0'");
    run(&database, &["verify"]).assert_good();
}
