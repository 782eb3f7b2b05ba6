//! What is open or went wrong, as numbers beside the panel's menu. Every page shows them, so each
//! is counted only up to [`MOST`].

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::db::{Bind, DbConnection, Statement, on_either};

/// The highest number that is counted. The menu shows `99+` beyond.
pub const MOST: i64 = 99;

/// Numbers of what is open or went wrong, each at most [`MOST`] and one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenWork {
    /// Pending chats, each of which holds tokens.
    pub holds: i64,
    /// Pending chats past their deadline.
    pub overdue: i64,
    /// Bulk operations that failed for some of their rows.
    pub failed_bulk: i64,
}

impl OpenWork {
    /// Counts what is open now. Bulk operations count if they began at `since` or later. All of it
    /// is one statement, because on PostgreSQL each costs a round trip.
    pub fn count(conn: &mut DbConnection, now: NaiveDateTime, since: NaiveDateTime) -> QueryResult<OpenWork> {
        struct CountOpenWork;
        let most = Bind::Integer(MOST + 1);
        let statement = Statement::<CountOpenWork, (BigInt, BigInt, BigInt)>::new(
            "SELECT (SELECT CAST(count(*) AS BIGINT) FROM
                        (SELECT 1 FROM chats WHERE state <> 'complete' AND state = 'pending'
                         ORDER BY id LIMIT ?) a),
                    (SELECT CAST(count(*) AS BIGINT) FROM
                        (SELECT 1 FROM chats WHERE state = 'pending' AND deadline < ? LIMIT ?) b),
                    (SELECT CAST(count(*) AS BIGINT) FROM
                        (SELECT failed, created_at FROM bulk_operations ORDER BY id DESC LIMIT ?) c
                     WHERE c.failed > 0 AND c.created_at >= ?)",
            vec![most, Bind::Time(now), most, most, Bind::Time(since)],
        );
        let (holds, overdue, failed_bulk) = on_either!(conn => statement.get_result(conn))?;
        Ok(OpenWork { holds, overdue, failed_bulk })
    }
}
