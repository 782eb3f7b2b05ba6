//! Works on the server's SQLite files themselves: fills them while the server is stopped, and reads
//! how far the index is behind.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate::domain::PlainToken;

use crate::Result;
use crate::sqlite::Database;

/// What a chat costs with the dummy responder.
const PRICE: i64 = 100;
/// The balance that each inserted user has at first.
const OPENING: i64 = 1_000_000_000;
/// Chats that are inserted in one transaction.
const PART: i64 = 100_000;

/// Inserts users with an auth token each, and then chats of random users with their charges, as the
/// server would have written them. Writes the auth tokens to a file. The users have no password.
pub fn fill(file: &str, users: usize, chats: i64, tokens: &str) -> Result<()> {
    let database = Database::open(Path::new(file))?;
    database.execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA temp_store = MEMORY")?;
    fs::write(tokens, insert_users(&database, users)?)?;
    insert_chats(&database, chats)?;
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
}

/// Returns the auth tokens of the users, one on each line.
fn insert_users(database: &Database, users: usize) -> Result<String> {
    let user = database.prepare(&format!(
        "INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)
         VALUES (?1, 'bench' || ?1, 'bench' || ?1, '!', {OPENING}, strftime('%Y-%m-%d %H:%M:%f000', 'now'))"
    ))?;
    let entry = database.prepare(&format!(
        "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, operation_id, created_at)
         VALUES (?1, {OPENING}, {OPENING}, 'opening', randomblob(16), strftime('%Y-%m-%d %H:%M:%f000', 'now'))"
    ))?;
    let auth_token = database.prepare(
        "INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
         VALUES (?1, ?2, ?3, strftime('%Y-%m-%d %H:%M:%f000', 'now'))",
    )?;
    let mut tokens = String::new();
    database.execute("BEGIN IMMEDIATE")?;
    for id in 1..=i64::try_from(users)? {
        let token = PlainToken::generate()?;
        user.bind_i64(1, id)?.run()?;
        entry.bind_i64(1, id)?.run()?;
        auth_token.bind_i64(1, id)?.bind_blob(2, token.digest().as_bytes())?;
        auth_token.bind_text(3, token.first_characters())?.run()?;
        tokens.push_str(token.expose());
        tokens.push('\n');
    }
    database.execute("COMMIT")?;
    Ok(tokens)
}

fn insert_chats(database: &Database, chats: i64) -> Result<()> {
    let first = number(database, "SELECT coalesce(max(id), 0) FROM chats")?;
    let mut done = first;
    while done < first + chats {
        let until = (first + chats).min(done + PART);
        database.execute(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at, endpoint)
             WITH RECURSIVE n (id) AS (SELECT {done} + 1 UNION ALL SELECT id + 1 FROM n WHERE id < {until}),
                 known (least, count) AS (SELECT min(id), count(*) FROM users)
             SELECT n.id, least + abs(random() % count), 'Message number 00000', 'Response to Message number 00000',
                 'dummy', 'complete', {PRICE}, 'live', strftime('%Y-%m-%d %H:%M:%f000', 'now'),
                 strftime('%Y-%m-%d %H:%M:%f000', 'now'), 'chat'
             FROM n, known;
             INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
             SELECT user_id, -{PRICE}, tokens - {PRICE} * row_number() OVER (PARTITION BY user_id ORDER BY chats.id),
                 'charge', chats.id,
                 CAST(unhex(printf('%012x', 1700000000000 + chats.id / 8)) || randomblob(10) AS BLOB), created_at
             FROM chats JOIN users ON users.id = user_id WHERE chats.id > {done} ORDER BY chats.id;
             UPDATE users SET tokens = tokens - spent.amount
             FROM (SELECT user_id, sum(charge) AS amount FROM chats WHERE id > {done} GROUP BY user_id) AS spent
             WHERE users.id = spent.user_id;
             COMMIT;"
        ))?;
        done = until;
    }
    Ok(())
}

/// Prints how many rows the index is behind, and how old the oldest of them is.
pub fn lag(file: &str) -> Result<()> {
    let database = Database::open(Path::new(file))?;
    let path = Path::new(file);
    let mut index = PathBuf::from(path);
    index.set_file_name(format!("{}-index.db", path.file_stem().unwrap_or_default().display()));
    database.execute(&format!("ATTACH '{}' AS idx", index.display()))?;
    let (mut behind, mut oldest) = (0, 0);
    for (mark, table) in [
        ("chats", "chats"),
        ("chat_keys", "chats"),
        ("ledger_entries", "ledger_entries"),
        ("entry_keys", "ledger_entries"),
    ] {
        let position =
            number(&database, &format!("SELECT position FROM idx.follower_marks WHERE name = '{mark}'"))?;
        behind =
            behind.max(number(&database, &format!("SELECT count(*) FROM {table} WHERE id > {position}"))?);
        oldest = oldest.max(number(
            &database,
            &format!(
                "SELECT coalesce((SELECT CAST(1000 * 86400 * (julianday('now') - julianday(created_at)) AS INTEGER)
                 FROM {table} WHERE id > {position} ORDER BY id LIMIT 1), 0)"
            ),
        )?);
    }
    println!("index_rows_behind {behind} rows");
    println!("index_lag {:.3} s", oldest as f64 / 1000.0);
    Ok(())
}

fn number(database: &Database, sql: &str) -> Result<i64> {
    let statement = database.prepare(sql)?;
    let row = statement.row()?;
    Ok(row.i64(0))
}
