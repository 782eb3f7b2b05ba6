//! Access to the database that bypasses Tollgate.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::support::{On, TestDatabase};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Runs statements as the owner of the database; on PostgreSQL as its superuser.
pub(super) fn execute(database: &TestDatabase, on: On, statements: &str) {
    let done = match on {
        On::Sqlite => SqliteConnection::establish(database.url()).unwrap().batch_execute(statements),
        On::Postgres => PgConnection::establish(database.url()).unwrap().batch_execute(statements),
    };
    done.unwrap_or_else(|error| panic!("{error} in {statements}"));
}

/// Runs statements without triggers, checks and references. Triggers and references are in force
/// again afterwards.
pub(super) fn execute_unguarded(database: &TestDatabase, on: On, statements: &str) {
    match on {
        On::Sqlite => {
            let mut conn = SqliteConnection::establish(database.url()).unwrap();
            let triggers = lines(&mut conn, "SELECT sql AS line FROM sqlite_master WHERE type = 'trigger'");
            let names = lines(&mut conn, "SELECT name AS line FROM sqlite_master WHERE type = 'trigger'");
            let drops: String = names.iter().map(|name| format!("DROP TRIGGER {name};")).collect();
            let all = format!(
                "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {drops} {statements}; {};",
                triggers.join(";")
            );
            conn.batch_execute(&all).unwrap_or_else(|error| panic!("{error} in {all}"));
        }
        On::Postgres => {
            let drop_checks = "DO $$ DECLARE c record; BEGIN
                FOR c IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint
                         WHERE contype = 'c' AND connamespace = 'public'::regnamespace
                LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.owner, c.conname); END LOOP; END $$;";
            let all = format!("{drop_checks} SET session_replication_role = replica; {statements}");
            execute(database, on, &all);
        }
    }
}

/// Returns the texts in the column `line`.
pub(super) fn lines(conn: &mut SqliteConnection, query: &str) -> Vec<String> {
    let lines: Vec<Line> = diesel::sql_query(query).load(conn).unwrap();
    lines.into_iter().map(|line| line.line).collect()
}

/// Inserts two users with a few chats, without any damage. `damage.rs` refers to these ids.
pub(super) fn fill(database: &TestDatabase, on: On) {
    let blob = |length: usize, number: u8| {
        let hex = format!("{number:02x}").repeat(length);
        match on {
            On::Sqlite => format!("X'{hex}'"),
            On::Postgres => format!("'\\x{hex}'::bytea"),
        }
    };
    let day = "'2026-01-02 03:04:05'";
    let entry = |id: u8, user: u8, amount: i32, after: i32, kind: &str, chat: &str| {
        format!("({id}, {user}, {amount}, {after}, '{kind}', {chat}, {}, {day})", blob(16, id))
    };
    let entries = [
        entry(1, 1, 4000, 4000, "opening", "NULL"),
        entry(2, 2, 4000, 4000, "opening", "NULL"),
        entry(3, 1, -100, 3900, "charge", "1"),
        entry(4, 1, -100, 3800, "charge", "2"),
        entry(5, 1, 100, 3900, "refund", "2"),
    ];
    let statements = format!(
        "INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)
            VALUES (1, 'ada', 'ada', '!', 3900, {day}), (2, 'bob', 'bob', '!', 4000, {day});
         INSERT INTO auth_tokens (id, user_id, digest, first_characters, created_at)
            VALUES (1, 1, {digest}, 'tg_0123456', {day});
         INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at)
            VALUES (1, 1, 'Hello', 'Hi', 'dummy', 'complete', 100, 'live', {day}, {day}),
                   (2, 1, 'Hello', NULL, 'dummy', 'failed', 100, 'live', {day}, {day}),
                   (3, 2, 'Hello', 'Hi', 'dummy', 'complete', 100, 'imported', {day}, {day});
         INSERT INTO ledger_entries (id, user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
            VALUES {entries};
         INSERT INTO idempotency_keys (user_id, key, fingerprint, chat_id, created_at)
            VALUES (1, 'key-1', {digest}, 1, {day});",
        digest = blob(32, 7),
        entries = entries.join(", "),
    );
    execute(database, on, &statements);
}
