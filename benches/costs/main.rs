//! What each index, trigger, foreign key and text timestamp costs a chat on SQLite: pages that a
//! commit writes, bytes, and CPU time. The tables are the product's own, each time without one part
//! of them.
//!
//! `costs [DIRECTORY] [USERS...]`, run in the repository's root, prints a table in Markdown.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a measurement that cannot continue panics"
)]

mod chats;
mod fill;
mod spent;
#[allow(dead_code)] // raw_sqlite and panel use the rest
#[path = "../raw_sqlite/sqlite.rs"]
mod sqlite;
mod variants;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use chats::Chats;
use spent::Spent;
use sqlite::Database;
use variants::{VARIANTS, Variant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The numbers of users, and how many chats each of them has on average.
const SIZES: [(i64, i64); 3] = [(1_000, 10), (100_000, 10), (1_000_000, 2)];
const BATCHES: [usize; 2] = [8, 64];
/// Chats of a run, after as many to warm up. A multiple of both batches.
const CHATS: usize = 32 * 1024;

fn main() -> Result<()> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let directory = PathBuf::from(arguments.first().map_or("target/bench-data", String::as_str));
    let only: Vec<i64> =
        arguments.iter().skip(1).map(|users| users.parse()).collect::<std::result::Result<_, _>>()?;
    fs::create_dir_all(&directory)?;
    for (users, chats_each) in SIZES {
        if !only.is_empty() && !only.contains(&users) {
            continue;
        }
        let full = directory.join(format!("costs-{users}.db"));
        remove(&full)?;
        fill::fill(&full, users, users * chats_each)?;
        println!("\n## {} users, {} chats\n", thousands(users), thousands(users * chats_each));
        print_head();
        for variant in VARIANTS {
            let costs = BATCHES.map(|batch| measure(&full, variant, batch));
            let [eight, sixty_four] = costs;
            println!("| {} | {} | {} |", variant.name, cells(&eight?), cells(&sixty_four?));
        }
        remove(&full)?;
    }
    Ok(())
}

/// Measures one variant on a copy of the filled database.
fn measure(full: &Path, variant: &Variant, batch: usize) -> Result<Spent> {
    let file = full.with_extension("copy.db");
    remove(&file)?;
    fs::copy(full, &file)?;
    let spent = {
        let database = Database::open(&file)?;
        database.execute(fill::PRAGMAS)?;
        database.execute(variant.change)?;
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
        database.execute("PRAGMA wal_autocheckpoint = 0")?;
        database.execute("PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY")?;
        database.execute(variant.settings)?;
        let mut chats = Chats::prepare(&database, batch, variant.form, variant.times)?;
        chats.run(CHATS)?;
        let spent = chats.run(CHATS)?;
        chats.check()?;
        spent
    };
    remove(&file)?;
    Ok(spent)
}

fn print_head() {
    let columns = BATCHES.map(|batch| {
        ["pages", "KB to the log", "KB in all", "µs of CPU"]
            .map(|what| format!("{what} ({batch})"))
            .join(" | ")
    });
    println!("| without | {} |", columns.join(" | "));
    println!("| --- {}|", "| ---: ".repeat(BATCHES.len() * 4));
}

fn cells(spent: &Spent) -> String {
    format!(
        "{:.2} | {:.1} | {:.1} | {:.1}",
        spent.pages_per_chat(),
        spent.log_kb_per_chat(),
        spent.kb_per_chat(),
        spent.cpu_per_chat()
    )
}

fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap()).collect();
    parts.join(",")
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
