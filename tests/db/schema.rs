//! `src/schema.rs` is what the migrations make, on both databases.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use tollgate::db::DbConnection;

use crate::support::On;
use crate::support::ledger::{Ledger, lines};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the tables of `src/schema.rs`, with a line for each primary key and each column.
fn written() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/schema.rs")).unwrap();
    let mut lines = Vec::new();
    for block in text.split("diesel::table! {").skip(1) {
        let block = &block[..block.find("\n}").expect("the end of a table")];
        let mut table = "";
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "}") {
            match line.split_once(" -> ") {
                Some((column, kind)) => {
                    lines.push(format!("{table}.{column} {}", kind.trim_end_matches(',')))
                }
                None => {
                    let (name, key) =
                        line.trim_end_matches(" {").split_once(' ').expect("a table with its key");
                    table = name;
                    lines.push(format!("{table} {key}"));
                }
            }
        }
    }
    lines
}

/// Returns a database's tables, like `written`, with those of the index, and without that of the
/// identity and those that only SQLite has. The query gives each column's table, name, type,
/// whether it is nullable, and its place in the key.
fn made(conn: &mut DbConnection) -> Vec<String> {
    let query = match conn {
        DbConnection::Sqlite(_) => {
            "SELECT m.name || '|' || c.name || '|' || c.type || '|' || CASE WHEN c.\"notnull\" THEN '' ELSE 'null' END
                    || '|' || c.pk AS line
             FROM (SELECT name, 'main' AS schema FROM main.sqlite_master WHERE type = 'table'
                   UNION ALL SELECT name, 'idx' FROM idx.sqlite_master WHERE type = 'table') m
             JOIN pragma_table_info(m.name, m.schema) c
             WHERE m.name NOT LIKE '%!_search%' ESCAPE '!' AND m.name NOT LIKE 'retired!_%' ESCAPE '!'
                 AND m.name NOT IN ('__diesel_schema_migrations', 'sqlite_sequence', 'database_identity',
                                    'index_changes', 'index_owner', 'chat_keys', 'entry_keys')
                 AND NOT (m.name = 'follower_marks' AND c.name = 'anchor')
             ORDER BY m.name, c.cid"
        }
        DbConnection::Postgres(_) => {
            "SELECT concat_ws('|', c.table_name, c.column_name, c.data_type,
                              CASE c.is_nullable WHEN 'NO' THEN '' ELSE 'null' END, coalesce(k.ordinal_position, 0))
                    AS line
             FROM information_schema.columns c
             LEFT JOIN information_schema.key_column_usage k
                 ON (k.table_schema, k.table_name, k.column_name) = (c.table_schema, c.table_name, c.column_name)
                 AND k.constraint_name = c.table_name || '_pkey'
             WHERE c.table_schema = 'public'
                 AND c.table_name NOT IN ('__diesel_schema_migrations', 'database_identity')
                 AND c.table_name NOT LIKE '%!_search' ESCAPE '!'
             ORDER BY c.table_name, c.ordinal_position"
        }
    };
    let rows = lines(conn, query);
    let columns: Vec<Vec<&str>> = rows.iter().map(|row| row.split('|').collect()).collect();
    let mut made = Vec::new();
    for of_table in columns.chunk_by(|a, b| a[0] == b[0]) {
        let mut key: Vec<_> = of_table.iter().filter(|column| column[4] != "0").collect();
        key.sort_by_key(|column| column[4]);
        let key: Vec<&str> = key.iter().map(|column| column[1]).collect();
        made.push(format!("{} ({})", of_table[0][0], key.join(", ")));
        for column in of_table {
            let kind = diesel_type(column[2]);
            let kind = if column[3] == "null" { format!("Nullable<{kind}>") } else { kind.to_owned() };
            made.push(format!("{}.{} {kind}", column[0], column[1]));
        }
    }
    made
}

fn diesel_type(declared: &str) -> &str {
    match declared.to_ascii_lowercase().as_str() {
        // The row id of SQLite has 64 bits, whatever it is declared as.
        "integer" | "bigint" => "BigInt",
        "text" => "Text",
        "binary" | "bytea" => "Binary",
        "boolean" => "Bool",
        "timestamp" | "timestamp without time zone" => "Timestamp",
        other => panic!("{other} is a type that the other database does not have"),
    }
}

#[rstest]
fn schema_rs_is_what_the_migrations_make(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    assert_eq!(made(&mut ledger.raw()), written());
}

/// `diesel print-schema` maps INTEGER to 64 bits only for a primary key: see `diesel.toml`.
#[test]
fn on_sqlite_only_primary_keys_are_declared_as_integer() {
    let Some(ledger) = Ledger::create(On::Sqlite) else { return };
    let query = "SELECT m.name || '.' || c.name AS line FROM sqlite_master m JOIN pragma_table_info(m.name) c
                 WHERE m.type = 'table' AND c.type = 'INTEGER' AND c.pk = 0 AND m.name NOT LIKE 'sqlite_%'
                     AND m.name NOT LIKE '%!_search%' ESCAPE '!'";
    assert_eq!(lines(&mut ledger.raw(), query), Vec::<String>::new());
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn both_databases_have_migrations_of_the_same_names_and_each_can_be_reverted() {
    let folders = ["sqlite", "postgres"].map(|name| root().join("migrations").join(name));
    let [sqlite, postgres] = folders.each_ref().map(|folder| names(folder));
    assert_eq!(sqlite, postgres);
    let both_ways = BTreeSet::from(["down.sql".to_owned(), "up.sql".to_owned()]);
    for (folder, name) in folders.iter().flat_map(|folder| sqlite.iter().map(move |name| (folder, name))) {
        assert_eq!(names(&folder.join(name)), both_ways, "{name}");
    }
}
