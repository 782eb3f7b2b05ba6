//! Ranges of days in lists that are in the order of their ids. Rows were added in the order of
//! time, so a binary search finds the ids of a range, and no index on the time is needed.

use chrono::{NaiveDateTime, TimeDelta};

use super::ListParams;
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::{ListQuery, Value};
use crate::models::{first_id_since, ids_between};

/// Rows are out of order by less than this, because clocks of nodes differ and transactions
/// overtake each other.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// The ids of the days that the filter `date` selects. Near both ends, rows may belong to another
/// day.
pub(super) struct Days {
    from: NaiveDateTime,
    to: NaiveDateTime,
    /// The first id.
    pub(super) first: i64,
    /// The end of the ids, which is excluded.
    pub(super) end: i64,
}

impl Days {
    fn new(
        conn: &mut DbConnection,
        table: &'static str,
        from: NaiveDateTime,
        to: NaiveDateTime,
    ) -> Result<Days> {
        let first = first_id_since(conn, table, from - SLACK)?.unwrap_or(i64::MAX);
        let end = first_id_since(conn, table, to + SLACK)?.unwrap_or(i64::MAX);
        Ok(Days { from, to, first, end })
    }

    /// Returns those of the ids whose rows are of these days. Only rows near both ends are read.
    pub(super) fn those_of(
        &self,
        conn: &mut DbConnection,
        table: &'static str,
        ids: &[i64],
    ) -> Result<Vec<i64>> {
        let first = first_id_since(conn, table, self.from + SLACK)?.unwrap_or(i64::MAX);
        let end = first_id_since(conn, table, self.to - SLACK)?.unwrap_or(i64::MAX);
        let (mut sure, unsure): (Vec<i64>, Vec<i64>) = ids.iter().partition(|id| (first..end).contains(*id));
        sure.extend(ids_between(conn, table, &unsure, self.from, self.to)?);
        Ok(sure)
    }
}

/// Returns the ids of the days that the filter `date` selects. `None` if the filter is not set.
pub(super) fn days_of_ids(
    conn: &mut DbConnection,
    params: &ListParams,
    table: &'static str,
) -> Result<Option<Days>> {
    match params.values_of("date") {
        Some([Value::Time(from), Value::Time(to)]) => Days::new(conn, table, *from, *to).map(Some),
        _ => Ok(None),
    }
}

/// Limits the query to the ids of the days that the filter `date` selects. The filter's own
/// condition still decides about the rows near both ends.
pub(in crate::panel) fn between_ids(
    conn: &mut DbConnection,
    params: &ListParams,
    query: &mut ListQuery,
    table: &'static str,
) -> Result<()> {
    query.between = days_of_ids(conn, params, table)?.map(|days| (days.first, days.end));
    Ok(())
}
