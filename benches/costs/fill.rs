//! Fills a database with users and chats.

use std::path::Path;

use crate::Result;
use crate::sqlite::Database;

/// What durability and integrity need.
pub const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                           PRAGMA recursive_triggers = ON;";
/// What nobody ever spends.
pub const OPENING: i64 = 1_000_000_000_000;
pub const PRICE: i64 = 100;

/// Creates a database with `users` users, each with an auth token, and `chats` chats of random
/// users, each with its charge. The rows are inserted in the order of their ids, as the server
/// does, so that the pages of the indexes are as full as in use.
pub fn fill(file: &Path, users: i64, chats: i64) -> Result<()> {
    let database = Database::open(file)?;
    database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000")?;
    database.migrate()?;
    database.execute(&format!(
        "BEGIN;
         INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)
         WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {users})
         SELECT id, 'bench' || id, 'bench' || id, '!', {OPENING}, '2026-11-30 12:00:00.000000' FROM n;
         INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
         SELECT id, randomblob(32), 'bench', date_joined FROM users;
         COMMIT;"
    ))?;
    let mut done = 0;
    while done < chats {
        let until = chats.min(done + 100_000);
        database.execute(&format!(
            "BEGIN;
             INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at, endpoint)
             WITH RECURSIVE n (id) AS (SELECT {done} + 1 UNION ALL SELECT id + 1 FROM n WHERE id < {until})
             SELECT id, abs(random() % {users}) + 1, 'Message number 00000', 'Response to Message number 00000', 'dummy',
                 'complete', {PRICE}, 'live', '2026-11-30 12:00:00.000000', '2026-11-30 12:00:00.000000', 'chat' FROM n;
             INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
             SELECT user_id, -charge, {OPENING}, 'charge', id,
                 CAST(unhex(printf('%012x', 1700000000000 + id / 8)) || randomblob(10) AS BLOB), created_at
             FROM chats WHERE id > {done} ORDER BY id;
             COMMIT;"
        ))?;
        done = until;
    }
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
