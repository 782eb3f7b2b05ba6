//! A run that is killed at any moment, and run again.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use rstest::rstest;

use super::source::{HASH, OldService};
use super::{imported, number, rows};
use crate::support::server::assert_verified;
use crate::support::{On, TestDatabase, wait};

const USERS: i64 = 3_000;
const CHATS: i64 = 30_000;

/// Makes a service whose ids are not in the order of the times.
fn service(on: On) -> Option<OldService> {
    let time = |seconds: &str| match on {
        On::Sqlite => format!("datetime(1500000000 + {seconds}, 'unixepoch')"),
        On::Postgres => format!("to_timestamp(1500000000 + {seconds})"),
    };
    let numbers = |most: i64| {
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})")
    };
    let statements = format!(
        "{} INSERT INTO chat_user (id, username, password, tokens, auth_token, date_joined)
            SELECT i, 'user' || i, '{HASH}', i, 'token-of-user-number-' || i, {} FROM n;
         {} INSERT INTO chat_chat (id, user_id, message, response, timestamp)
            SELECT i, 1 + i % {USERS}, 'message ' || i, 'response ' || i, {} FROM n;",
        numbers(USERS),
        time("(i * 7919) % 100000"),
        numbers(CHATS),
        time("100000 + (i * 7919) % 1000003"),
    );
    OldService::create(on, &statements)
}

/// Returns the number of rows of a table, or 0 if it cannot be read yet.
fn progress(target: &TestDatabase, table: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    let query = diesel::sql_query(format!("SELECT count(*) AS n FROM {table}"));
    let found: QueryResult<Count> = match target.on() {
        On::Sqlite if !std::path::Path::new(target.url()).exists() => return 0,
        On::Sqlite => query.get_result(&mut SqliteConnection::establish(target.url()).unwrap()),
        On::Postgres => query.get_result(&mut PgConnection::establish(target.url()).unwrap()),
    };
    found.map_or(0, |count| count.n)
}

fn start(target: &TestDatabase, from: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["--database-url", target.url(), "import-django", "--from", from])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Everything that an import writes, in the order of the ids.
fn contents(target: &TestDatabase) -> Vec<String> {
    let queries = [
        "SELECT username || ' ' || tokens || ' ' || CAST(date_joined AS TEXT) AS line FROM users ORDER BY id",
        "SELECT username || ' ' || first_characters AS line FROM auth_tokens JOIN users ON users.id = user_id
         ORDER BY auth_tokens.id",
        "SELECT username || ' ' || message || ' ' || response || ' ' || CAST(created_at AS TEXT) AS line
         FROM chats JOIN users ON users.id = user_id ORDER BY chats.id",
        "SELECT kind || ' ' || source_id AS line FROM import_map ORDER BY 1",
    ];
    queries.iter().flat_map(|query| rows(target, query)).collect()
}

#[rstest]
fn a_killed_run_is_clean_and_the_next_one_goes_on(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (Some(old), Some(whole)) = (service(on), TestDatabase::create(on)) else { return };
    imported(&whole, old.url(), &[]);
    let expected = contents(&whole);
    assert_eq!(expected.len() as i64, 2 * (USERS * 2 + CHATS));
    let sorted = "SELECT CAST(count(*) AS TEXT) AS line FROM (
                      SELECT created_at, lag(created_at) OVER (ORDER BY id) AS before FROM chats) AS c
                  WHERE created_at < before";
    assert_eq!(rows(&whole, sorted), ["0"], "ids ascend with the times");

    let Some(target) = TestDatabase::create(on) else { return };
    for table in ["users", "auth_tokens", "chats"] {
        let before = progress(&target, table);
        // A fast run may have gone further before it was killed the last time.
        if before == USERS && table != "chats" {
            continue;
        }
        let mut run = start(&target, old.url());
        let end = wait::until("the import's progress", Duration::from_secs(60), || {
            let ended = run.try_wait().unwrap();
            (ended.is_some() || progress(&target, table) > before).then_some(ended)
        });
        assert!(end.is_none(), "the import ended before it was killed in {table}: {end:?}");
        run.kill().unwrap();
        run.wait().unwrap();
        assert!(number(&target, table) > before, "{table}");
        assert_verified(&target);
    }
    let report = imported(&target, old.url(), &[]);
    assert_eq!(report["users"]["imported_before"], USERS);
    for count in ["imported_before", "new"] {
        assert!(report["chats"][count].as_i64().unwrap() > 0, "{report:#}");
    }
    assert_eq!(contents(&target), expected);
    assert_verified(&target);
    let again = imported(&target, old.url(), &[]);
    assert_eq!(
        (&again["users"]["new"], &again["chats"]["new"], &again["auth_tokens"]["new"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_eq!(contents(&target), expected);
}
