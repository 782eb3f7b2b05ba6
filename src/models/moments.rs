//! Finds moments in tables whose ids and times ascend together.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamp};

use crate::db::{Bind, DbConnection, DynamicStatement};

/// Returns the first id whose row was added at or after a moment, in a table whose ids and
/// `created_at` ascend together. Returns `None` if all rows are older.
pub fn first_id_since(
    conn: &mut DbConnection,
    table: &'static str,
    moment: NaiveDateTime,
) -> QueryResult<Option<i64>> {
    let highest = format!("SELECT coalesce(max(id), 0) FROM {table}");
    let highest: i64 = DynamicStatement::<BigInt>::new(highest, Vec::new()).get_result(conn)?;
    let (mut low, mut high) = (0, highest + 1);
    // All rows up to `low` are older, and those from `high` on are not. Ids in between may be
    // missing.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let text = format!("SELECT id, created_at FROM {table} WHERE id >= ? AND id < ? ORDER BY id LIMIT 1");
        let binds = vec![Bind::Integer(middle), Bind::Integer(high)];
        let found = DynamicStatement::<(BigInt, Timestamp)>::new(text, binds);
        let found: Option<(i64, NaiveDateTime)> = found.get_result(conn).optional()?;
        match found {
            Some((id, created_at)) if created_at < moment => low = id,
            _ => high = middle,
        }
    }
    Ok((high <= highest).then_some(high))
}

/// Returns those of `ids` whose rows were added in a period, in any order. The period excludes its
/// end.
pub fn ids_between(
    conn: &mut DbConnection,
    table: &'static str,
    ids: &[i64],
    from: NaiveDateTime,
    to: NaiveDateTime,
) -> QueryResult<Vec<i64>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let listed = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let text =
        format!("SELECT id FROM {table} WHERE id IN ({listed}) AND created_at >= ? AND created_at < ?");
    DynamicStatement::<BigInt>::new(text, vec![Bind::Time(from), Bind::Time(to)]).load(conn)
}
