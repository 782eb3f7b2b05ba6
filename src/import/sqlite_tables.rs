//! Describes the tables of an SQLite database.

use std::collections::HashMap;

use super::table::{Column, Table};

/// Returns the tables and views, in the order of their names.
pub(super) fn sqlite_tables(conn: &rusqlite::Connection) -> rusqlite::Result<Vec<Table>> {
    let text = "SELECT name FROM sqlite_master
                WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name";
    let mut statement = conn.prepare(text)?;
    let names: Vec<String> = statement.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.into_iter().map(|name| Ok(Table { columns: columns(conn, &name)?, name })).collect()
}

fn columns(conn: &rusqlite::Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let references = references(conn, table)?;
    let mut statement = conn.prepare("SELECT name, type, pk FROM pragma_table_info(?)")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows: Vec<(String, String, i64)> = statement.query_map([table], read)?.collect::<Result<_, _>>()?;
    let keys = rows.iter().filter(|(_, _, key)| *key > 0).count();
    let column = |(name, sql_type, key): (String, String, i64)| Column {
        refers_to: references.get(&name).cloned(),
        is_key: keys == 1 && key > 0,
        name,
        sql_type,
    };
    Ok(rows.into_iter().map(column).collect())
}

/// Returns the table that each column refers to.
fn references(conn: &rusqlite::Connection, table: &str) -> rusqlite::Result<HashMap<String, String>> {
    let mut statement = conn.prepare("SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?)")?;
    statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
