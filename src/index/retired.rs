//! Removes the tables that moved to the index's own file, on SQLite. They may be large, and
//! dropping a table overwrites all of it in one transaction. So they are emptied in parts first.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::{Bind, Db, DbConnection, DynamicStatement, Scope};
use crate::error::Result;

/// The most rows that one job deletes. Some rows are as large as a page.
const PART: i64 = 50;

/// The tables, and the key of each.
const RETIRED: [(&str, &str); 7] = [
    ("retired_user_balances", "rowid"),
    ("retired_chat_search_data", "id"),
    ("retired_chat_search_idx", "(segid, term)"),
    ("retired_chat_search_docsize", "id"),
    ("retired_user_search_data", "id"),
    ("retired_user_search_idx", "(segid, term)"),
    ("retired_user_search_docsize", "id"),
];

/// Empties and drops the tables that moved, if they are still there. It may be stopped at any time,
/// may run twice at once, and continues at the next call.
pub async fn drop_retired(db: &Db) -> Result<()> {
    if db.url().is_postgres() {
        return Ok(());
    }
    for (table, key) in RETIRED {
        if !db.read(move |conn| Ok(exists(conn, table)?)).await? {
            continue;
        }
        let mut parts = 0;
        while db.write_bulk(Scope::none(), move |conn| Ok(empty_or_drop(conn, table, key)?)).await? {
            parts += 1;
        }
        // A new database also has these tables for a moment, with a few rows of SQLite's own.
        let level = if parts > 1 { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "removed the table {table}, which moved to the index");
    }
    Ok(())
}

/// Deletes some rows of the table, or drops it if it has none. Returns whether it is still there.
fn empty_or_drop(conn: &mut DbConnection, table: &str, key: &str) -> QueryResult<bool> {
    if !exists(conn, table)? {
        return Ok(false);
    }
    if empty_some(conn, table, key)? > 0 {
        return Ok(true);
    }
    DynamicStatement::<()>::new(format!("DROP TABLE {table}"), Vec::new()).execute(conn)?;
    Ok(false)
}

fn exists(conn: &mut DbConnection, table: &str) -> QueryResult<bool> {
    let text = "SELECT name FROM sqlite_master WHERE name = ?".to_owned();
    let found: Option<String> =
        DynamicStatement::<Text>::new(text, vec![Bind::Text(table)]).get_result(conn).optional()?;
    Ok(found.is_some())
}

fn empty_some(conn: &mut DbConnection, table: &str, key: &str) -> QueryResult<usize> {
    let columns = key.trim_matches(['(', ')']);
    let text = format!("DELETE FROM {table} WHERE {key} IN (SELECT {columns} FROM {table} LIMIT {PART})");
    DynamicStatement::<BigInt>::new(text, Vec::new()).execute(conn)
}
