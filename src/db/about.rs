//! The database's description of itself, for the panel's health page.

use std::io;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{DbConnection, DynamicStatement};

/// The database's kind, version and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The name of the database system: SQLite or PostgreSQL.
    pub kind: &'static str,
    /// The version of the database system.
    pub version: String,
    /// The size of the database, in bytes.
    pub size: i64,
}

/// Returns kind, version and size of the database of a connection.
pub fn about(conn: &mut DbConnection) -> QueryResult<About> {
    let (kind, text) = match conn {
        DbConnection::Sqlite(_) => (
            "SQLite",
            "SELECT sqlite_version(), page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        ),
        DbConnection::Postgres(_) => {
            ("PostgreSQL", "SELECT current_setting('server_version'), pg_database_size(current_database())")
        }
    };
    let row = DynamicStatement::<(Text, BigInt)>::new(text.to_owned(), Vec::new());
    let (version, size): (String, i64) = row.get_result(conn)?;
    Ok(About { kind, version, size })
}

/// Returns the free space of the file system that has a folder, in bytes, as far as this process
/// may use it.
///
/// # Errors
/// The error of the system, if the folder cannot be looked at.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
