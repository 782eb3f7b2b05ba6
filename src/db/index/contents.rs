//! What is in the index's file: its tables, and whether they are those of the database.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::DynamicStatement;
use crate::db::url::DatabaseUrl;

const SCHEMA: &str = include_str!("schema.sql");
/// The version of the schema, in the file's `user_version`.
const VERSION: i64 = 3;

/// What tells the row at a position from another database's row with the same id, by the name of
/// the follower's mark: an SQL expression.
pub const ANCHOR: &str = "CASE name
    WHEN 'users' THEN (SELECT date_joined FROM users WHERE id = position)
    WHEN 'chats' THEN (SELECT created_at || ' ' || user_id FROM chats WHERE id = position)
    WHEN 'chat_keys' THEN (SELECT created_at || ' ' || user_id FROM chats WHERE id = position)
    WHEN 'ledger_entries' THEN (SELECT hex(operation_id) FROM ledger_entries WHERE id = position)
    WHEN 'entry_keys' THEN (SELECT hex(operation_id) FROM ledger_entries WHERE id = position)
    WHEN 'audit_log' THEN (SELECT created_at || ' ' || action || ' ' || object_id FROM audit_log WHERE id = position)
    WHEN 'index_changes' THEN (SELECT hex(stamp) FROM index_changes WHERE id = position)
    END";

/// Whether the row at the position of the audit log was deleted because it is old, with all before
/// it: an SQL expression.
const ALL_FORGOTTEN: &str = "position <= (SELECT seq FROM sqlite_sequence WHERE name = 'audit_log')
    AND NOT EXISTS (SELECT 1 FROM audit_log WHERE id <= position)";

/// Returns whether the file is another program's, or another kind of file of Tollgate. One without
/// tables belongs to nobody.
pub(super) fn is_of_another_program(conn: &mut SqliteConnection) -> QueryResult<bool> {
    let counted =
        "SELECT count(*) > 0 AND coalesce(sum(name = 'index_owner'), 0) = 0 FROM main.sqlite_master";
    Ok(number(conn, counted)? != 0)
}

/// Creates the tables if there are none. Returns why the index cannot be used, if so: it is of
/// another version, of another database, or not of the database's present state.
pub(super) fn prepare(conn: &mut SqliteConnection) -> QueryResult<Option<String>> {
    let found = number(conn, "SELECT user_version FROM pragma_user_version")?;
    if number(conn, "SELECT count(*) FROM main.sqlite_master")? == 0 {
        create(conn)?;
    } else if found != VERSION {
        return Ok(Some(format!("it has version {found}, and this program needs {VERSION}")));
    }
    foreign(conn)
}

/// Creates the tables, unless another process of this database has just done so.
fn create(conn: &mut SqliteConnection) -> QueryResult<()> {
    conn.immediate_transaction(|conn| {
        if number(conn, "SELECT count(*) FROM main.sqlite_master")? > 0 {
            return Ok(());
        }
        conn.batch_execute(&SCHEMA.replace("{schema}", "main"))?;
        conn.batch_execute(&format!("PRAGMA main.user_version = {VERSION}"))?;
        conn.batch_execute("INSERT INTO index_owner (database_id) SELECT id FROM database_identity")
    })
}

/// Returns why the index is not one of the attached database, or not one of its present state.
fn foreign(conn: &mut SqliteConnection) -> QueryResult<Option<String>> {
    let owners = "SELECT count(*) FROM index_owner JOIN database_identity ON id = database_id";
    if number(conn, owners)? != 1 {
        return Ok(Some("it belongs to another database".to_owned()));
    }
    let moved = format!(
        "SELECT name FROM follower_marks
         WHERE position > 0 AND anchor IS NOT ({ANCHOR}) AND NOT (name = 'audit_log' AND {ALL_FORGOTTEN})"
    );
    let moved: Vec<String> = DynamicStatement::<Text>::new(moved, Vec::new()).load(conn)?;
    if let Some(table) = moved.first() {
        return Ok(Some(format!("its rows of {table} are not those of the database")));
    }
    // The chats that the index believes to have ended.
    let pending = "SELECT count(*) FROM chats WHERE state <> 'complete' AND state = 'pending'
                   AND id <= (SELECT position FROM follower_marks WHERE name = 'chats')
                   AND id NOT IN (SELECT chat_id FROM chats_to_follow)";
    Ok((number(conn, pending)? > 0).then(|| "it is newer than the database".to_owned()))
}

/// Attaches the file to a connection to the database, for reading: its tables, as `idx`.
///
/// # Errors
/// Fails if it cannot be read, or is not an index of this database and version. Then nothing is
/// attached.
pub(super) fn attach_file(conn: &mut SqliteConnection, path: &Path) -> Result<(), String> {
    conn.batch_execute(&attach_as("idx", path, "ro")).map_err(|error| error.to_string())?;
    // The first query opens the log.
    let owned = "SELECT (SELECT database_id FROM idx.index_owner) IS (SELECT id FROM main.database_identity)
                     AND EXISTS (SELECT 1 FROM idx.follower_marks WHERE name = 'chats')";
    let found =
        number(conn, "PRAGMA idx.user_version").and_then(|version| Ok((version, number(conn, owned)?)));
    let why = match found {
        Ok((VERSION, 1)) => return Ok(()),
        Ok(_) => "it is of another version or database".to_owned(),
        Err(error) => error.to_string(),
    };
    detach(conn);
    Err(why)
}

/// Detaches what is attached as `idx`.
pub(super) fn detach(conn: &mut SqliteConnection) {
    // If that fails, so does attaching something else, which is reported.
    let _ = conn.batch_execute("DETACH idx");
}

/// Attaches an index without rows instead of the file.
pub(super) fn attach_empty(conn: &mut SqliteConnection) -> QueryResult<()> {
    conn.batch_execute("ATTACH ':memory:' AS idx")?;
    conn.batch_execute(&SCHEMA.replace("{schema}", "idx"))
}

/// Returns the statement that attaches a file.
pub(super) fn attach_as(name: &str, path: &Path, mode: &str) -> String {
    let uri = DatabaseUrl::sqlite_uri(path).replace("?mode=rw", &format!("?mode={mode}"));
    format!("ATTACH '{}' AS {name}", uri.replace('\'', "''"))
}

/// Creates the views that have the keys of all rows: those of the index, and those behind it.
pub(super) fn create_views(conn: &mut SqliteConnection) -> QueryResult<()> {
    conn.batch_execute(
        "CREATE TEMP VIEW user_chats AS
             SELECT user_id, is_listed, id FROM idx.chat_keys
             UNION ALL
             SELECT user_id, is_listed, id FROM main.chats
             WHERE id > (SELECT position FROM idx.follower_marks WHERE name = 'chat_keys');
         CREATE TEMP VIEW user_entries AS
             SELECT user_id, id FROM idx.entry_keys
             UNION ALL
             SELECT user_id, id FROM main.ledger_entries
             WHERE id > (SELECT position FROM idx.follower_marks WHERE name = 'entry_keys');",
    )
}

fn number(conn: &mut SqliteConnection, query: &str) -> QueryResult<i64> {
    DynamicStatement::<BigInt>::new(query.to_owned(), Vec::new()).get_result(conn)
}
