//! Lists of any size, a page at a time: which ids stand on a page, in which order.
//!
//! A [`ListQuery`] walks one index, from the place where the last page ended (keyset pagination; the id ends every
//! order, so that it is stable), and never looks at more than [`MOST_LOOKED_AT`] rows, nor longer than a page may take.
//! Conditions come in three kinds:
//!
//! * one that *leads* is served by the index that is walked: all rows that are looked at fulfil it;
//! * one that can be *gathered* has an index of its own: if few rows fulfil it, the list is sorted out of those;
//! * any other is tested on each row that is looked at. Where the bound ends the walk, the answer says so.

mod query;
mod walk;

use std::borrow::Cow;

use chrono::NaiveDateTime;

use crate::db::Bind;

/// Rows that one page looks at, at most.
pub const MOST_LOOKED_AT: i64 = 10_000;
/// Ids that are gathered, at most, to be sorted by something else.
pub const MOST_GATHERED: i64 = 2_000;
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
    /// A text that is unique.
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
    pub sql: Cow<'static, str>,
    pub values: Vec<Value>,
    /// The index that is walked serves it.
    pub leads: bool,
    /// Gives the ids of the rows that fulfil it, by an index: a `SELECT` with the same values.
    pub gather: Option<&'static str>,
}

impl Condition {
    /// One that is tested on each row.
    pub fn tested(sql: &'static str, values: Vec<Value>) -> Condition {
        Condition { sql: Cow::Borrowed(sql), values, leads: false, gather: None }
    }

    /// Whether it asks for the same; how it is served makes no difference.
    pub fn is_same(&self, other: &Condition) -> bool {
        self.sql == other.sql && self.values == other.values
    }

    pub fn leading(sql: &'static str, values: Vec<Value>) -> Condition {
        Condition { sql: Cow::Borrowed(sql), values, leads: true, gather: None }
    }

    pub fn gathered(sql: &'static str, values: Vec<Value>, gather: &'static str) -> Condition {
        Condition { sql: Cow::Borrowed(sql), values, leads: false, gather: Some(gather) }
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
    /// Where the conditions that are tested find their columns, if that is not `from`: a table and how its row is found,
    /// such as `users WHERE users.id = user_balances.user_id`. A join would let the planner walk something else.
    pub tests_on: Option<&'static str>,
    pub sort: SortKey,
    pub descending: bool,
    pub conditions: Vec<Condition>,
    /// Only ids from the first to before the second, if they are given.
    pub between: Option<(i64, i64)>,
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

/// What was given and what was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub given: i64,
    pub taken: i64,
    /// Rows that were summed up.
    pub number: i64,
    /// There are more rows than were looked at.
    pub is_cut: bool,
}
