//! A database in the state of a released version.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use diesel::connection::SimpleConnection;
use flate2::read::GzDecoder;
use serde_json::Value;
use tollgate::db::DbConnection;

use crate::support::ledger::{lines, raw};
use crate::support::{On, TestDatabase};

const SQLITE: &[u8] = include_bytes!("sqlite-e6659d3.db.gz");
const POSTGRES: &str = include_str!("postgres-e6659d3.sql");
/// The dumps' expected contents: see `make_dumps.py`.
const SQLITE_EXPECTED: &str = include_str!("sqlite-e6659d3.json");
const POSTGRES_EXPECTED: &str = include_str!("postgres-e6659d3.json");

pub struct Dump {
    pub on: On,
    pub database: TestDatabase,
    pub expected: Value,
}

impl Dump {
    /// Restores the dump. Returns `None` if this machine does not have the database.
    pub fn restore(on: On) -> Option<Dump> {
        let database = TestDatabase::create(on)?;
        let expected = match on {
            On::Sqlite => {
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o600).open(database.url()).unwrap();
                std::io::copy(&mut GzDecoder::new(SQLITE).by_ref(), &mut file).unwrap();
                SQLITE_EXPECTED
            }
            On::Postgres => {
                raw(on, database.url()).batch_execute(POSTGRES).unwrap();
                POSTGRES_EXPECTED
            }
        };
        Some(Dump { on, database, expected: serde_json::from_str(expected).unwrap() })
    }

    pub fn conn(&self) -> DbConnection {
        raw(self.on, self.database.url())
    }

    pub fn lines(&self, query: &str) -> Vec<String> {
        lines(&mut self.conn(), query)
    }

    /// Returns the one number that a query finds.
    pub fn number(&self, query: &str) -> i64 {
        self.lines(&format!("SELECT CAST(({query}) AS TEXT) AS line"))[0].parse().unwrap()
    }

    /// Returns the names of the tables whose rows must stay.
    pub fn tables(&self) -> Vec<String> {
        self.expected["rows"].as_object().unwrap().keys().cloned().collect()
    }

    pub fn columns(&self, table: &str) -> Vec<String> {
        self.lines(&match self.on {
            On::Sqlite => format!("SELECT name AS line FROM pragma_table_info('{table}') ORDER BY cid"),
            On::Postgres => format!(
                "SELECT column_name::text AS line FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
            ),
        })
    }

    /// Returns all rows of these columns, as text, in a fixed order.
    pub fn rows(&self, table: &str, columns: &[String]) -> Vec<String> {
        let value = |column: &String| match self.on {
            On::Sqlite => format!("quote({column})"),
            On::Postgres => format!("coalesce(quote_literal({column}::text), 'NULL')"),
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        self.lines(&format!("SELECT {} AS line FROM {table} ORDER BY 1", values.join(" || ' ' || ")))
    }

    /// Returns everything that must stay, by the current columns.
    pub fn everything(&self) -> Content {
        // A reverted migration has dropped its tables.
        let tables = self.tables().into_iter().map(|table| (self.columns(&table), table));
        let parts = tables.filter(|(columns, _)| !columns.is_empty()).flat_map(|(columns, table)| {
            let is_text = |column: &String| TEXTS.contains(&(table.as_str(), column.as_str()));
            let (texts, kept): (Vec<_>, Vec<_>) = columns.into_iter().partition(is_text);
            [(kept, true), (texts, false)].map(|(columns, is_kept)| (table.clone(), columns, is_kept))
        });
        let parts = parts.filter(|(_, columns, _)| !columns.is_empty()).map(|(table, columns, is_kept)| {
            Part { rows: self.rows(&table, &columns), table, columns, is_kept }
        });
        Content(parts.collect())
    }

    /// Returns the migrations that the database has.
    pub fn migrations(&self) -> Vec<String> {
        self.lines("SELECT version AS line FROM __diesel_schema_migrations ORDER BY 1")
    }

    /// Reverts the last migration if all are applied, so that an upgrade has something to do.
    pub fn with_something_to_do(self) -> Dump {
        let db = crate::support::ledger::open(self.database.url(), 1);
        if db.migration_state().unwrap().iter().all(|migration| migration.applied) {
            db.migrate_down().unwrap();
        }
        self
    }
}

/// The columns whose texts become codes in an upgrade from 0.1.0.
pub const TEXTS: [(&str, &str); 6] = [
    ("chats", "failure"),
    ("audit_log", "action"),
    ("audit_log", "object_kind"),
    ("audit_log", "changes"),
    ("bulk_operations", "kind"),
    ("bulk_failures", "reason"),
];

/// Tables with their columns and rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Content(Vec<Part>);

/// Some columns of a table.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    table: String,
    columns: Vec<String>,
    rows: Vec<String>,
    /// Whether an upgrade leaves the values as they are.
    is_kept: bool,
}

impl Content {
    /// Checks that the same columns have the same contents in the same rows. Columns may have been
    /// added.
    #[track_caller]
    pub fn assert_kept(&self, dump: &Dump) {
        for part in self.0.iter().filter(|part| part.is_kept) {
            assert_eq!(dump.rows(&part.table, &part.columns), part.rows, "{} has changed", part.table);
        }
    }
}
