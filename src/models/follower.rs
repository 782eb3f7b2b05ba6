//! `follower_marks`, `user_balances`, `quarter_totals` and `chats_to_follow`: the tables that the
//! follower maintains.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::{ANCHOR, Bind, DbConnection, DynamicStatement, Statement};
use crate::models::ChatState;
use crate::schema::{chats, chats_to_follow, follower_marks};

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

    /// Prepares the transaction for the insertion of a user or of an entry of the history. It gives
    /// the transaction its id before the row's id is drawn, which the follower relies on. (The ids
    /// of chats and ledger entries are drawn after a user's row was locked, which has the same
    /// effect.)
    pub fn before_insert(conn: &mut DbConnection) -> QueryResult<()> {
        match conn {
            DbConnection::Sqlite(_) => Ok(()),
            DbConnection::Postgres(conn) => {
                diesel::sql_query("SELECT pg_current_xact_id()").execute(conn).map(|_| ())
            }
        }
    }

    /// Moves the position from `from` to `to`. Returns `false` if it is no longer at `from`.
    pub fn advance(conn: &mut DbConnection, table: &str, from: i64, to: i64) -> QueryResult<bool> {
        let target = follower_marks::table
            .filter(follower_marks::name.eq(table))
            .filter(follower_marks::position.eq(from));
        let has_moved = diesel::update(target).set(follower_marks::position.eq(to)).execute(conn)? == 1;
        if has_moved && matches!(conn, DbConnection::Sqlite(_)) {
            let text = format!("UPDATE follower_marks SET anchor = ({ANCHOR}) WHERE name = ?");
            DynamicStatement::<()>::new(text, vec![Bind::Text(table)]).execute(conn)?;
        }
        Ok(has_moved)
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

/// The sums of each quarter of an hour, by kind of event.
#[derive(Debug)]
pub struct QuarterTotal;

impl QuarterTotal {
    /// Adds to the sum of a kind in one quarter of an hour.
    pub fn add(
        conn: &mut DbConnection,
        quarter: NaiveDateTime,
        kind: &str,
        count: i64,
        amount: i64,
    ) -> QueryResult<usize> {
        // Grants to many users may exceed the range of an integer together. Then the sum stays at
        // its end.
        let sum = match conn {
            DbConnection::Sqlite(_) => format!(
                "CASE WHEN typeof(quarter_totals.amount + excluded.amount) = 'integer'
                           THEN quarter_totals.amount + excluded.amount
                      WHEN excluded.amount > 0 THEN {} ELSE {} END",
                i64::MAX,
                -i64::MAX
            ),
            DbConnection::Postgres(_) => format!(
                "CAST(least(greatest(CAST(quarter_totals.amount AS NUMERIC) + excluded.amount, {}), {}) AS BIGINT)",
                -i64::MAX,
                i64::MAX
            ),
        };
        let text = format!(
            "INSERT INTO quarter_totals (quarter, kind, count, amount) VALUES (?, ?, ?, ?)
             ON CONFLICT (quarter, kind) DO UPDATE SET count = quarter_totals.count + excluded.count, amount = {sum}"
        );
        let binds = vec![Bind::Time(quarter), Bind::Text(kind), Bind::Integer(count), Bind::Integer(amount)];
        DynamicStatement::<()>::new(text, binds).execute(conn)
    }
}

impl QuarterTotal {
    /// Returns the number and the sum of each kind of event in a period, as far as the follower has
    /// got. A period begins and ends where a quarter of an hour does, and excludes its end.
    pub fn of_period(
        conn: &mut DbConnection,
        from: NaiveDateTime,
        to: NaiveDateTime,
    ) -> QueryResult<Vec<(String, i64, i64)>> {
        let text = "SELECT kind, CAST(sum(count) AS BIGINT), CAST(sum(amount >> 32) AS BIGINT),
                           CAST(sum(amount & 4294967295) AS BIGINT)
                    FROM quarter_totals WHERE quarter >= ? AND quarter < ? GROUP BY kind";
        let binds = vec![Bind::Time(from), Bind::Time(to)];
        let rows: Vec<(String, i64, i64, i64)> =
            DynamicStatement::<(Text, BigInt, BigInt, BigInt)>::new(text.to_owned(), binds).load(conn)?;
        let total = |(kind, count, upper, lower)| (kind, count, whole((upper, lower)));
        Ok(rows.into_iter().map(total).collect())
    }
}

/// What happened in a period, as far as the follower has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodTotals {
    /// Messages that were charged.
    pub messages: i64,
    /// Those chats of the period that failed, whenever that was.
    pub failed: i64,
    /// What users have paid: charges, less settlements and refunds, in tokens.
    pub spent: i64,
    /// What administrators have added to balances, in tokens.
    pub granted: i64,
    /// What was refunded, in tokens.
    pub refunded: i64,
}

/// Makes a sum from the sums of its upper and lower 32 bits. One that exceeds the range of an
/// integer is the highest or the lowest.
fn whole((upper, lower): (i64, i64)) -> i64 {
    let sum = (i128::from(upper) << 32) + i128::from(lower);
    i64::try_from(sum).unwrap_or(if sum > 0 { i64::MAX } else { i64::MIN })
}

/// The place of a period, its messages and its failures; and three sums of amounts, each as the
/// sums of its upper and lower 32 bits.
type PeriodRow = ((i64, i64, i64), (i64, i64), (i64, i64), (i64, i64));
/// The SQL types of a [`PeriodRow`].
type PeriodColumns = ((BigInt, BigInt, BigInt), (BigInt, BigInt), (BigInt, BigInt), (BigInt, BigInt));

/// The most periods that are read at once. SQLite limits the parts of a statement.
const MOST_PERIODS: usize = 200;

impl PeriodTotals {
    /// Returns the sums of each period. A period begins and ends where a quarter of an hour does,
    /// and excludes its end. At most 200 are read.
    pub fn of(
        conn: &mut DbConnection,
        periods: &[(NaiveDateTime, NaiveDateTime)],
    ) -> QueryResult<Vec<PeriodTotals>> {
        let periods = periods.get(..MOST_PERIODS).unwrap_or(periods);
        if periods.is_empty() {
            return Ok(Vec::new());
        }
        let sum = |column: &str, kinds: &str| {
            format!("CAST(coalesce(sum({column}) FILTER (WHERE kind IN ({kinds})), 0) AS BIGINT)")
        };
        // A sum of amounts may exceed the range of an integer, those of its halves cannot.
        let halves = |kinds: &str| [sum("amount >> 32", kinds), sum("amount & 4294967295", kinds)].join(", ");
        let sums = [
            sum("count", "'charge'"),
            sum("count", "'failed'"),
            halves("'charge', 'settlement', 'refund'"),
            halves("'granted'"),
            halves("'refund'"),
        ]
        .join(", ");
        let one = |place: usize| {
            format!(
                "SELECT CAST({place} AS BIGINT) AS place, {sums} FROM quarter_totals
                 WHERE quarter >= ? AND quarter < ?"
            )
        };
        let text = (0..periods.len()).map(one).collect::<Vec<_>>().join(" UNION ALL ");
        let binds = periods.iter().flat_map(|(from, to)| [Bind::Time(*from), Bind::Time(*to)]).collect();
        let rows = DynamicStatement::<PeriodColumns>::new(text, binds);
        let mut rows: Vec<PeriodRow> = rows.load(conn)?;
        rows.sort_unstable();
        let totals = rows.into_iter().map(|((_, messages, failed), moved, granted, refunded)| PeriodTotals {
            messages,
            failed,
            spent: whole(moved).saturating_neg(),
            granted: whole(granted),
            refunded: whole(refunded),
        });
        Ok(totals.collect())
    }

    /// Adds the sums of two periods.
    #[must_use]
    pub fn and(self, other: PeriodTotals) -> PeriodTotals {
        PeriodTotals {
            messages: self.messages.saturating_add(other.messages),
            failed: self.failed.saturating_add(other.failed),
            spent: self.spent.saturating_add(other.spent),
            granted: self.granted.saturating_add(other.granted),
            refunded: self.refunded.saturating_add(other.refunded),
        }
    }
}

/// A change of a row that the follower has already read, on SQLite: a name, the texts of a chat, or
/// those of an entry of the history.
/// The follower reads these changes in the order of their ids. (On PostgreSQL the change itself
/// writes the index, in its own transaction.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexChange {
    /// A user was renamed.
    User(i64),
    /// The texts of a chat were removed, or an answer was added after its end.
    Chat(i64),
    /// The texts of an entry of the history were removed, or the entry was.
    Entry(i64),
}

impl IndexChange {
    /// Notes a change, in the transaction of the change.
    pub fn insert(self, conn: &mut SqliteConnection) -> QueryResult<usize> {
        let (kind, id) = match self {
            IndexChange::User(id) => ("user", id),
            IndexChange::Chat(id) => ("chat", id),
            IndexChange::Entry(id) => ("entry", id),
        };
        let text = "INSERT INTO index_changes (kind, object_id) VALUES (?, ?)".to_owned();
        DynamicStatement::<()>::new(text, vec![Bind::Text(kind), Bind::Integer(id)]).execute(conn)
    }

    /// Returns the changes after an id, with their ids.
    pub fn after(conn: &mut DbConnection, position: i64, most: i64) -> QueryResult<Vec<(i64, IndexChange)>> {
        let text = "SELECT id, kind, object_id FROM index_changes WHERE id > ? ORDER BY id LIMIT ?";
        let binds = vec![Bind::Integer(position), Bind::Integer(most)];
        let rows: Vec<(i64, String, i64)> =
            DynamicStatement::<(BigInt, Text, BigInt)>::new(text.to_owned(), binds).load(conn)?;
        let change = |(id, kind, object_id): (i64, String, i64)| match kind.as_str() {
            "user" => (id, IndexChange::User(object_id)),
            "entry" => (id, IndexChange::Entry(object_id)),
            _ => (id, IndexChange::Chat(object_id)),
        };
        Ok(rows.into_iter().map(change).collect())
    }

    /// Returns the id of the last change; 0 if there is none.
    pub fn last(conn: &mut DbConnection) -> QueryResult<i64> {
        let text = "SELECT coalesce(max(id), 0) FROM index_changes".to_owned();
        DynamicStatement::<BigInt>::new(text, Vec::new()).get_result(conn)
    }

    /// Deletes old changes, except the last [`CHANGES_KEPT`]. An index that has not read them finds
    /// a gap before the next one, and is built anew.
    pub fn forget(conn: &mut DbConnection, most: i64) -> QueryResult<usize> {
        let text = "DELETE FROM index_changes WHERE id IN (
                        SELECT id FROM index_changes WHERE id <= (SELECT max(id) FROM index_changes) - ?
                        ORDER BY id LIMIT ?)";
        let binds = vec![Bind::Integer(CHANGES_KEPT), Bind::Integer(most)];
        DynamicStatement::<()>::new(text.to_owned(), binds).execute(conn)
    }
}

/// How many changes are kept for an index that is behind.
const CHANGES_KEPT: i64 = 100_000;

/// A chat that was pending when the follower read it, or that was answered after it had failed.
#[derive(Debug)]
pub struct ToFollow;

impl ToFollow {
    /// Lets the follower process a chat again, in the transaction that changes its texts.
    pub fn again(conn: &mut DbConnection, chat_id: i64) -> QueryResult<usize> {
        match conn {
            DbConnection::Sqlite(conn) => IndexChange::Chat(chat_id).insert(conn),
            conn @ DbConnection::Postgres(_) => ToFollow::insert(conn, chat_id),
        }
    }

    /// Lets the follower process a chat when it ends, or again if it was already processed.
    pub fn insert(conn: &mut DbConnection, chat_id: i64) -> QueryResult<usize> {
        let text = "INSERT INTO chats_to_follow (chat_id) VALUES (?) ON CONFLICT (chat_id) DO NOTHING";
        DynamicStatement::<()>::new(text.to_owned(), vec![Bind::Integer(chat_id)]).execute(conn)
    }

    /// Returns the ids of the chats that are no longer pending, the oldest first.
    pub fn ended(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<i64>> {
        let waiting = chats_to_follow::table.select(chats_to_follow::chat_id);
        chats::table
            .filter(chats::id.eq_any(waiting))
            .filter(chats::state.ne(ChatState::Pending.as_str()))
            .order(chats::id)
            .limit(most)
            .select(chats::id)
            .load(conn)
    }

    /// Removes a chat that was processed. Returns whether it was there.
    pub fn delete(conn: &mut DbConnection, chat_id: i64) -> QueryResult<bool> {
        Ok(diesel::delete(chats_to_follow::table.find(chat_id)).execute(conn)? == 1)
    }
}
