//! Lists of any size, a page at a time: the ids on a page, in their order.
//!
//! A [`ListQuery`] walks one index, from the place where the last page ended (keyset pagination;
//! the id ends every order, so that it is stable). It never examines more than [`MOST_EXAMINED`]
//! rows, nor for longer than a page may take. There are three kinds of conditions:
//!
//! * one that *leads* is served by the index that is walked: all rows that are examined satisfy it;
//! * one that can be *gathered* has its own index: if few rows satisfy it, these are sorted to make
//!   the list;
//! * any other is tested on each row that is examined. If the limit ends the walk, the result says
//!   so.

mod query;
mod walk;

use std::borrow::Cow;

use chrono::NaiveDateTime;

use crate::db::Bind;
use crate::domain::fold;

/// The most rows that are examined for one page.
pub const MOST_EXAMINED: i64 = 10_000;
/// The most ids that are gathered to be sorted by something else.
pub const MOST_GATHERED: i64 = 2_000;
/// The highest number that is counted exactly. The panel shows more as "10,000+".
pub const MOST_COUNTED: i64 = 10_000;

/// A value that a condition or a position compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number, for example an id.
    Integer(i64),
    /// A text, for example a name.
    Text(String),
    /// A time in UTC.
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

/// What a list is sorted by before its id: an SQL expression that is never null and has an index
/// together with the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// The id alone.
    Id,
    /// An expression with a number.
    Integer(&'static str),
    /// An expression with a text that is unique.
    Text(&'static str),
    /// An expression with a time.
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

/// A condition on the rows of a list. Its SQL is a constant of this program, with a `?` for each of
/// `values`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The SQL expression.
    pub sql: Cow<'static, str>,
    /// The values of its parameters.
    pub values: Vec<Value>,
    /// Whether the index that is walked serves it.
    pub leads: bool,
    /// A `SELECT` with the same parameters that returns the ids of the rows that satisfy it, by an
    /// index.
    pub gather: Option<&'static str>,
}

impl Condition {
    /// Makes a condition that is tested on each row.
    pub fn tested(sql: &'static str, values: Vec<Value>) -> Condition {
        Condition { sql: Cow::Borrowed(sql), values, leads: false, gather: None }
    }

    /// Returns whether two conditions ask for the same. How they are served makes no difference.
    pub fn is_same(&self, other: &Condition) -> bool {
        self.sql == other.sql && self.values == other.values
    }

    /// Makes a condition that the index that is walked serves.
    pub fn leading(sql: &'static str, values: Vec<Value>) -> Condition {
        Condition { sql: Cow::Borrowed(sql), values, leads: true, gather: None }
    }

    /// Makes a condition that has its own index, which `gather` reads.
    pub fn gathered(sql: &'static str, values: Vec<Value>, gather: &'static str) -> Condition {
        Condition { sql: Cow::Borrowed(sql), values, leads: false, gather: Some(gather) }
    }
}

/// The position of a row in a list: its sort key and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The sort key. `None` if the list is sorted by the id alone.
    pub key: Option<Value>,
    /// The row's id.
    pub id: i64,
}

/// The page of a list to return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The first page.
    #[default]
    First,
    /// The page after a row.
    After(Position),
    /// The page before a row.
    Before(Position),
    /// The last page.
    Last,
}

impl Start {
    /// Returns whether the page is filled from its end.
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

/// A view that has the ids of a table's rows, and copies of the columns in which conditions lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The name of the view.
    pub view: &'static str,
    /// The columns besides the id.
    pub columns: &'static [&'static str],
}

/// A test of names that the database could not make: it knows no accents.
#[derive(Clone, Debug)]
pub struct NameTest {
    /// An SQL expression with the name.
    pub name: &'static str,
    /// The words, folded ([`fold`]). The folded name must contain all of them.
    pub words: Vec<String>,
}

impl NameTest {
    /// Returns whether a name contains all words.
    pub fn is_passed_by(&self, name: &str) -> bool {
        let name = fold(name);
        self.words.iter().all(|word| name.contains(word.as_str()))
    }
}

/// A list, and the page of it to return.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// A table, or a join that has one row for each id.
    pub from: &'static str,
    /// The column of the id, with the name of its table, or of the keys.
    pub id: &'static str,
    /// The keys along which to walk instead of the table.
    pub keys: Option<Keys>,
    /// Where the tested conditions find their columns, if not in `from`: a table and how its row is
    /// found, such as `users WHERE users.id = user_balances.user_id`. With a join, the planner
    /// could walk another index.
    pub tests_on: Option<&'static str>,
    /// What the list is sorted by.
    pub sort: SortKey,
    /// Whether the highest key comes first.
    pub descending: bool,
    /// The conditions that all rows of the list satisfy.
    pub conditions: Vec<Condition>,
    /// The words that a name must contain, however it is written.
    pub names: Option<NameTest>,
    /// Limits the list to ids from the first value up to, but not including, the second.
    pub between: Option<(i64, i64)>,
    /// Limits the list to these ids.
    pub among: Option<Vec<i64>>,
    /// The page to return.
    pub start: Start,
    /// The most rows of a page.
    pub page_size: i64,
}

/// A page of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows of the page, in the list's order.
    pub rows: Vec<Position>,
    /// Whether there are rows before the first one.
    pub has_previous: bool,
    /// Whether there are rows after the last one.
    pub has_next: bool,
    /// The last row that was examined, if the limit ended the walk. Rows beyond it may satisfy the
    /// conditions, too.
    pub looked_until: Option<Position>,
}

/// A number that was counted up to a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The number of rows that were counted.
    pub number: i64,
    /// Whether there may be more.
    pub at_least: bool,
}

impl Count {
    /// Returns whether the number is exact, or the highest that is counted.
    pub fn is_full(&self) -> bool {
        !self.at_least || self.number >= MOST_COUNTED
    }
}

/// The sums of a signed column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The sum of the positive values.
    pub given: i64,
    /// The sum of the negative values.
    pub taken: i64,
    /// The number of rows that were summed.
    pub number: i64,
    /// Whether there are more rows than were examined.
    pub is_cut: bool,
}

impl Sums {
    /// The sum of all values.
    pub fn net(&self) -> i64 {
        self.given.saturating_add(self.taken)
    }
}
