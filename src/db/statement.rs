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
use diesel::sql_types::{BigInt, Binary, HasSqlType, Nullable, Text, Timestamp};

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
    /// A time in UTC.
    Time(NaiveDateTime),
    /// A time in UTC, or NULL.
    MaybeTime(Option<NaiveDateTime>),
    /// The time at which the statement runs. On PostgreSQL it comes from the database's clock,
    /// because the nodes' clocks differ. On SQLite it is this value.
    Now(NaiveDateTime),
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

impl<Id, Row, DB> QueryFragment<DB> for Statement<'_, Id, Row>
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
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        walk(self.text, &self.binds, out)
    }
}

/// Writes the text with the parameters in their places.
fn walk<'b, DB>(text: &str, binds: &'b [Bind<'_>], mut out: AstPass<'_, 'b, DB>) -> QueryResult<()>
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
    NaiveDateTime: ToSql<Timestamp, DB>,
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
                Some(Bind::Time(value)) => out.push_bind_param::<Timestamp, _>(value)?,
                Some(Bind::Now(_)) if TypeId::of::<DB>() == TypeId::of::<Pg>() => {
                    out.push_sql("(clock_timestamp() AT TIME ZONE 'UTC')")
                }
                Some(Bind::Now(value)) => out.push_bind_param::<Timestamp, _>(value)?,
                Some(Bind::MaybeTime(value)) => out.push_bind_param::<Nullable<Timestamp>, _>(value)?,
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

impl<Row, DB> QueryFragment<DB> for DynamicStatement<'_, Row>
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
    NaiveDateTime: ToSql<Timestamp, DB>,
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
