//! What a list's query returns: a page, a count, all ids, or sums.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::walk::{Beyond, NO_VALUE, WalkBounds};
use super::{Count, ListQuery, MOST_COUNTED, MOST_GATHERED, Page, Position, SortKey, Start, Sums, Value};
use crate::db::{DbConnection, DynamicStatement};

/// How long the ids of all rows may be collected.
const TIME_FOR_ALL: Duration = Duration::from_secs(60);

impl ListQuery {
    /// Returns the query for all rows in the order of their ids. Its page has one row, which is
    /// enough for a count.
    pub fn all(from: &'static str, id: &'static str) -> ListQuery {
        ListQuery {
            from,
            id,
            keys: None,
            tests_on: None,
            sort: SortKey::Id,
            descending: false,
            conditions: Vec::new(),
            names: None,
            between: None,
            among: None,
            start: Start::First,
            page_size: 1,
        }
    }

    /// Returns the page, and the number of rows of the whole list as far as it is known within the
    /// limits.
    pub fn page_with_count(mut self, conn: &mut DbConnection) -> QueryResult<(Page, Count)> {
        let is_gathered = self.gather(conn)?;
        if !self.has_tests() || self.start != Start::First {
            let count = self.clone().count_gathered(conn, WalkBounds::all(), is_gathered)?;
            return Ok((self.page_gathered(conn)?, count));
        }
        // The rows that are examined for the count contain the first page.
        let mut rows = Vec::new();
        let end = self.walk(conn, WalkBounds::all(), NO_VALUE, |seen| {
            rows.extend(seen.fits.then_some(seen.position));
            true
        })?;
        let count = Count { number: rows.len() as i64, at_least: end.is_some() };
        Ok((self.page_of(rows, end), count))
    }

    /// Returns the page.
    pub fn page(mut self, conn: &mut DbConnection) -> QueryResult<Page> {
        self.gather(conn)?;
        self.page_gathered(conn)
    }

    fn page_gathered(self, conn: &mut DbConnection) -> QueryResult<Page> {
        let mut rows = Vec::new();
        let end = self.walk(conn, WalkBounds::all(), NO_VALUE, |seen| {
            rows.extend(seen.fits.then_some(seen.position));
            rows.len() as i64 <= self.page_size
        })?;
        Ok(self.page_of(rows, end))
    }

    /// Makes the page from the rows of a walk. `end` is the last row if a limit ended the walk.
    fn page_of(self, mut rows: Vec<Position>, end: Option<Position>) -> Page {
        let is_full = rows.len() as i64 > self.page_size;
        rows.truncate(usize::try_from(self.page_size).unwrap_or(usize::MAX));
        let looked_until = end.filter(|_| !is_full);
        let came_from_elsewhere = self.start.position().is_some();
        let goes_on = is_full || looked_until.is_some();
        let backwards = self.start.is_backwards();
        if backwards {
            rows.reverse();
        }
        let (has_previous, has_next) =
            if backwards { (goes_on, came_from_elsewhere) } else { (came_from_elsewhere, goes_on) };
        Page { rows, has_previous, has_next, looked_until }
    }

    /// Returns the number of rows of the whole list as far as it is known within the limits.
    pub fn count(mut self, conn: &mut DbConnection) -> QueryResult<Count> {
        let is_gathered = self.gather(conn)?;
        self.count_gathered(conn, WalkBounds::all(), is_gathered)
    }

    /// Returns the number of rows of the whole list: exactly, or that there are more than
    /// [`MOST_COUNTED`]. `None` if this is not known by `until`.
    pub fn count_by(mut self, conn: &mut DbConnection, until: Instant) -> QueryResult<Option<Count>> {
        let is_gathered = self.gather(conn)?;
        let bounds = WalkBounds { until, ..WalkBounds::all() };
        let count = self.count_gathered(conn, bounds, is_gathered)?;
        Ok(Some(count).filter(Count::is_full))
    }

    fn count_gathered(
        mut self,
        conn: &mut DbConnection,
        bounds: WalkBounds,
        is_gathered: bool,
    ) -> QueryResult<Count> {
        self.start = Start::First;
        if let (true, [], None, Some(ids)) = (is_gathered, &self.conditions[..], self.between, &self.among) {
            return Ok(Count { number: ids.len() as i64, at_least: false });
        }
        if self.has_tests() {
            let mut number = 0;
            let end = self.walk(conn, bounds, NO_VALUE, |seen| {
                number += i64::from(seen.fits);
                true
            })?;
            return Ok(Count { number, at_least: end.is_some() });
        }
        let (inner, binds) = self.inner("1", NO_VALUE, MOST_COUNTED + 1, Beyond::All);
        let text = format!("SELECT CAST(count(*) AS BIGINT) FROM ({inner}) w");
        let number: i64 = DynamicStatement::<BigInt>::new(text, binds).get_result(conn)?;
        Ok(Count { number: number.min(MOST_COUNTED), at_least: number > MOST_COUNTED })
    }

    /// Returns the ids of all rows, up to `most`, in the list's order: the rows that "all that
    /// match" means. Returns `None` if there are more. It may examine every row of the table.
    pub fn all_ids(mut self, conn: &mut DbConnection, most: i64) -> QueryResult<Option<Vec<i64>>> {
        self.gather(conn)?;
        self.start = Start::First;
        // An index has them together, however many satisfy it.
        let gathered =
            self.conditions.iter_mut().find(|condition| !condition.leads && condition.gather.is_some());
        if let Some((condition, select)) =
            gathered.and_then(|condition| condition.gather.map(|select| (condition, select)))
        {
            condition.sql = format!("{} IN ({select})", self.id).into();
            condition.leads = true;
        }
        if self.names.is_some() {
            return self.all_ids_by_name(conn, most);
        }
        let (inner, binds) = self.inner("0", NO_VALUE, i64::MAX, Beyond::All);
        let text = format!("SELECT w.id FROM ({inner}) w WHERE w.fits LIMIT {}", most.saturating_add(1));
        let ids: Vec<i64> = DynamicStatement::<BigInt>::new(text, binds).load(conn)?;
        Ok((ids.len() as i64 <= most).then_some(ids))
    }

    /// Does the same with a test of names, which the database cannot make.
    fn all_ids_by_name(self, conn: &mut DbConnection, most: i64) -> QueryResult<Option<Vec<i64>>> {
        let mut ids = Vec::new();
        let bounds = WalkBounds { most: i64::MAX, until: Instant::now() + TIME_FOR_ALL };
        let end = self.walk(conn, bounds, NO_VALUE, |seen| {
            ids.extend(seen.fits.then_some(seen.position.id));
            ids.len() as i64 <= most
        })?;
        Ok((end.is_none() && ids.len() as i64 <= most).then_some(ids))
    }

    /// Sums a signed column over the whole list, except what is beyond the limits.
    pub fn sums(mut self, conn: &mut DbConnection, column: &str, most: i64) -> QueryResult<Sums> {
        self.gather(conn)?;
        self.start = Start::First;
        let mut sums = Sums::default();
        let end = self.walk(conn, WalkBounds { most, ..WalkBounds::all() }, column, |seen| {
            if seen.fits {
                sums.number += 1;
                sums.given = sums.given.saturating_add(seen.value.max(0));
                sums.taken = sums.taken.saturating_add(seen.value.min(0));
            }
            true
        })?;
        sums.is_cut = end.is_some();
        Ok(sums)
    }

    /// Replaces the first condition that few rows satisfy by the ids of those rows. Returns whether
    /// there was one.
    fn gather(&mut self, conn: &mut DbConnection) -> QueryResult<bool> {
        if self.among.is_some() {
            return Ok(false);
        }
        for place in 0..self.conditions.len() {
            let condition = &self.conditions[place];
            let Some(select) = condition.gather.filter(|_| !condition.leads) else { continue };
            let binds = condition.values.iter().map(Value::bind).collect();
            let text = format!("{select} LIMIT {}", MOST_GATHERED + 1);
            let mut ids: Vec<i64> = DynamicStatement::<BigInt>::new(text, binds).load(conn)?;
            if ids.len() as i64 <= MOST_GATHERED {
                ids.sort_unstable();
                ids.dedup();
                self.among = Some(ids);
                self.conditions.remove(place);
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn has_tests(&self) -> bool {
        self.names.is_some() || self.conditions.iter().any(|condition| !condition.leads)
    }
}
