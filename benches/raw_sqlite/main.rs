//! The baseline of chats on SQLite: the four statements of a chat, prepared once, without ORM and
//! HTTP, on the product's own schema. This is what the disk and SQLite allow. The server is
//! compared with it.
//!
//! `raw_sqlite [SECONDS] [DIRECTORY]`, run in the repository's root, prints `name value unit`
//! lines.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a measurement that cannot continue panics"
)]

#[allow(dead_code)] // benches/panel uses the rest
mod sqlite;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlite::{Database, Statement};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USERS: i64 = 1000;
const PRICE: i64 = 100;
const OPENING: i64 = 1_000_000_000_000;
const WARM_UP: Duration = Duration::from_secs(1);

/// Only what durability and integrity need. Page size, cache and checkpoints are SQLite's defaults.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                       PRAGMA recursive_triggers = ON;";
/// What the server's writer also sets. The third figure shows how much of its speed that explains.
const WRITER_PRAGMAS: &str = "PRAGMA cache_size = -8000; PRAGMA wal_autocheckpoint = 4000;";

fn main() -> Result<()> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let seconds: u64 = arguments.first().map_or(Ok(10), |text| text.parse())?;
    let directory = PathBuf::from(arguments.get(1).map_or("target/bench-data", String::as_str));
    fs::create_dir_all(&directory)?;
    for (name, batch, pragmas) in [
        ("raw_sqlite_commit_each", 1, ""),
        ("raw_sqlite_batches_of_64", 64, ""),
        ("raw_sqlite_batches_of_64_writer_settings", 64, WRITER_PRAGMAS),
    ] {
        let rate = measure(&directory, batch, pragmas, Duration::from_secs(seconds))?;
        println!("{name} {rate:.0} chats/s");
    }
    Ok(())
}

/// Returns chats/s. Each measurement starts with an empty database, so that earlier rows cost
/// nothing.
fn measure(directory: &Path, batch: u32, pragmas: &str, length: Duration) -> Result<f64> {
    let file = directory.join("raw.db");
    remove(&file)?;
    let rate = {
        let database = Database::open(&file)?;
        database.execute(PRAGMAS)?;
        database.execute(pragmas)?;
        database.migrate()?;
        let digests = insert_users(&database)?;
        let mut chats = Chats::prepare(&database, digests)?;
        chats.run(batch, WARM_UP)?;
        let rate = chats.run(batch, length)?;
        chats.check()?;
        rate
    };
    remove(&file)?;
    Ok(rate)
}

fn remove(file: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{suffix}", file.display()));
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Inserts users 1 to 1,000, each with an auth token. Returns the digests of the tokens, which are
/// as random as SHA-256's.
fn insert_users(database: &Database) -> Result<Vec<[u8; 32]>> {
    let user = database.prepare(
        "INSERT INTO users (id, username, username_canonical, password, tokens, date_joined) \
         VALUES (?1, 'bench' || ?1, 'bench' || ?1, '!', ?2, ?3)",
    )?;
    let token = database.prepare(
        "INSERT INTO auth_tokens (user_id, digest, first_characters, created_at) VALUES (?1, ?2, 'bench', ?3)",
    )?;
    let now = timestamp();
    let mut digests = Vec::new();
    database.execute("BEGIN")?;
    for id in 1..=USERS {
        let digest: [u8; 32] = rand::random();
        user.bind_i64(1, id)?.bind_i64(2, OPENING)?.bind_text(3, &now)?.run()?;
        token.bind_i64(1, id)?.bind_blob(2, &digest)?.bind_text(3, &now)?.run()?;
        digests.push(digest);
    }
    database.execute("COMMIT")?;
    Ok(digests)
}

/// The prepared statements, and the number of chats made with them.
struct Chats<'a> {
    database: &'a Database,
    token_lookup: Statement<'a>,
    debit: Statement<'a>,
    chat: Statement<'a>,
    ledger: Statement<'a>,
    digests: Vec<[u8; 32]>,
    made: u64,
}

impl<'a> Chats<'a> {
    fn prepare(database: &'a Database, digests: Vec<[u8; 32]>) -> Result<Chats<'a>> {
        Ok(Chats {
            database,
            token_lookup: database.prepare(include_str!("../sql/sqlite/token_lookup.sql"))?,
            debit: database.prepare(include_str!("../sql/sqlite/debit.sql"))?,
            chat: database.prepare(include_str!("../sql/sqlite/chat.sql"))?,
            ledger: database.prepare(include_str!("../sql/sqlite/ledger.sql"))?,
            digests,
            made: 0,
        })
    }

    /// Runs whole batches until `length` has passed. Returns chats/s.
    fn run(&mut self, batch: u32, length: Duration) -> Result<f64> {
        let (begin, commit) = (self.database.prepare("BEGIN IMMEDIATE")?, self.database.prepare("COMMIT")?);
        let before = self.made;
        let start = Instant::now();
        while start.elapsed() < length {
            begin.run()?;
            for _ in 0..batch {
                self.one()?;
            }
            commit.run()?;
        }
        Ok((self.made - before) as f64 / start.elapsed().as_secs_f64())
    }

    fn one(&mut self) -> Result<()> {
        let digest = &self.digests[rand::random_range(0..self.digests.len())];
        let now = timestamp();
        let message = format!("Message number {:05}", self.made % 100_000);
        let response = format!("Response to {message}");

        let row = self.token_lookup.bind_blob(1, digest)?.bind_text(2, &now)?.row()?;
        let user = row.i64(2);
        drop(row);
        let row = self.debit.bind_i64(1, PRICE)?.bind_i64(2, user)?.row()?;
        let balance = row.i64(0);
        drop(row);
        let chat = self.chat.bind_i64(1, user)?.bind_text(2, &message)?.bind_text(3, &response)?;
        let row = chat.bind_i64(4, PRICE)?.bind_text(5, &now)?.row()?;
        let chat_id = row.i64(0);
        drop(row);
        let ledger =
            self.ledger.bind_i64(1, user)?.bind_i64(2, -PRICE)?.bind_i64(3, balance)?.bind_i64(4, chat_id)?;
        ledger.bind_blob(5, &operation_id())?.bind_text(6, &now)?.run()?;
        self.made += 1;
        Ok(())
    }

    /// Checks that no row was lost.
    fn check(&self) -> Result<()> {
        let count = self.database.prepare(
            "SELECT count(*), (SELECT count(*) FROM chats), \
             (SELECT sum(?1 - tokens) / ?2 FROM users) FROM ledger_entries WHERE kind = 'charge'",
        )?;
        let row = count.bind_i64(1, OPENING)?.bind_i64(2, PRICE)?.row()?;
        for column in 0..3 {
            if row.i64(column) != i64::try_from(self.made)? {
                return Err(
                    format!("{} chats were made, the database has {}", self.made, row.i64(column)).into()
                );
            }
        }
        Ok(())
    }
}

/// Returns the current time in the format in which Diesel stores it in SQLite.
fn timestamp() -> String {
    chrono::Utc::now().naive_utc().format("%F %T%.6f").to_string()
}

/// Returns an operation id like the server's: 48 bits of time in milliseconds, then 80 random bits.
fn operation_id() -> [u8; 16] {
    let mut id: [u8; 16] = rand::random();
    let milliseconds = chrono::Utc::now().timestamp_millis().to_be_bytes();
    id[..6].copy_from_slice(&milliseconds[2..]);
    id
}
