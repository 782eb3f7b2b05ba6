//! Ranges of days in lists that are in the order of their ids. Rows were added in the order of
//! time, so a binary search finds the ids of a range, and no index on the time is needed.

use chrono::TimeDelta;

use super::ListParams;
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::first_id_since;
use crate::models::list::{ListQuery, Value};

/// Rows are out of order by less than this, because clocks of nodes differ and transactions
/// overtake each other.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// Returns the first id and the end, which is excluded, of the days that the filter `date` selects.
/// `None` if the filter is not set. Near both ends, rows may belong to another day.
pub(in crate::panel) fn ids_of_days(
    conn: &mut DbConnection,
    params: &ListParams,
    table: &'static str,
) -> Result<Option<(i64, i64)>> {
    let Some([Value::Time(from), Value::Time(to)]) = params.values_of("date") else { return Ok(None) };
    let above = first_id_since(conn, table, *from - SLACK)?.unwrap_or(i64::MAX);
    let below = first_id_since(conn, table, *to + SLACK)?.unwrap_or(i64::MAX);
    Ok(Some((above, below)))
}

/// Limits the query to the ids of the days that the filter `date` selects. The filter's own
/// condition still decides about the rows near both ends.
pub(in crate::panel) fn between_ids(
    conn: &mut DbConnection,
    params: &ListParams,
    query: &mut ListQuery,
    table: &'static str,
) -> Result<()> {
    query.between = ids_of_days(conn, params, table)?;
    Ok(())
}
