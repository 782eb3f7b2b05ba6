//! Lists of any size, a page at a time: which ids stand on a page, in which order.
//!
//! A [`ListQuery`] walks one index, from the place where the last page ended (keyset pagination; the id ends every
//! order, so that it is stable), and never looks at more than [`MOST_LOOKED_AT`] rows. Conditions come in three kinds:
//!
//! * one that *leads* is served by the index that is walked: all rows that are looked at fulfil it;
//! * one that can be *gathered* has an index of its own: if few rows fulfil it, the list is sorted out of those;
//! * any other is tested on each row that is looked at. Where the bound ends the walk, the answer says so.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};

use crate::db::{Bind, DbConnection, DynamicStatement};

/// Rows that one page looks at, at most.
pub const MOST_LOOKED_AT: i64 = 10_000;
/// Ids that are gathered, at most, to be sorted by something else.
pub const MOST_GATHERED: i64 = 4_000;
/// Beyond this a count says "10,000+".
pub const MOST_COUNTED: i64 = 10_000;

/// A value that is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Integer(i64),
    Text(String),
    Time(NaiveDateTime),
}

impl Value {
    fn bind(&self) -> Bind<'_> {
        match self {
            Value::Integer(value) => Bind::Integer(*value),
            Value::Text(value) => Bind::Text(value),
            Value::Time(value) => Bind::Time(*value),
        }
    }
}

/// What a list is sorted by before its id: an expression that is never null and has an index together with the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// By the id alone.
    Id,
    Integer(&'static str),
    Text(&'static str),
    Time(&'static str),
}

impl SortKey {
    fn sql(self) -> Option<&'static str> {
        match self {
            SortKey::Id => None,
            SortKey::Integer(sql) | SortKey::Text(sql) | SortKey::Time(sql) => Some(sql),
        }
    }
}

/// What rows must fulfil. The texts are the source's own, with a `?` for each of `values`.
#[derive(Clone, Debug)]
pub struct Condition {
    pub sql: &'static str,
    pub values: Vec<Value>,
    /// The index that is walked serves it.
    pub leads: bool,
    /// Gives the ids of the rows that fulfil it, by an index: a `SELECT` with the same values.
    pub gather: Option<&'static str>,
}

impl Condition {
    /// One that is tested on each row.
    pub fn tested(sql: &'static str, values: Vec<Value>) -> Condition {
        Condition { sql, values, leads: false, gather: None }
    }

    pub fn leading(sql: &'static str, values: Vec<Value>) -> Condition {
        Condition { sql, values, leads: true, gather: None }
    }

    pub fn gathered(sql: &'static str, values: Vec<Value>, gather: &'static str) -> Condition {
        Condition { sql, values, leads: false, gather: Some(gather) }
    }
}

/// The place of a row in a list: its sort key, unless that is the id alone, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub key: Option<Value>,
    pub id: i64,
}

/// Which page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    First,
    After(Position),
    Before(Position),
    Last,
}

impl Start {
    /// Whether the page is filled from its end.
    fn is_backwards(&self) -> bool {
        matches!(self, Start::Before(_) | Start::Last)
    }

    fn position(&self) -> Option<&Position> {
        match self {
            Start::After(position) | Start::Before(position) => Some(position),
            Start::First | Start::Last => None,
        }
    }
}

/// A list, and the page of it that is asked for.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// A table, or a join that keeps one row for each id.
    pub from: &'static str,
    /// The column of the id, with its table's name.
    pub id: &'static str,
    pub sort: SortKey,
    pub descending: bool,
    pub conditions: Vec<Condition>,
    /// Only these ids, if any are given.
    pub among: Option<Vec<i64>>,
    pub start: Start,
    pub page_size: i64,
}

/// A page of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the list's order.
    pub rows: Vec<Position>,
    /// There are rows before the first one.
    pub has_previous: bool,
    /// There are rows after the last one.
    pub has_next: bool,
    /// The bound ended the walk here; rows beyond it may fulfil the conditions, too.
    pub looked_until: Option<Position>,
}

/// A number that was counted no further than to a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub number: i64,
    /// There are at least so many.
    pub at_least: bool,
}

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
        self.start = Start::First;
        let (inner, binds) = self.inner("0", i64::MAX);
        let fits = if self.has_tests() { " WHERE w.fits" } else { "" };
        let text = format!("SELECT w.id FROM ({inner}) w{fits} LIMIT {}", most.saturating_add(1));
        let ids: Vec<i64> = DynamicStatement::<BigInt>::new(text, binds).load(conn)?;
        Ok((ids.len() as i64 <= most).then_some(ids))
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
        let (inner, binds) = self.inner(self.sort.sql().unwrap_or("0"), self.most_looked_at());
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
        let (inner, binds) = self.inner(self.sort.sql().unwrap_or("0"), self.most_looked_at());
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
