//! Walks along an index in parts, until enough rows are found or a limit is reached.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamp};

use super::{Condition, ListQuery, MOST_EXAMINED, Position, SortKey, Start, Value};
use crate::db::{Bind, DbConnection, DynamicStatement};

/// The column for a walk that sums nothing. PostgreSQL would take a bare 0 for 32 bits.
pub(super) const NO_VALUE: &str = "CAST(0 AS BIGINT)";
/// How long one walk may take. A page takes at most two of them, and has 50 ms in total.
const TIME: Duration = Duration::from_millis(8);
/// Rows of the first part, and of the longest. Rows that were not read for long come from the disk,
/// one by one.
const FIRST_PART: i64 = 100;
const LONGEST_PART: i64 = 1_000;

/// The limits of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkBounds {
    pub most: i64,
    pub until: Instant,
}

impl WalkBounds {
    pub(super) fn all() -> WalkBounds {
        WalkBounds { most: MOST_EXAMINED, until: Instant::now() + TIME }
    }
}

/// A row that was examined.
pub(super) struct ExaminedRow {
    pub position: Position,
    /// Whether it satisfies all conditions.
    pub fits: bool,
    /// The value of the column that the caller asked for.
    pub value: i64,
}

/// The rows after a position: all of them, those with the same key, or those with a key beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    All,
    SameKey,
    OtherKeys,
}

impl ListQuery {
    /// Calls `examine` with each row, in the walk's direction, until it has enough. Returns the
    /// last row that was examined, if a limit ended the walk.
    pub(super) fn walk(
        &self,
        conn: &mut DbConnection,
        bounds: WalkBounds,
        column: &str,
        mut examine: impl FnMut(ExaminedRow) -> bool,
    ) -> QueryResult<Option<Position>> {
        let mut rest = self.clone();
        let mut examined = 0;
        // The gathered rows would be sorted again for each part. They are few, so take them all.
        let mut size = match &self.among {
            Some(ids) => ids.len() as i64 + 1,
            None if self.has_tests() => FIRST_PART,
            None => self.page_size + 1,
        };
        loop {
            size = if self.among.is_some() { size } else { size.min(bounds.most - examined) };
            let begun = Instant::now();
            let seen = rest.part(conn, column, size)?;
            let count = seen.len() as i64;
            let last = seen.last().map(|row| row.position.clone());
            for row in seen {
                if !examine(row) {
                    return Ok(None);
                }
            }
            examined += count;
            let Some(last) = last.filter(|_| count == size) else { return Ok(None) };
            let (now, took) = (Instant::now(), begun.elapsed());
            if examined >= bounds.most || now > bounds.until {
                return Ok(Some(last));
            }
            rest.start = if self.start.is_backwards() { Start::Before(last) } else { Start::After(last) };
            // The next part may be twice as long as this one, if there is time for that.
            if took * 2 < bounds.until.saturating_duration_since(now) {
                size = (size * 2).min(LONGEST_PART);
            }
        }
    }

    /// Returns one part of the walk. SQLite finds a place among equal keys by an index only if the
    /// key is a column and not an expression, and the id is not the rowid. So the rows with the
    /// same key are a query of their own.
    fn part(&self, conn: &mut DbConnection, column: &str, most: i64) -> QueryResult<Vec<ExaminedRow>> {
        let has_key = self.start.position().is_some_and(|position| position.key.is_some());
        let is_one_range = !has_key || self.has_unique_key() || self.among.is_some();
        if is_one_range || matches!(conn, DbConnection::Postgres(_)) {
            return self.rows(conn, column, most, Beyond::All);
        }
        let mut seen = self.rows(conn, column, most, Beyond::SameKey)?;
        if (seen.len() as i64) < most {
            seen.extend(self.rows(conn, column, most - seen.len() as i64, Beyond::OtherKeys)?);
        }
        Ok(seen)
    }

    /// Returns the SQL for at most `most` rows in the walk's order: id, key, whether all tests of
    /// the database are passed, a column, and the name to test.
    pub(super) fn inner(
        &self,
        key: &str,
        column: &str,
        most: i64,
        beyond: Beyond,
    ) -> (String, Vec<Bind<'_>>) {
        let tests: Vec<&Condition> = self.conditions.iter().filter(|condition| !condition.leads).collect();
        let mut binds: Vec<Bind<'_>> =
            tests.iter().flat_map(|condition| condition.values.iter().map(Value::bind)).collect();
        let tests: Vec<String> = tests.iter().map(|condition| format!("({})", condition.sql)).collect();
        let fits = match (tests.is_empty(), self.tests_on) {
            (true, _) => "1 = 1".to_owned(),
            (false, None) => tests.join(" AND "),
            (false, Some(other)) => format!("SELECT {} FROM {other}", tests.join(" AND ")),
        };
        let mut leads: Vec<String> = Vec::new();
        for condition in self.conditions.iter().filter(|condition| condition.leads) {
            leads.push(format!("({})", self.leading(condition)));
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
        leads.extend(self.range());
        let (text, values) = self.place(beyond);
        leads.extend(text);
        binds.extend(values);
        let filter = if leads.is_empty() { String::new() } else { format!(" WHERE {}", leads.join(" AND ")) };
        let order = self.order(beyond);
        let from = self.source(column);
        let name = self.names.as_ref().map_or("''", |test| test.name);
        let text = format!(
            "SELECT {} AS id, {key} AS k, ({fits}) AS fits, {column} AS v, {name} AS name
             FROM {from}{filter} ORDER BY {order} LIMIT {most}",
            self.id
        );
        (text, binds)
    }

    /// Returns what the walk reads: the table, or the keys, with the table where it is needed.
    fn source(&self, column: &str) -> Cow<'static, str> {
        let Some(keys) = self.keys else { return self.from.into() };
        if !self.has_tests() && self.sort == SortKey::Id && column == NO_VALUE {
            return keys.view.into();
        }
        // In this order SQLite walks along the keys.
        format!("{} CROSS JOIN {table} ON {table}.id = {}.id", keys.view, keys.view, table = self.from).into()
    }

    /// Returns the SQL of a condition that leads, on the columns of the keys if it walks along
    /// them.
    fn leading(&self, condition: &Condition) -> Cow<'static, str> {
        let Some(keys) = self.keys else { return condition.sql.clone() };
        let on_keys = |sql: String, column: &&str| {
            sql.replace(&format!("{}.{column}", self.from), &format!("{}.{column}", keys.view))
        };
        keys.columns.iter().fold(condition.sql.clone().into_owned(), on_keys).into()
    }

    /// Returns the condition on the range of ids. In a list sorted by id it begins at the walk's
    /// position: SQLite starts at the first of two limits that it is given.
    fn range(&self) -> Option<String> {
        let (mut from, mut end) = self.between?;
        if let (SortKey::Id, Some(position)) = (self.sort, self.start.position()) {
            if self.is_upwards() {
                from = from.max(position.id.saturating_add(1));
            } else {
                end = end.min(position.id);
            }
        }
        Some(format!("{id} >= {from} AND {id} < {end}", id = self.id))
    }

    /// Returns the condition on the walk's position, with its parameters.
    fn place(&self, beyond: Beyond) -> (Option<String>, Vec<Bind<'_>>) {
        let Some(position) = self.start.position() else { return (None, Vec::new()) };
        let (sign, id) = (if self.is_upwards() { '>' } else { '<' }, Bind::Integer(position.id));
        match (self.sort.sql(), &position.key, beyond) {
            (Some(sql), Some(key), Beyond::All) if self.has_unique_key() => {
                (Some(format!("{sql} {sign} ?")), vec![key.bind()])
            }
            (Some(sql), Some(key), Beyond::All) => {
                (Some(format!("({sql}, {}) {sign} (?, ?)", self.id)), vec![key.bind(), id])
            }
            (Some(sql), Some(key), Beyond::SameKey) => {
                (Some(format!("{sql} = ? AND {} {sign} ?", self.id)), vec![key.bind(), id])
            }
            (None, _, _) if self.between.is_some() => (None, Vec::new()),
            (Some(sql), Some(key), Beyond::OtherKeys) => (Some(format!("{sql} {sign} ?")), vec![key.bind()]),
            _ => (Some(format!("{} {sign} ?", self.id)), vec![id]),
        }
    }

    fn order(&self, beyond: Beyond) -> String {
        let direction = if self.is_upwards() { "ASC" } else { "DESC" };
        match self.sort.sql().filter(|_| beyond != Beyond::SameKey) {
            // With the id, which is not in its index, PostgreSQL would sort.
            Some(sql) if self.has_unique_key() => format!("{sql} {direction}"),
            Some(sql) => format!("{sql} {direction}, {} {direction}", self.id),
            None => format!("{} {direction}", self.id),
        }
    }

    /// Returns whether no two rows have the same key, so that the order is stable without the id.
    /// All text keys are unique names.
    fn has_unique_key(&self) -> bool {
        matches!(self.sort, SortKey::Text(_))
    }

    fn is_upwards(&self) -> bool {
        self.descending == self.start.is_backwards()
    }

    fn rows(
        &self,
        conn: &mut DbConnection,
        column: &str,
        most: i64,
        beyond: Beyond,
    ) -> QueryResult<Vec<ExaminedRow>> {
        let (text, binds) = self.inner(self.sort.sql().unwrap_or(NO_VALUE), column, most, beyond);
        let seen = |id: i64, key: Option<Value>, fits: Option<bool>, value: i64, name: Option<String>| {
            // A condition on a missing (NULL) column evaluates to NULL, which means "does not
            // match".
            let fits = fits.unwrap_or(false)
                && self.names.as_ref().is_none_or(|test| test.is_passed_by(&name.unwrap_or_default()));
            ExaminedRow { position: Position { key, id }, fits, value }
        };
        Ok(match self.sort {
            SortKey::Id => {
                let rows: Vec<Found<i64>> = DynamicStatement::<Row<BigInt>>::new(text, binds).load(conn)?;
                rows.into_iter().map(|(id, _, fits, value, name)| seen(id, None, fits, value, name)).collect()
            }
            SortKey::Integer(_) => {
                let rows: Vec<Found<i64>> = DynamicStatement::<Row<BigInt>>::new(text, binds).load(conn)?;
                let row =
                    |(id, key, fits, value, name)| seen(id, Some(Value::Integer(key)), fits, value, name);
                rows.into_iter().map(row).collect()
            }
            SortKey::Text(_) => {
                let rows: Vec<Found<String>> = DynamicStatement::<Row<Text>>::new(text, binds).load(conn)?;
                let row = |(id, key, fits, value, name)| seen(id, Some(Value::Text(key)), fits, value, name);
                rows.into_iter().map(row).collect()
            }
            SortKey::Time(_) => {
                let rows: Vec<Found<NaiveDateTime>> =
                    DynamicStatement::<Row<Timestamp>>::new(text, binds).load(conn)?;
                let row = |(id, key, fits, value, name)| seen(id, Some(Value::Time(key)), fits, value, name);
                rows.into_iter().map(row).collect()
            }
        })
    }
}

/// A row of a part, as SQL types: the id, the key, whether the tests of the database are passed,
/// the value of a column, and the name to test.
type Row<K> = (BigInt, K, Nullable<Bool>, BigInt, Nullable<Text>);
/// What is read of such a row.
type Found<K> = (i64, K, Option<bool>, i64, Option<String>);
