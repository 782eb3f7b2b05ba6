//! Finds the id up to which no new rows can appear.
//!
//! SQLite has one writer, so ids appear in order. On PostgreSQL a transaction draws its ids before
//! it commits, and a later one may commit first. Each of our transactions has its transaction id
//! before it draws one of these ids: it locks a user's row first, or takes the transaction id on
//! purpose. The follower reads the highest visible id, and then a transaction id as a bound. Every
//! transaction that may still add a row below the visible id has a transaction id below the bound.
//! Once all of those have ended, the rows up to the visible id are settled.
//!
//! Transactions of the cluster's other databases draw none of these ids. So only this database's
//! open transactions count, one by one, including prepared ones. A snapshot knows only the oldest
//! of the whole cluster.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::Followed;
use crate::db::{Bind, DbConnection, DynamicStatement};

/// For each table, the highest id that was visible, and the transaction id before which all
/// transactions must have ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Settled([(i64, i64); Followed::ALL.len()]);

/// What [`read`] has read of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// The highest visible id.
    pub highest: i64,
    /// `None` if ids always appear in order.
    transactions: Option<Transactions>,
}

#[derive(Clone, Copy, Debug)]
struct Transactions {
    /// All transactions of this database before this one have ended.
    oldest_open: i64,
    /// Every transaction that may still add an id below the highest one has an id below this.
    bound: i64,
}

/// The open transactions of this database that have an id. PostgreSQL lists the lower 32 bits. The
/// missing upper bits are those of the id that is drawn next, or one less.
const OPEN: &str = "
    SELECT next.id + (CAST(CAST(open.xid AS TEXT) AS BIGINT) - next.id % 4294967296 + 6442450944) % 4294967296 - 2147483648
        AS id, open.who
    FROM (SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) AS id) next,
        (SELECT backend_xid AS xid, format('process %s of %s (%s)', pid, usename, application_name) AS who
         FROM pg_stat_activity
         WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
         UNION ALL
         SELECT transaction, format('prepared transaction %s of %s', quote_literal(gid), owner)
         FROM pg_prepared_xacts WHERE database = current_database()) open";

/// Reads a table that is followed up to `watermark`. A transaction id is drawn only if there are
/// new rows.
pub(super) fn read(conn: &mut DbConnection, followed: Followed, watermark: i64) -> QueryResult<Reading> {
    if matches!(conn, DbConnection::Sqlite(_)) {
        return Ok(Reading { highest: highest(conn, followed)?, transactions: None });
    }
    let text = format!(
        "SELECT coalesce(max(id), 0), (SELECT coalesce(min(id), ?) FROM ({OPEN}) o),
                CASE WHEN coalesce(max(id), 0) > ? THEN CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) ELSE 0 END
         FROM {}",
        followed.table()
    );
    let binds = vec![Bind::Integer(i64::MAX), Bind::Integer(watermark)];
    let row = DynamicStatement::<(BigInt, BigInt, BigInt)>::new(text, binds);
    let (highest, oldest_open, bound): (i64, i64, i64) = row.get_result(conn)?;
    Ok(Reading { highest, transactions: Some(Transactions { oldest_open, bound }) })
}

/// Describes the oldest open transaction of this database. `None` if there is none.
pub(super) fn oldest(conn: &mut DbConnection) -> QueryResult<Option<String>> {
    if matches!(conn, DbConnection::Sqlite(_)) {
        return Ok(None);
    }
    let text = format!("SELECT who FROM ({OPEN}) o ORDER BY id LIMIT 1");
    DynamicStatement::<Text>::new(text, Vec::new()).get_result(conn).optional()
}

impl Settled {
    /// Remembers what was read, and returns the id up to which the table is settled (0 if none).
    pub(super) fn observe(&mut self, followed: Followed, reading: Reading) -> i64 {
        let Some(transactions) = reading.transactions else { return reading.highest };
        let index = Followed::ALL.iter().position(|other| *other == followed).unwrap_or_default();
        let Some(remembered) = self.0.get_mut(index) else { return 0 };
        let (highest, before) = *remembered;
        if transactions.oldest_open < before {
            return 0;
        }
        *remembered = (reading.highest, transactions.bound);
        highest
    }
}

/// Returns the highest visible id of a table; 0 if the table is empty.
pub(super) fn highest(conn: &mut DbConnection, followed: Followed) -> QueryResult<i64> {
    let text = format!("SELECT coalesce(max(id), 0) FROM {}", followed.table());
    DynamicStatement::<BigInt>::new(text, Vec::new()).get_result(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_settled_when_all_that_may_bring_a_lower_one_have_ended() {
        let mut settled = Settled::default();
        let mut observe = |highest, oldest_open, bound| {
            let transactions = Some(Transactions { oldest_open, bound });
            settled.observe(Followed::Chats, Reading { highest, transactions })
        };
        assert_eq!(observe(10, 100, 103), 0, "100 may be open, and 102 have drawn 9");
        assert_eq!(observe(20, 102, 105), 0, "102 is open still");
        assert_eq!(observe(30, 103, 110), 10, "now none of them is");
        assert_eq!(observe(40, 109, 115), 0);
        assert_eq!(observe(40, 115, 0), 30);
        assert_eq!(observe(40, 115, 0), 40, "nothing new, so nobody is waited for");
    }

    #[test]
    fn where_there_is_one_writer_all_that_is_visible_is_settled() {
        let reading = Reading { highest: 7, transactions: None };
        assert_eq!(Settled::default().observe(Followed::Chats, reading), 7);
    }
}
