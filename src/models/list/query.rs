//! A list's query: the text of it, and what it brings.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use super::{
    Condition, Count, ListQuery, MOST_COUNTED, MOST_GATHERED, MOST_LOOKED_AT, Page, Position, SortKey, Start,
    Sums, Value,
};
use crate::db::{Bind, DbConnection, DynamicStatement};

/// In the place of a key, where the id alone is the order. PostgreSQL would take a bare 0 for 32 bits.
const NO_KEY: &str = "CAST(0 AS BIGINT)";

impl ListQuery {
    pub fn page(mut self, conn: &mut DbConnection) -> QueryResult<Page> {
        self.gather(conn)?;
        let backwards = self.start.is_backwards();
        let mut rows = self.walk(conn)?;
        let is_full = rows.len() as i64 > self.page_size;
        rows.truncate(usize::try_from(self.page_size).unwrap_or(usize::MAX));
        let looked_until = if is_full { None } else { self.end_of_walk(conn)? };
        let came_from_elsewhere = self.start.position().is_some();
        let goes_on = is_full || looked_until.is_some();
        if backwards {
            rows.reverse();
        }
        let (has_previous, has_next) =
            if backwards { (goes_on, came_from_elsewhere) } else { (came_from_elsewhere, goes_on) };
        Ok(Page { rows, has_previous, has_next, looked_until })
    }

    /// How many rows the whole list has, as far as that can be told within the bounds.
    pub fn count(mut self, conn: &mut DbConnection) -> QueryResult<Count> {
        self.gather(conn)?;
        self.start = Start::First;
        let (inner, binds) = self.inner("1", MOST_COUNTED + 1);
        let fits = if self.has_tests() { " WHERE w.fits" } else { "" };
        let text = format!("SELECT CAST(count(*) AS BIGINT) FROM ({inner}) w{fits}");
        let number: i64 = DynamicStatement::<BigInt>::new(text, binds).get_result(conn)?;
        let at_least = number > MOST_COUNTED || (self.has_tests() && self.end_of_walk(conn)?.is_some());
        Ok(Count { number: number.min(MOST_COUNTED), at_least })
    }

    /// The ids of all rows, up to `most`, in the list's order: what "all that match" are. `None`: there are more.
    pub fn all_ids(mut self, conn: &mut DbConnection, most: i64) -> QueryResult<Option<Vec<i64>>> {
        self.gather(conn)?;
        self.start = Start::First;
        let (inner, binds) = self.inner("0", i64::MAX);
        let fits = if self.has_tests() { " WHERE w.fits" } else { "" };
        let text = format!("SELECT w.id FROM ({inner}) w{fits} LIMIT {}", most.saturating_add(1));
        let ids: Vec<i64> = DynamicStatement::<BigInt>::new(text, binds).load(conn)?;
        Ok((ids.len() as i64 <= most).then_some(ids))
    }

    /// Sums a signed column up over the whole list, but for what lies beyond the first `most` rows.
    pub fn sums(mut self, conn: &mut DbConnection, column: &str, most: i64) -> QueryResult<Sums> {
        self.gather(conn)?;
        self.start = Start::First;
        let (inner, binds) = self.inner(column, most);
        let fits = if self.has_tests() { "w.fits" } else { "1 = 1" };
        let text = format!(
            "SELECT CAST(count(*) AS BIGINT),
                    CAST(count(CASE WHEN {fits} THEN 1 END) AS BIGINT),
                    CAST(coalesce(sum(CASE WHEN {fits} AND w.k > 0 THEN w.k END), 0) AS BIGINT),
                    CAST(coalesce(sum(CASE WHEN {fits} AND w.k < 0 THEN w.k END), 0) AS BIGINT)
             FROM ({inner}) w"
        );
        let row = DynamicStatement::<(BigInt, BigInt, BigInt, BigInt)>::new(text, binds);
        let (looked_at, number, given, taken): (i64, i64, i64, i64) = row.get_result(conn)?;
        Ok(Sums { given, taken, number, is_cut: looked_at >= most })
    }

    /// Replaces the first condition that few rows fulfil by the ids of those.
    fn gather(&mut self, conn: &mut DbConnection) -> QueryResult<()> {
        if self.among.is_some() {
            return Ok(());
        }
        for place in 0..self.conditions.len() {
            let condition = &self.conditions[place];
            let Some(select) = condition.gather.filter(|_| !condition.leads) else { continue };
            let binds = condition.values.iter().map(Value::bind).collect();
            let text = format!("{select} LIMIT {}", MOST_GATHERED + 1);
            let ids: Vec<i64> = DynamicStatement::<BigInt>::new(text, binds).load(conn)?;
            if ids.len() as i64 <= MOST_GATHERED {
                self.among = Some(ids);
                return Ok(());
            }
        }
        Ok(())
    }

    fn has_tests(&self) -> bool {
        self.conditions.iter().any(|condition| !condition.leads)
    }

    /// The rows that are looked at: id, key and, where conditions are tested, whether it fits.
    fn inner(&self, key: &str, most: i64) -> (String, Vec<Bind<'_>>) {
        let tests: Vec<&Condition> = self.conditions.iter().filter(|condition| !condition.leads).collect();
        let mut binds: Vec<Bind<'_>> =
            tests.iter().flat_map(|condition| condition.values.iter().map(Value::bind)).collect();
        let fits = match tests.iter().map(|condition| format!("({})", condition.sql)).collect::<Vec<_>>() {
            tests if tests.is_empty() => String::new(),
            tests => format!(", ({}) AS fits", tests.join(" AND ")),
        };
        let mut leads: Vec<String> = Vec::new();
        for condition in self.conditions.iter().filter(|condition| condition.leads) {
            leads.push(format!("({})", condition.sql));
            binds.extend(condition.values.iter().map(Value::bind));
        }
        if let Some(ids) = &self.among {
            let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
            leads.push(if ids.is_empty() {
                "1 = 0".to_owned()
            } else {
                format!("{} IN ({})", self.id, ids.join(","))
            });
        }
        let upwards = self.descending == self.start.is_backwards();
        if let Some(position) = self.start.position() {
            let sign = if upwards { '>' } else { '<' };
            match (self.sort.sql(), &position.key) {
                (Some(sql), Some(key)) => {
                    leads.push(format!("({sql}, {}) {sign} (?, ?)", self.id));
                    binds.push(key.bind());
                }
                _ => leads.push(format!("{} {sign} ?", self.id)),
            }
            binds.push(Bind::Integer(position.id));
        }
        let filter = if leads.is_empty() { String::new() } else { format!(" WHERE {}", leads.join(" AND ")) };
        let direction = if upwards { "ASC" } else { "DESC" };
        let order = match self.sort.sql() {
            Some(sql) => format!("{sql} {direction}, {} {direction}", self.id),
            None => format!("{} {direction}", self.id),
        };
        let text = format!(
            "SELECT {} AS id, {key} AS k{fits} FROM {}{filter} ORDER BY {order} LIMIT {most}",
            self.id, self.from
        );
        (text, binds)
    }

    /// How far a page looks: what is gathered is small, and what only leads is not tested.
    fn most_looked_at(&self) -> i64 {
        if self.has_tests() { MOST_LOOKED_AT } else { self.page_size + 1 }
    }

    /// The page's rows and one more, in the walk's direction.
    fn walk(&self, conn: &mut DbConnection) -> QueryResult<Vec<Position>> {
        let (inner, binds) = self.inner(self.sort.sql().unwrap_or(NO_KEY), self.most_looked_at());
        let fits = if self.has_tests() { " WHERE w.fits" } else { "" };
        // The subquery's order is kept: neither database sorts what it only filters.
        let text = format!("SELECT w.id, w.k FROM ({inner}) w{fits} LIMIT {}", self.page_size + 1);
        self.load(conn, text, binds)
    }

    /// The last row that was looked at, if the bound ended the walk there.
    fn end_of_walk(&self, conn: &mut DbConnection) -> QueryResult<Option<Position>> {
        if !self.has_tests() || self.among.is_some() {
            return Ok(None);
        }
        let (inner, binds) = self.inner(self.sort.sql().unwrap_or(NO_KEY), self.most_looked_at());
        let text = format!("SELECT w.id, w.k FROM ({inner}) w LIMIT 1 OFFSET {}", self.most_looked_at() - 1);
        Ok(self.load(conn, text, binds)?.pop())
    }

    fn load(
        &self,
        conn: &mut DbConnection,
        text: String,
        binds: Vec<Bind<'_>>,
    ) -> QueryResult<Vec<Position>> {
        let place = |id: i64, key: Option<Value>| Position { key, id };
        Ok(match self.sort {
            SortKey::Id => {
                let rows = DynamicStatement::<(BigInt, Nullable<BigInt>)>::new(text, binds);
                let rows: Vec<(i64, Option<i64>)> = rows.load(conn)?;
                rows.into_iter().map(|(id, _)| place(id, None)).collect()
            }
            SortKey::Integer(_) => {
                let rows: Vec<(i64, i64)> =
                    DynamicStatement::<(BigInt, BigInt)>::new(text, binds).load(conn)?;
                rows.into_iter().map(|(id, key)| place(id, Some(Value::Integer(key)))).collect()
            }
            SortKey::Text(_) => {
                let rows: Vec<(i64, String)> =
                    DynamicStatement::<(BigInt, Text)>::new(text, binds).load(conn)?;
                rows.into_iter().map(|(id, key)| place(id, Some(Value::Text(key)))).collect()
            }
            SortKey::Time(_) => {
                let rows = DynamicStatement::<(BigInt, Timestamp)>::new(text, binds);
                let rows: Vec<(i64, NaiveDateTime)> = rows.load(conn)?;
                rows.into_iter().map(|(id, key)| place(id, Some(Value::Time(key)))).collect()
            }
        })
    }
}
