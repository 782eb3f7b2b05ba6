//! The statements of a batch of charges. Nearly each is over a list of rows, which is divided into
//! parts of 64, 32, … rows: so there are seven lengths, and each statement of each length is
//! prepared once.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::super::types::{Charge, Charged};
use crate::db::{Bind, RowsStatement, Statement};
use crate::models::{ChatState, EntryKind};

/// An accepted charge.
pub(super) struct Accepted<'a> {
    /// Its place in the batch.
    pub place: usize,
    pub charge: &'a Charge,
    pub charged: Charged,
}

/// The payer of the charge at a place. A charge that nobody may pay has none.
#[derive(Queryable)]
pub(super) struct Found {
    pub place: i64,
    pub user_id: i64,
    pub balance: i64,
    /// The user's own limit of simultaneous holds.
    pub most_holds: Option<i64>,
    /// The number of simultaneous holds. `None` if the charge is not a hold.
    pub holds: Option<i64>,
}

/// Runs `$run` with `ROWS` as the number of rows of `$part`, which has one of the seven lengths.
macro_rules! with_rows {
    ($part:expr, $run:ident) => {
        match $part.len() {
            64 => $run::<64>,
            32 => $run::<32>,
            16 => $run::<16>,
            8 => $run::<8>,
            4 => $run::<4>,
            2 => $run::<2>,
            _ => $run::<1>,
        }
    };
}

/// Divides a list into parts of the seven lengths, the longest first.
fn parts<T>(mut list: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = if list.len() >= 64 { 64 } else { 1 << list.len().checked_ilog2()? };
        let (part, rest) = list.split_at(length);
        list = rest;
        Some(part)
    })
}

/// Returns the highest id of a chat, or 0. The next chat gets the next id, as SQLite would give it:
/// chats are never deleted.
pub(super) fn last_chat_id(conn: &mut SqliteConnection) -> QueryResult<i64> {
    struct LastChat;
    let statement =
        Statement::<LastChat, BigInt>::new("SELECT coalesce((SELECT max(id) FROM chats), 0)", Vec::new());
    statement.get_result(conn)
}

/// Finds the payers. `times` are the times of the charges.
pub(super) fn find_payers(
    conn: &mut SqliteConnection,
    charges: &[&Charge],
    times: &[String],
) -> QueryResult<Vec<Found>> {
    let mut payers = Vec::with_capacity(charges.len());
    let given: Vec<Given<'_>> = charges
        .iter()
        .zip(times)
        .enumerate()
        .map(|(place, (charge, now))| (place, *charge, now.as_str()))
        .collect();
    for part in parts(&given) {
        payers.extend(with_rows!(part, find_some_payers)(conn, part)?);
    }
    Ok(payers)
}

/// A charge with its place and time.
type Given<'a> = (usize, &'a Charge, &'a str);

fn find_some_payers<const ROWS: usize>(
    conn: &mut SqliteConnection,
    given: &[Given<'_>],
) -> QueryResult<Vec<Found>> {
    struct FindPayers;
    type Row = (BigInt, BigInt, BigInt, Nullable<BigInt>, Nullable<BigInt>);
    let binds = given.iter().flat_map(|(place, charge, now)| {
        [
            Bind::Integer(i64::try_from(*place).unwrap_or(i64::MAX)),
            Bind::Bytes(charge.auth_token.as_bytes()),
            Bind::Text(now),
            Bind::Integer(i64::from(charge.is_hold())),
        ]
    });
    // Look-ups of single rows instead of joins: if SQLite believes that a table is small, it reads
    // all of it for a join, and goes on to do so when it is large.
    let statement = RowsStatement::<FindPayers, Row, ROWS>::new(
        "WITH given (place, digest, now, is_hold) AS (VALUES {(?, ?, ?, ?)}),
         bearer AS MATERIALIZED (
             SELECT place, is_hold, (
                 SELECT user_id FROM auth_tokens WHERE digest = given.digest AND revoked_at IS NULL
                     AND (expires_at IS NULL OR expires_at > given.now)
             ) AS user_id FROM given
         )
         SELECT place, user_id, (SELECT tokens FROM users WHERE id = bearer.user_id),
             (SELECT concurrent_chats FROM users WHERE id = bearer.user_id),
             CASE WHEN is_hold THEN
                 (SELECT count(*) FROM chats WHERE user_id = bearer.user_id AND state = 'pending')
             END
         FROM bearer WHERE (SELECT is_active FROM users WHERE id = bearer.user_id)",
        binds.collect(),
    );
    statement.load(conn)
}

/// Debits balances, each by a guarded statement: it changes a row only if the balance covers the
/// debit. `debits` are users, each once, and amounts. Returns the number of users who were debited.
///
/// Not one statement over a list, which would be a join: see [`find_payers`].
pub(super) fn debit(conn: &mut SqliteConnection, debits: &[(i64, i64)]) -> QueryResult<usize> {
    struct Debit;
    let debit = |(user_id, amount): &(i64, i64)| {
        let statement = Statement::<Debit>::new(
            "UPDATE users SET tokens = tokens - ? WHERE id = ? AND tokens >= ?",
            vec![Bind::Integer(*amount), Bind::Integer(*user_id), Bind::Integer(*amount)],
        );
        statement.execute(conn)
    };
    debits.iter().map(debit).sum()
}

/// Inserts the chats. `times` are the times of all charges of the batch.
pub(super) fn insert_chats(
    conn: &mut SqliteConnection,
    accepted: &[Accepted<'_>],
    times: &[String],
) -> QueryResult<()> {
    parts(accepted).try_for_each(|part| with_rows!(part, insert_some_chats)(conn, part, times))
}

fn insert_some_chats<const ROWS: usize>(
    conn: &mut SqliteConnection,
    accepted: &[Accepted<'_>],
    times: &[String],
) -> QueryResult<()> {
    struct InsertChats;
    let binds = accepted.iter().flat_map(|accepted| {
        let Accepted { charge, charged, .. } = accepted;
        let now = time_of(accepted, times);
        let state = if charge.is_hold() { ChatState::Pending } else { ChatState::Complete };
        let deadline: Option<NaiveDateTime> = charge.is_hold().then(|| charge.now + charge.hold_for);
        [
            Bind::Integer(charged.chat_id),
            Bind::Integer(charged.user_id),
            Bind::Text(&charge.message),
            Bind::MaybeText(charge.response.as_deref()),
            Bind::Text(&charge.model),
            Bind::Text(state.as_str()),
            Bind::Integer(charge.price),
            Bind::Text(now),
            Bind::MaybeText(charge.response.is_some().then_some(now)),
            Bind::MaybeTime(deadline),
            Bind::MaybeInteger(charge.conversation_id),
            Bind::Text(charge.endpoint.code()),
            Bind::Integer(i64::from(charge.endpoint.is_listed())),
        ]
    });
    let statement = RowsStatement::<InsertChats, (), ROWS>::new(
        "INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at,
                            deadline, conversation_id, endpoint, is_listed)
         VALUES {(?, ?, ?, ?, ?, ?, ?, 'live', ?, ?, ?, ?, ?, ?)}",
        binds.collect(),
    );
    statement.execute(conn).map(|_| ())
}

/// Inserts the ledger entries. `times` are the times of all charges of the batch.
pub(super) fn insert_entries(
    conn: &mut SqliteConnection,
    accepted: &[Accepted<'_>],
    times: &[String],
) -> QueryResult<()> {
    parts(accepted).try_for_each(|part| with_rows!(part, insert_some_entries)(conn, part, times))
}

fn insert_some_entries<const ROWS: usize>(
    conn: &mut SqliteConnection,
    accepted: &[Accepted<'_>],
    times: &[String],
) -> QueryResult<()> {
    struct InsertEntries;
    let binds = accepted.iter().flat_map(|accepted| {
        let Accepted { charge, charged, .. } = accepted;
        [
            Bind::Integer(charged.user_id),
            Bind::Integer(-charge.price),
            Bind::Integer(charged.balance),
            Bind::Text(EntryKind::Charge.as_str()),
            Bind::Integer(charged.chat_id),
            Bind::Bytes(charge.operation_id.as_bytes()),
            Bind::Text(time_of(accepted, times)),
        ]
    });
    let statement = RowsStatement::<InsertEntries, (), ROWS>::new(
        "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
         VALUES {(?, ?, ?, ?, ?, ?, ?)}",
        binds.collect(),
    );
    statement.execute(conn).map(|_| ())
}

/// Returns a charge's time as Diesel stores it in SQLite. It is formatted once for each charge.
fn time_of<'a>(accepted: &Accepted<'_>, times: &'a [String]) -> &'a str {
    times.get(accepted.place).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_divided_into_parts_of_seven_lengths() {
        let lengths = |count: usize| parts(&vec![0; count]).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(0), [0; 0]);
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(7), [4, 2, 1]);
        assert_eq!(lengths(64), [64]);
        assert_eq!(lengths(128 + 33), [64, 64, 32, 1]);
    }
}
