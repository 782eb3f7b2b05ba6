//! `follower_marks`, `user_balances`, `quarter_totals` and `chats_to_follow`: the tables that the
//! follower maintains.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::db::{Bind, DbConnection, DynamicStatement, Statement};
use crate::models::{Chat, ChatState};
use crate::schema::{chats, chats_to_follow, follower_marks, quarter_totals};

/// How far the follower has got in a table that it reads: an id.
#[derive(Debug)]
pub struct Watermark;

impl Watermark {
    /// Returns the highest id that the follower has processed.
    pub fn position(conn: &mut DbConnection, table: &str) -> QueryResult<i64> {
        follower_marks::table.find(table).select(follower_marks::position).get_result(conn)
    }

    /// Blocks the follower of a table until the transaction has ended, or waits for it. A
    /// transaction that changes what the follower may just have read must call this first. (SQLite
    /// has one writer anyway.)
    pub fn lock(conn: &mut DbConnection, table: &str) -> QueryResult<()> {
        let DbConnection::Postgres(conn) = conn else { return Ok(()) };
        let watermark = follower_marks::table.find(table).select(follower_marks::position);
        watermark.for_update().get_result::<i64>(conn).map(|_| ())
    }

    /// Moves the position from `from` to `to`. Returns `false` if it is no longer at `from`.
    pub fn advance(conn: &mut DbConnection, table: &str, from: i64, to: i64) -> QueryResult<bool> {
        let target = follower_marks::table
            .filter(follower_marks::name.eq(table))
            .filter(follower_marks::position.eq(from));
        Ok(diesel::update(target).set(follower_marks::position.eq(to)).execute(conn)? == 1)
    }
}

/// A copy of a user's balance, which lists sort by.
#[derive(Debug)]
pub struct UserBalance;

impl UserBalance {
    /// Inserts the balance of a new user, unless the ledger's follower has done so.
    pub fn add(conn: &mut DbConnection, user_id: i64, tokens: i64) -> QueryResult<usize> {
        let text =
            "INSERT INTO user_balances (user_id, balance) VALUES (?, ?) ON CONFLICT (user_id) DO NOTHING";
        let binds = vec![Bind::Integer(user_id), Bind::Integer(tokens)];
        DynamicStatement::<()>::new(text.to_owned(), binds).execute(conn)
    }

    /// Stores the balances of users, by user id.
    pub fn set(conn: &mut DbConnection, balances: &BTreeMap<i64, i64>) -> QueryResult<()> {
        match conn {
            DbConnection::Sqlite(conn) => balances.iter().try_for_each(|(user_id, balance)| {
                struct SetBalance;
                let text = "INSERT INTO user_balances (user_id, balance) VALUES (?, ?)
                            ON CONFLICT (user_id) DO UPDATE SET balance = excluded.balance";
                let binds = vec![Bind::Integer(*user_id), Bind::Integer(*balance)];
                Statement::<SetBalance>::new(text, binds).execute(conn).map(|_| ())
            }),
            // All in one statement: a round trip to the server takes longer than storing a row.
            DbConnection::Postgres(conn) => {
                let listed = |numbers: Vec<&i64>| {
                    numbers.into_iter().map(i64::to_string).collect::<Vec<_>>().join(",")
                };
                let (users, values) =
                    (listed(balances.keys().collect()), listed(balances.values().collect()));
                let text = "INSERT INTO user_balances (user_id, balance)
                            SELECT * FROM unnest(CAST(string_to_array(?, ',') AS BIGINT[]),
                                                 CAST(string_to_array(?, ',') AS BIGINT[]))
                            ON CONFLICT (user_id) DO UPDATE SET balance = excluded.balance";
                let binds = vec![Bind::Text(&users), Bind::Text(&values)];
                DynamicStatement::<()>::new(text.to_owned(), binds).execute(conn).map(|_| ())
            }
        }
    }
}

/// A sum of what happened in a period, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct QuarterTotal {
    /// What was counted.
    pub kind: String,
    /// The number of events.
    pub count: i64,
    /// The sum of their amounts.
    pub amount: i64,
}

impl QuarterTotal {
    /// Adds to the sum of a kind in one quarter of an hour.
    pub fn add(
        conn: &mut DbConnection,
        quarter: NaiveDateTime,
        kind: &str,
        count: i64,
        amount: i64,
    ) -> QueryResult<usize> {
        let text = "INSERT INTO quarter_totals (quarter, kind, count, amount) VALUES (?, ?, ?, ?)
                    ON CONFLICT (quarter, kind) DO UPDATE SET count = quarter_totals.count + excluded.count,
                                                              amount = quarter_totals.amount + excluded.amount";
        let binds = vec![Bind::Time(quarter), Bind::Text(kind), Bind::Integer(count), Bind::Integer(amount)];
        DynamicStatement::<()>::new(text.to_owned(), binds).execute(conn)
    }

    /// Returns the sums by kind since a moment, which must be the beginning of a quarter of an
    /// hour.
    pub fn since(conn: &mut DbConnection, from: NaiveDateTime) -> QueryResult<Vec<QuarterTotal>> {
        let sum = |column: &str| sql::<BigInt>(&format!("CAST(sum({column}) AS BIGINT)"));
        quarter_totals::table
            .filter(quarter_totals::quarter.ge(from))
            .group_by(quarter_totals::kind)
            .select((quarter_totals::kind, sum("count"), sum("amount")))
            .load(conn)
    }
}

/// A chat that was pending when the follower read it, or that was answered after it had failed.
#[derive(Debug)]
pub struct ToFollow;

impl ToFollow {
    /// Lets the follower process a chat when it ends, or again if it was already processed.
    pub fn insert(conn: &mut DbConnection, chat_id: i64) -> QueryResult<usize> {
        let text = "INSERT INTO chats_to_follow (chat_id) VALUES (?) ON CONFLICT (chat_id) DO NOTHING";
        DynamicStatement::<()>::new(text.to_owned(), vec![Bind::Integer(chat_id)]).execute(conn)
    }

    /// Returns the chats that are no longer pending, the oldest first.
    pub fn ended(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<Chat>> {
        let waiting = chats_to_follow::table.select(chats_to_follow::chat_id);
        chats::table
            .filter(chats::id.eq_any(waiting))
            .filter(chats::state.ne(ChatState::Pending.as_str()))
            .order(chats::id)
            .limit(most)
            .select(Chat::as_select())
            .load(conn)
    }

    /// Removes a chat that was processed. Returns whether it was there.
    pub fn delete(conn: &mut DbConnection, chat_id: i64) -> QueryResult<bool> {
        Ok(diesel::delete(chats_to_follow::table.find(chat_id)).execute(conn)? == 1)
    }
}
