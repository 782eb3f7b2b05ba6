//! Fills a database that was just migrated: an SQLite file directly, PostgreSQL through a script
//! for psql. Indexes are created after the rows, which takes a tenth of the time.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::Result;
use crate::rows::{CHAT_SEARCH, Cell, INDEXED, TABLES, Table};
use crate::shape::Shape;
use crate::sqlite::Database;

/// The format in which Diesel stores times in SQLite.
const TIME: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Returns the follower's marks, as if it had seen everything.
fn marks(shape: &Shape) -> [(&'static str, i64); 4] {
    let last_entry = shape.play(&mut |_| {}).last_entry;
    let last = shape.users / 10;
    [("users", shape.users), ("chats", shape.chats), ("ledger_entries", last_entry), ("audit_log", last)]
}

/// Fills the database, without its index: `tollgate reindex` builds that.
pub fn sqlite(shape: &Shape, file: &str) -> Result<()> {
    let database = Database::open(Path::new(file))?;
    // No other process has the file open, and a fill that fails starts again with a new file.
    for pragma in ["journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000", "foreign_keys = OFF"] {
        database.texts(&format!("PRAGMA {pragma}"))?;
    }
    let made = database
        .texts("SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL")?;
    let drops = "SELECT 'DROP ' || type || ' ' || name FROM sqlite_schema
                 WHERE type IN ('index', 'trigger') AND sql IS NOT NULL";
    for drop in database.texts(drops)? {
        database.execute(&drop)?;
    }
    for table in &TABLES {
        eprintln!("panel: {}", table.name);
        database.execute("BEGIN")?;
        insert(shape, &database, table)?;
        database.execute("COMMIT")?;
    }
    eprintln!("panel: indexes");
    for sql in made {
        database.execute(&sql)?;
    }
    Ok(())
}

fn insert(shape: &Shape, database: &Database, table: &Table) -> Result<()> {
    let places = vec!["?"; table.columns.split(',').count()].join(", ");
    let text = format!("INSERT INTO {} ({}) VALUES ({places})", table.name, table.columns);
    let statement = database.prepare(&text)?;
    (table.rows)(shape, &mut |cells| {
        for (place, cell) in (1..).zip(cells) {
            match cell {
                Cell::Null => statement.bind_null(place)?,
                Cell::Integer(value) => statement.bind_i64(place, *value)?,
                Cell::Truth(value) => statement.bind_i64(place, i64::from(*value))?,
                Cell::Text(value) => statement.bind_text(place, value)?,
                Cell::Bytes(value) => statement.bind_blob(place, value)?,
                Cell::Time(value) => statement.bind_text(place, &value.format(TIME).to_string())?,
            };
        }
        statement.run()
    })
}

/// Prints the script for psql. It switches off foreign keys and triggers, which COPY would check
/// and fire for every row, because the rows are known to be correct.
pub fn script(shape: &Shape) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    out.write_all(BEFORE.as_bytes())?;
    for table in TABLES.iter().chain(INDEXED).chain([&CHAT_SEARCH]) {
        eprintln!("panel: {}", table.name);
        writeln!(out, "COPY {} ({}) FROM STDIN;", table.name, table.columns)?;
        (table.rows)(shape, &mut |cells| {
            for (place, cell) in cells.iter().enumerate() {
                if place > 0 {
                    out.write_all(b"\t")?;
                }
                copied(&mut out, cell)?;
            }
            Ok(out.write_all(b"\n")?)
        })?;
        writeln!(out, "\\.")?;
    }
    for (name, position) in marks(shape) {
        writeln!(out, "UPDATE follower_marks SET position = {position} WHERE name = '{name}';")?;
    }
    for table in ["users", "auth_tokens", "chats", "ledger_entries", "audit_log", "bulk_operations"] {
        writeln!(
            out,
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}));"
        )?;
    }
    out.write_all(AFTER.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a value in the format of COPY. No text here contains a character that must be escaped.
fn copied(out: &mut impl Write, cell: &Cell) -> io::Result<()> {
    match cell {
        Cell::Null => write!(out, "\\N"),
        Cell::Integer(value) => write!(out, "{value}"),
        Cell::Truth(value) => write!(out, "{}", if *value { 't' } else { 'f' }),
        Cell::Text(value) => write!(out, "{value}"),
        Cell::Bytes(value) => {
            write!(out, "\\\\x")?;
            value.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        Cell::Time(value) => write!(out, "{}", value.format(TIME)),
    }
}

const BEFORE: &str = "\
SET session_replication_role = replica;
SET maintenance_work_mem = '1GB';
CREATE TEMP TABLE made AS
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint);
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT * FROM made LOOP EXECUTE 'DROP INDEX ' || quote_ident(one.indexname); END LOOP;
END $$;
";

/// Recreates the indexes, and does what autovacuum would do after a while.
const AFTER: &str = "\
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT * FROM made LOOP EXECUTE one.indexdef; END LOOP;
END $$;
VACUUM ANALYZE;
CHECKPOINT;
";
