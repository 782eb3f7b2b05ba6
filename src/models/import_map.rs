//! `import_map`: which row of another database became which row here.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::db::{Bind, DbConnection, DynamicStatement};
use crate::schema::import_map::dsl;

/// The kind of an imported row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImportedKind {
    /// A user of the service.
    User,
    /// A user of a separate table of administrators.
    Administrator,
    /// An auth token.
    AuthToken,
    /// A chat.
    Chat,
}

impl ImportedKind {
    /// Returns the name that the database stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            ImportedKind::User => "user",
            ImportedKind::Administrator => "administrator",
            ImportedKind::AuthToken => "auth_token",
            ImportedKind::Chat => "chat",
        }
    }
}

/// What was imported from one source.
#[derive(Debug)]
pub struct ImportMap;

impl ImportMap {
    /// Returns the rows of a kind after a key, in the order of their keys, with their ids here.
    pub fn page(
        conn: &mut DbConnection,
        source: &str,
        kind: ImportedKind,
        after: &str,
        most: i64,
    ) -> QueryResult<Vec<(String, i64)>> {
        dsl::import_map
            .filter(dsl::source.eq(source))
            .filter(dsl::kind.eq(kind.as_str()))
            .filter(dsl::source_id.gt(after))
            .order(dsl::source_id)
            .limit(most)
            .select((dsl::source_id, dsl::target_id))
            .load(conn)
    }

    /// Returns the ids here of those of these keys that were imported.
    pub fn known(
        conn: &mut DbConnection,
        source: &str,
        kind: ImportedKind,
        keys: &[&str],
    ) -> QueryResult<HashMap<String, i64>> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        // One look-up by the whole primary key for each. With `= ANY`, PostgreSQL may read all rows
        // of the kind and compare each with every key: nothing is known yet about a table that is
        // being filled.
        let text = format!(
            "WITH wanted (key) AS (VALUES {})
             SELECT key, (SELECT target_id FROM import_map WHERE source = ? AND kind = ? AND source_id = key)
             FROM wanted",
            vec!["(?)"; keys.len()].join(", ")
        );
        let mut binds: Vec<Bind<'_>> = keys.iter().map(|key| Bind::Text(key)).collect();
        binds.extend([Bind::Text(source), Bind::Text(kind.as_str())]);
        let found: Vec<(String, Option<i64>)> =
            DynamicStatement::<(Text, Nullable<BigInt>)>::new(text, binds).load(conn)?;
        Ok(found.into_iter().filter_map(|(key, id)| Some((key, id?))).collect())
    }

    /// Records that rows were imported: their keys, with their ids here.
    pub fn insert(
        conn: &mut DbConnection,
        source: &str,
        kind: ImportedKind,
        rows: &[(&str, i64)],
    ) -> QueryResult<usize> {
        if rows.is_empty() {
            return Ok(0);
        }
        let values = vec!["(?, ?, ?, ?)"; rows.len()].join(", ");
        let text = format!("INSERT INTO import_map (source, kind, source_id, target_id) VALUES {values}");
        let mut binds = Vec::with_capacity(rows.len() * 4);
        for (key, id) in rows {
            binds.extend([
                Bind::Text(source),
                Bind::Text(kind.as_str()),
                Bind::Text(key),
                Bind::Integer(*id),
            ]);
        }
        DynamicStatement::<()>::new(text, binds).execute(conn)
    }
}
