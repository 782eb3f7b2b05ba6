//! Times in columns. SQLite stores them as text. Diesel's own conversion interprets a format string
//! for each, which takes longer than finding the row.

use chrono::NaiveDateTime;
use diesel::connection::Connection;
use diesel::deserialize::{self, FromSql, FromSqlRow, Queryable};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Nullable, Timestamp};
use diesel::sqlite::Sqlite;

use super::connection::DbConnection;
use super::statement::Bind;
use crate::clock;

/// A connection to either database, as Diesel sees it.
type Either = <DbConnection as Connection>::Backend;

/// A time in UTC, in a column or as a parameter. A field of a row that is a time has the attribute
/// `#[diesel(deserialize_as = StoredTime)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromSqlRow, AsExpression)]
#[diesel(sql_type = Timestamp)]
pub struct StoredTime(pub NaiveDateTime);

/// A time in UTC that may be NULL. A field that is an optional time has the attribute
/// `#[diesel(deserialize_as = MaybeStoredTime)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeStoredTime(Option<StoredTime>);

impl From<StoredTime> for NaiveDateTime {
    fn from(time: StoredTime) -> NaiveDateTime {
        time.0
    }
}

impl From<MaybeStoredTime> for Option<NaiveDateTime> {
    fn from(time: MaybeStoredTime) -> Option<NaiveDateTime> {
        time.0.map(NaiveDateTime::from)
    }
}

impl<DB> Queryable<Nullable<Timestamp>, DB> for MaybeStoredTime
where
    DB: diesel::backend::Backend,
    Option<StoredTime>: diesel::deserialize::FromStaticSqlRow<Nullable<Timestamp>, DB>,
{
    type Row = Option<StoredTime>;

    fn build(row: Option<StoredTime>) -> deserialize::Result<Self> {
        Ok(MaybeStoredTime(row))
    }
}

impl FromSql<Timestamp, Sqlite> for StoredTime {
    fn from_sql(mut value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        match clock::parse_stored_text(value.read_text()) {
            Some(time) => Ok(StoredTime(time)),
            // Other programs may have stored it in another form.
            None => <NaiveDateTime as FromSql<Timestamp, Sqlite>>::from_sql(value).map(StoredTime),
        }
    }
}

impl FromSql<Timestamp, Pg> for StoredTime {
    fn from_sql(value: <Pg as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <NaiveDateTime as FromSql<Timestamp, Pg>>::from_sql(value).map(StoredTime)
    }
}

impl FromSql<Timestamp, Either> for StoredTime {
    fn from_sql(value: <Either as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<StoredTime, Timestamp>()
    }
}

impl ToSql<Timestamp, Sqlite> for StoredTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(clock::stored_text(self.0));
        Ok(IsNull::No)
    }
}

impl ToSql<Timestamp, Pg> for StoredTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Timestamp, Pg>::to_sql(&self.0, out)
    }
}

impl ToSql<Timestamp, Sqlite> for Bind<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let Some(time) = self.time() else { return Ok(IsNull::Yes) };
        out.set_value(clock::stored_text(*time));
        Ok(IsNull::No)
    }
}

impl ToSql<Timestamp, Pg> for Bind<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        self.time().map_or(Ok(IsNull::Yes), |time| ToSql::<Timestamp, Pg>::to_sql(time, out))
    }
}

impl ToSql<Timestamp, Either> for Bind<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Either>) -> serialize::Result {
        self.time().map_or(Ok(IsNull::Yes), |time| ToSql::<Timestamp, Either>::to_sql(time, out))
    }
}
