//! Statements with a fixed text, prepared once for each connection.
//!
//! Diesel prepares an UPDATE at each call, and builds the text of an INSERT to find it among the
//! prepared ones. In the charge, which is nearly all that is ever written, both take longer than
//! the statement itself.

use std::any::TypeId;
use std::marker::PhantomData;

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, Binary, HasSqlType, Nullable, Text, Timestamp};

/// The value of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum Bind<'a> {
    /// A number.
    Integer(i64),
    /// A number, or NULL.
    MaybeInteger(Option<i64>),
    /// A text.
    Text(&'a str),
    /// A text, or NULL.
    MaybeText(Option<&'a str>),
    /// Bytes, for example a digest.
    Bytes(&'a [u8]),
    /// Bytes, or NULL.
    MaybeBytes(Option<&'a [u8]>),
    /// A time in UTC.
    Time(NaiveDateTime),
    /// A time in UTC, or NULL.
    MaybeTime(Option<NaiveDateTime>),
    /// The time at which the statement runs. On PostgreSQL it comes from the database's clock,
    /// because the nodes' clocks differ. On SQLite it is this value.
    Now(NaiveDateTime),
}

impl Bind<'_> {
    /// Returns the time, if it is one.
    pub(super) fn time(&self) -> Option<&NaiveDateTime> {
        match self {
            Bind::Time(time) | Bind::Now(time) => Some(time),
            Bind::MaybeTime(time) => time.as_ref(),
            _ => None,
        }
    }
}

/// Makes sure, when it is compiled, that a query's text is built only once for each connection:
/// Diesel then finds the prepared statement by the query's type. Only with `on_either!`, because
/// `DbConnection` itself builds the text at each call.
pub fn fixed<Q: QueryId>(query: Q) -> Q {
    const { assert!(Q::HAS_STATIC_QUERY_ID, "the text of this query would be built at each call") };
    query
}

/// A statement with a fixed text. `text` has a `?` for each of `binds`, and no other. `Id` is a
/// type that no other statement has: Diesel finds the prepared statement by it. `Row` is the SQL
/// type of the result.
#[derive(Debug)]
pub struct Statement<'a, Id, Row = ()> {
    text: &'static str,
    binds: Vec<Bind<'a>>,
    types: PhantomData<(Id, Row)>,
}

impl<'a, Id, Row> Statement<'a, Id, Row> {
    /// Makes a statement. Its `Id` must belong to this `text` only.
    pub fn new(text: &'static str, binds: Vec<Bind<'a>>) -> Self {
        Statement { text, binds, types: PhantomData }
    }
}

impl<'a, Id, Row, DB> QueryFragment<DB> for Statement<'a, Id, Row>
where
    DB: Backend
        + 'static
        + HasSqlType<BigInt>
        + HasSqlType<Text>
        + HasSqlType<diesel::sql_types::Binary>
        + HasSqlType<Timestamp>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
    [u8]: ToSql<Binary, DB>,
    Bind<'a>: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        walk(self.text, &self.binds, out)
    }
}

/// Writes the text with the parameters in their places.
fn walk<'a, 'b, DB>(text: &str, binds: &'b [Bind<'a>], mut out: AstPass<'_, 'b, DB>) -> QueryResult<()>
where
    DB: Backend
        + 'static
        + HasSqlType<BigInt>
        + HasSqlType<Text>
        + HasSqlType<diesel::sql_types::Binary>
        + HasSqlType<Timestamp>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
    [u8]: ToSql<Binary, DB>,
    Bind<'a>: ToSql<Timestamp, DB>,
{
    let mut binds = binds.iter();
    for (number, piece) in text.split('?').enumerate() {
        if number > 0 {
            match binds.next() {
                Some(Bind::Integer(value)) => out.push_bind_param::<BigInt, _>(value)?,
                Some(Bind::MaybeInteger(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Some(Bind::Text(value)) => out.push_bind_param::<Text, _>(*value)?,
                Some(Bind::MaybeText(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                Some(Bind::Bytes(value)) => out.push_bind_param::<Binary, _>(*value)?,
                Some(Bind::MaybeBytes(value)) => out.push_bind_param::<Nullable<Binary>, _>(value)?,
                Some(Bind::Now(_)) if TypeId::of::<DB>() == TypeId::of::<Pg>() => {
                    out.push_sql("(clock_timestamp() AT TIME ZONE 'UTC')")
                }
                Some(time @ (Bind::Time(_) | Bind::MaybeTime(_) | Bind::Now(_))) => {
                    out.push_bind_param::<Timestamp, _>(time)?
                }
                None => return Err(diesel::result::Error::QueryBuilderError("too few values".into())),
            }
        }
        out.push_sql(piece);
    }
    Ok(())
}

impl<Id: 'static, Row: 'static> QueryId for Statement<'_, Id, Row> {
    type QueryId = Statement<'static, Id, Row>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Id, Row> Query for Statement<'_, Id, Row> {
    type SqlType = Row;
}

impl<Id, Row, Conn> RunQueryDsl<Conn> for Statement<'_, Id, Row> {}

/// A statement over `ROWS` rows of values. `text` has the values of one row in braces:
/// `INSERT INTO pairs (a, b) VALUES {(?, ?)}`. `binds` are those of all rows, one after the other.
/// There is no `?` outside the braces. As for [`Statement`], `Id` is a type that no other
/// statement has.
#[derive(Debug)]
pub struct RowsStatement<'a, Id, Row, const ROWS: usize> {
    text: &'static str,
    binds: Vec<Bind<'a>>,
    types: PhantomData<(Id, Row)>,
}

impl<'a, Id, Row, const ROWS: usize> RowsStatement<'a, Id, Row, ROWS> {
    /// Makes a statement. Its `Id` must belong to this `text` only.
    pub fn new(text: &'static str, binds: Vec<Bind<'a>>) -> Self {
        RowsStatement { text, binds, types: PhantomData }
    }

    fn part_of_a_row(&self) -> QueryResult<usize> {
        if ROWS == 0 || !self.binds.len().is_multiple_of(ROWS) {
            return Err(diesel::result::Error::QueryBuilderError("the rows are not of one length".into()));
        }
        Ok(self.binds.len() / ROWS)
    }
}

impl<'a, Id, Row, DB, const ROWS: usize> QueryFragment<DB> for RowsStatement<'a, Id, Row, ROWS>
where
    DB: Backend
        + 'static
        + HasSqlType<BigInt>
        + HasSqlType<Text>
        + HasSqlType<diesel::sql_types::Binary>
        + HasSqlType<Timestamp>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
    [u8]: ToSql<Binary, DB>,
    Bind<'a>: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let (before, rest) = self.text.split_once('{').unwrap_or((self.text, ""));
        let (row, after) = rest.split_once('}').unwrap_or((rest, ""));
        out.push_sql(before);
        for (number, binds) in self.binds.chunks(self.part_of_a_row()?.max(1)).enumerate() {
            if number > 0 {
                out.push_sql(", ");
            }
            walk(row, binds, out.reborrow())?;
        }
        out.push_sql(after);
        Ok(())
    }
}

impl<Id: 'static, Row: 'static, const ROWS: usize> QueryId for RowsStatement<'_, Id, Row, ROWS> {
    type QueryId = RowsStatement<'static, Id, Row, ROWS>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Id, Row, const ROWS: usize> Query for RowsStatement<'_, Id, Row, ROWS> {
    type SqlType = Row;
}

impl<Id, Row, Conn, const ROWS: usize> RunQueryDsl<Conn> for RowsStatement<'_, Id, Row, ROWS> {}

/// A statement on PostgreSQL with one parameter, a list of ids, which is the `?` in its text. `Id`
/// and `Row` are as in [`Statement`].
#[derive(Debug)]
pub struct IdsStatement<'a, Id, Row = ()> {
    text: &'static str,
    ids: &'a [i64],
    types: PhantomData<(Id, Row)>,
}

impl<'a, Id, Row> IdsStatement<'a, Id, Row> {
    /// Makes a statement. Its `Id` must belong to this `text` only.
    pub fn new(text: &'static str, ids: &'a [i64]) -> Self {
        IdsStatement { text, ids, types: PhantomData }
    }
}

impl<Id, Row> QueryFragment<Pg> for IdsStatement<'_, Id, Row> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let (before, after) = self.text.split_once('?').unwrap_or((self.text, ""));
        out.push_sql(before);
        out.push_bind_param::<Array<BigInt>, _>(&self.ids)?;
        out.push_sql(after);
        Ok(())
    }
}

impl<Id: 'static, Row: 'static> QueryId for IdsStatement<'_, Id, Row> {
    type QueryId = IdsStatement<'static, Id, Row>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Id, Row> Query for IdsStatement<'_, Id, Row> {
    type SqlType = Row;
}

impl<Id, Row> RunQueryDsl<PgConnection> for IdsStatement<'_, Id, Row> {}

/// A statement whose text is built at run time from constants of this program. Everything that
/// comes from outside is one of `binds`.
#[derive(Debug)]
pub struct DynamicStatement<'a, Row = ()> {
    text: String,
    binds: Vec<Bind<'a>>,
    types: PhantomData<Row>,
}

impl<'a, Row> DynamicStatement<'a, Row> {
    /// Makes a statement. As for [`Statement`], `text` has a `?` for each of `binds`.
    pub fn new(text: String, binds: Vec<Bind<'a>>) -> Self {
        DynamicStatement { text, binds, types: PhantomData }
    }
}

impl<'a, Row, DB> QueryFragment<DB> for DynamicStatement<'a, Row>
where
    DB: Backend
        + 'static
        + HasSqlType<BigInt>
        + HasSqlType<Text>
        + HasSqlType<diesel::sql_types::Binary>
        + HasSqlType<Timestamp>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
    [u8]: ToSql<Binary, DB>,
    Bind<'a>: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // There is a text for each combination of filters, so none is kept prepared.
        out.unsafe_to_cache_prepared();
        walk(&self.text, &self.binds, out)
    }
}

impl<Row> QueryId for DynamicStatement<'_, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> Query for DynamicStatement<'_, Row> {
    type SqlType = Row;
}

impl<Row, Conn> RunQueryDsl<Conn> for DynamicStatement<'_, Row> {}
