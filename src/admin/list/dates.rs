//! Days of a list that is in the order of its ids: rows were added in the order of time, so the ids of a range of days
//! are found by halving, and no index on the time is needed.

use chrono::TimeDelta;

use super::Asked;
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::first_id_since;
use crate::models::list::{Condition, ListQuery, Value};

/// Clocks of nodes, and transactions that overtake each other, put rows out of order by less than this.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// Bounds the walk to the ids of the days that the filter `date` asks for. Its own condition still decides at the edges.
pub(in crate::admin) fn between_ids(
    conn: &mut DbConnection,
    asked: &Asked,
    query: &mut ListQuery,
    table: &'static str,
) -> Result<()> {
    let Some(picked) = asked.picked.iter().find(|picked| picked.name == "date") else { return Ok(()) };
    let [Value::Time(from), Value::Time(to)] = picked.condition.values.as_slice() else { return Ok(()) };
    let above = first_id_since(conn, table, *from - SLACK)?.unwrap_or(i64::MAX);
    let below = first_id_since(conn, table, *to + SLACK)?.unwrap_or(i64::MAX);
    let sql = match table {
        "audit_log" => "audit_log.id >= ? AND audit_log.id < ?",
        _ => "ledger_entries.id >= ? AND ledger_entries.id < ?",
    };
    query.conditions.push(Condition::leading(sql, vec![Value::Integer(above), Value::Integer(below)]));
    Ok(())
}
