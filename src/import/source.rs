//! Reads another database: its tables, and their rows as texts. It never writes there, and reads
//! one state of it.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Nullable, Text};
use rusqlite::OpenFlags;
use rusqlite::types::ValueRef;

use super::ImportError;
use super::sqlite_tables::sqlite_tables;
use super::table::{Column, Table};
use crate::db::{DatabaseUrl, connect_to_read};

/// How long to wait for a program that writes an SQLite source.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The database to import from.
pub(super) enum Source {
    Sqlite(rusqlite::Connection),
    Postgres(Box<PgConnection>),
}

/// What to read of a column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick<'a> {
    /// The value.
    Value(&'a str),
    /// The length of the value.
    Length(&'a str),
    /// Nothing: NULL.
    Nothing,
}

impl<'a> Pick<'a> {
    pub(super) fn maybe(column: Option<&'a str>) -> Pick<'a> {
        column.map_or(Pick::Nothing, Pick::Value)
    }
}

/// A query for rows of a table.
pub(super) struct Query<'a> {
    pub table: &'a Table,
    pub picks: Vec<Pick<'a>>,
    /// Only the rows with these keys, which are in this column.
    pub keys: Option<(&'a str, &'a [String])>,
}

/// The values of a row.
pub(super) type Cells = Vec<Option<String>>;

impl Source {
    /// Opens the database and begins to read its present state.
    pub(super) fn open(url: &DatabaseUrl) -> Result<Source, ImportError> {
        match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path),
            DatabaseUrl::Postgres(address) => {
                let mut conn = connect_to_read(address)
                    .map_err(|why| ImportError::Source(format!("cannot open --from {url}: {why}")))?;
                let begin = "SET DateStyle = 'ISO'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                conn.batch_execute(begin).map_err(unreadable)?;
                Ok(Source::Postgres(Box::new(conn)))
            }
        }
    }

    /// Returns the tables and views, in the order of their names.
    pub(super) fn tables(&mut self) -> Result<Vec<Table>, ImportError> {
        match self {
            Source::Sqlite(conn) => sqlite_tables(conn).map_err(unreadable),
            Source::Postgres(conn) => postgres_tables(conn).map_err(unreadable),
        }
    }

    /// Calls `each` with each row of the query's result.
    pub(super) fn read(
        &mut self,
        query: &Query<'_>,
        mut each: impl FnMut(Cells) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        match self {
            Source::Sqlite(conn) => read_sqlite(conn, query, &mut each),
            Source::Postgres(conn) => read_postgres(conn, query, &mut each),
        }
    }

    /// Returns all rows of the query's result.
    pub(super) fn rows(&mut self, query: &Query<'_>) -> Result<Vec<Cells>, ImportError> {
        let mut rows = Vec::new();
        self.read(query, |cells| {
            rows.push(cells);
            Ok(())
        })?;
        Ok(rows)
    }
}

fn unreadable(error: impl std::fmt::Display) -> ImportError {
    ImportError::Source(format!("cannot read --from: {error}"))
}

/// Quotes a name for SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn open_sqlite(path: &Path) -> Result<Source, ImportError> {
    let failed = |why: String| ImportError::Source(format!("cannot open --from {}: {why}", path.display()));
    if !path.is_file() {
        return Err(failed("there is no such file".to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn =
        rusqlite::Connection::open_with_flags(path, flags).map_err(|error| failed(error.to_string()))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(|error| failed(error.to_string()))?;
    conn.execute_batch("BEGIN; SELECT count(*) FROM sqlite_master")
        .map_err(|error| failed(error.to_string()))?;
    Ok(Source::Sqlite(conn))
}

fn read_sqlite(
    conn: &rusqlite::Connection,
    query: &Query<'_>,
    each: &mut dyn FnMut(Cells) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let picks: Vec<String> = query
        .picks
        .iter()
        .map(|pick| match pick {
            Pick::Value(column) => quoted(column),
            Pick::Length(column) => format!("octet_length({})", quoted(column)),
            Pick::Nothing => "NULL".to_owned(),
        })
        .collect();
    let mut text = format!("SELECT {} FROM {}", picks.join(", "), quoted(&query.table.name));
    let mut keys: &[String] = &[];
    if let Some((column, wanted)) = query.keys {
        keys = wanted;
        // The column's own type decides how the texts are compared with its values.
        text.push_str(&format!(" WHERE {} IN ({})", quoted(column), vec!["?"; keys.len()].join(", ")));
    }
    let mut statement = conn.prepare(&text).map_err(unreadable)?;
    let mut rows = statement.query(rusqlite::params_from_iter(keys)).map_err(unreadable)?;
    while let Some(row) = rows.next().map_err(unreadable)? {
        let cell = |place| row.get_ref(place).map(text_of).map_err(unreadable);
        each((0..query.picks.len()).map(cell).collect::<Result<Cells, _>>()?)?;
    }
    Ok(())
}

fn text_of(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        // Nothing keeps an SQLite text from being something else than UTF-8.
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

#[derive(QueryableByName)]
struct PostgresCells {
    #[diesel(sql_type = Array<Nullable<Text>>)]
    cells: Cells,
}

fn read_postgres(
    conn: &mut PgConnection,
    query: &Query<'_>,
    each: &mut dyn FnMut(Cells) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let picks: Vec<String> = query
        .picks
        .iter()
        .map(|pick| match pick {
            Pick::Value(column) => format!("CAST({} AS TEXT)", quoted(column)),
            Pick::Length(column) => {
                format!("CAST(octet_length(CAST({} AS TEXT)) AS TEXT)", quoted(column))
            }
            Pick::Nothing => "CAST(NULL AS TEXT)".to_owned(),
        })
        .collect();
    let mut text = format!("SELECT ARRAY[{}] AS cells FROM {}", picks.join(", "), quoted(&query.table.name));
    let mut keys: &[String] = &[];
    if let Some((column, wanted)) = query.keys {
        keys = wanted;
        let sql_type = query.table.column(column).map_or("text", |column| column.sql_type.as_str());
        text.push_str(&format!(" WHERE {} = ANY (CAST($1 AS {sql_type}[]))", quoted(column)));
    }
    let mut row = |row: QueryResult<PostgresCells>| each(row.map_err(unreadable)?.cells);
    let statement = diesel::sql_query(text);
    match query.keys {
        Some(_) => {
            let statement = statement.bind::<Array<Text>, _>(keys);
            let rows = statement.load_iter::<PostgresCells, PgRowByRowLoadingMode>(conn);
            rows.map_err(unreadable)?.try_for_each(&mut row)
        }
        None => {
            let rows = statement.load_iter::<PostgresCells, PgRowByRowLoadingMode>(conn);
            rows.map_err(unreadable)?.try_for_each(&mut row)
        }
    }
}

#[derive(QueryableByName)]
struct PostgresColumn {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql_type: String,
    #[diesel(sql_type = Bool)]
    is_key: bool,
    #[diesel(sql_type = Nullable<Text>)]
    refers_to: Option<String>,
}

fn postgres_tables(conn: &mut PgConnection) -> QueryResult<Vec<Table>> {
    let text = "SELECT CAST(c.relname AS TEXT) AS table_name, CAST(a.attname AS TEXT) AS name,
            format_type(a.atttypid, NULL) AS sql_type,
            EXISTS (SELECT FROM pg_constraint k
                    WHERE k.conrelid = c.oid AND k.contype = 'p' AND k.conkey = ARRAY[a.attnum]) AS is_key,
            (SELECT CAST(t.relname AS TEXT) FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid
             WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum]
             ORDER BY k.conname LIMIT 1) AS refers_to
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
            AND pg_table_is_visible(c.oid) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        ORDER BY c.relname COLLATE \"C\", a.attnum";
    let mut tables: Vec<Table> = Vec::new();
    for row in diesel::sql_query(text).load_iter::<PostgresColumn, PgRowByRowLoadingMode>(conn)? {
        let row = row?;
        if tables.last().is_none_or(|table| table.name != row.table_name) {
            tables.push(Table { name: row.table_name, columns: Vec::new() });
        }
        let column =
            Column { name: row.name, sql_type: row.sql_type, is_key: row.is_key, refers_to: row.refers_to };
        tables.iter_mut().rev().take(1).for_each(|table| table.columns.push(column.clone()));
    }
    Ok(tables)
}
