//! A batch of charges on PostgreSQL, as one set-based statement: `postgres.sql`.
//!
//! It is a query type of its own and not a `sql_query`, so that Diesel prepares it once and
//! PostgreSQL plans it once.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamp};

use super::replay::{find_done, id_of, seen_before};
use super::types::{Charge, Charged, Verdict};
use crate::db::DbConnection;
use crate::db::tally::{ChatEnd, Moved, note_chats, note_entries};
use crate::error::{Error, Result};
use crate::models::StoredKey;

const SQL: &str = include_str!("postgres.sql");

/// Runs the charges in order, one statement for each run of charges of the same kind and price. (A
/// window function in the statement decides which of one user's charges the balance covers, and
/// needs equal prices.) Returns `None` for a charge whose payer's row another transaction has
/// locked. With `again`, an earlier COMMIT may have done some of the charges, so they are looked up
/// first.
pub(super) fn run(conn: &mut DbConnection, charges: &[&Charge], again: bool) -> Result<Vec<Option<Verdict>>> {
    let locked = if again || !is_one_statement(charges) { Some(lock_payers(conn, charges)?) } else { None };
    // Looked up under the lock: a COMMIT that is still in progress holds it.
    let done = if again { find_done(conn, charges)? } else { HashMap::new() };
    let open: Vec<&Charge> =
        charges.iter().copied().filter(|charge| !done.contains_key(&id_of(charge))).collect();
    let mut verdicts = Vec::with_capacity(open.len());
    for equal in open.chunk_by(|a, b| alike(a, b)) {
        let rows = execute(conn, equal, locked.as_deref())?;
        for (charge, row) in equal.iter().zip(rows) {
            verdicts.push(verdict(conn, charge, row)?);
        }
    }
    let mut verdicts = verdicts.into_iter();
    let verdict = |charge: &&Charge| match done.get(&id_of(charge)) {
        Some(charged) => Some(Verdict::Charged(*charged)),
        None => verdicts.next().flatten(),
    };
    Ok(charges.iter().map(verdict).collect())
}

/// Returns whether the charges need no look-up under a lock before their statement, or after it,
/// and can share one.
pub(super) fn is_one_statement(charges: &[&Charge]) -> bool {
    let looks_elsewhere = charges.iter().any(|charge| charge.key.is_some() || charge.is_hold());
    !looks_elsewhere && charges.iter().all(|charge| alike(charge, charges[0]))
}

/// Returns whether two charges can share a statement.
fn alike(a: &Charge, b: &Charge) -> bool {
    (a.price, a.is_hold(), a.concurrent_chats) == (b.price, b.is_hold(), b.concurrent_chats)
}

/// Locks the rows of all payers that can be locked, before anything else, and returns their ids. A
/// single statement would lock them by itself. But it reads all other tables as they were when it
/// began, so it would miss an idempotency key or a hold that was committed just before it locked
/// the row.
fn lock_payers(conn: &mut DbConnection, charges: &[&Charge]) -> Result<Vec<i64>> {
    let digests = charges.iter().map(|charge| charge.auth_token.as_bytes().as_slice()).collect();
    Ok(LockPayers { digests }.load(postgres(conn)?)?)
}

/// Locks the rows of the payers. A query type of its own for the same reason as [`ChargeSet`]: each
/// hold runs it.
struct LockPayers<'a> {
    digests: Vec<&'a [u8]>,
}

impl QueryFragment<Pg> for LockPayers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT id FROM users WHERE id IN (SELECT user_id FROM auth_tokens WHERE digest = ANY (",
        );
        out.push_bind_param::<Array<Binary>, _>(&self.digests)?;
        out.push_sql(")) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED");
        Ok(())
    }
}

impl QueryId for LockPayers<'_> {
    type QueryId = LockPayers<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for LockPayers<'_> {
    type SqlType = BigInt;
}

impl RunQueryDsl<PgConnection> for LockPayers<'_> {}

fn postgres(conn: &mut DbConnection) -> Result<&mut PgConnection> {
    match conn {
        DbConnection::Postgres(conn) => Ok(conn),
        DbConnection::Sqlite(_) => Err(Error::Internal("the set-based charge is for PostgreSQL".to_owned())),
    }
}

fn execute(conn: &mut DbConnection, charges: &[&Charge], locked: Option<&[i64]>) -> Result<Vec<Row>> {
    Ok(ChargeSet::new(charges, locked).load(postgres(conn)?)?)
}

fn verdict(conn: &mut DbConnection, charge: &Charge, row: Row) -> Result<Option<Verdict>> {
    if row.is_locked {
        return Ok(None);
    }
    let (Some(user_id), Some(balance)) = (row.payer_id, row.balance) else {
        return Ok(Some(Verdict::Unauthorized));
    };
    if let (Some(chat_id), Some(created_at)) = (row.chat_id, row.charged_at) {
        note_entries(Moved::Charge, 1, charge.price);
        note_chats(ChatEnd::Complete, usize::from(!charge.is_hold()));
        return Ok(Some(Verdict::Charged(Charged { chat_id, user_id, balance, created_at })));
    }
    if let Some((key, fingerprint)) = &charge.key {
        // The key was used in an earlier batch, or by an earlier charge of this one.
        if let Some(stored) = StoredKey::find(conn, user_id, key.as_str())? {
            return seen_before(conn, &stored, fingerprint, balance).map(Some);
        }
        // The key was just deleted, after its 24 hours. A retry will not find it.
        if row.seen_chat_id.is_some() {
            return Ok(Some(Verdict::InFlight));
        }
    }
    // Some of the rejected charges would have been covered by the balance.
    if charge.is_hold() && balance >= charge.price {
        return Ok(Some(Verdict::TooManyHolds));
    }
    Ok(Some(Verdict::Insufficient { balance }))
}

/// A row of the result. The rows are in the order of the charges.
#[derive(Queryable)]
struct Row {
    payer_id: Option<i64>,
    /// The payer's balance after this charge, or, if it was rejected, when it was considered.
    balance: Option<i64>,
    seen_chat_id: Option<i64>,
    chat_id: Option<i64>,
    charged_at: Option<NaiveDateTime>,
    /// Whether another transaction has locked the payer's row.
    is_locked: bool,
}

struct ChargeSet<'a> {
    price: i64,
    /// The ids of the payers that were locked before. `None` if none were.
    locked: Option<&'a [i64]>,
    digests: Vec<&'a [u8]>,
    messages: Vec<&'a str>,
    models: Vec<&'a str>,
    responses: Vec<Option<&'a str>>,
    hold_seconds: Vec<i64>,
    operation_ids: Vec<&'a [u8]>,
    keys: Vec<Option<&'a str>>,
    fingerprints: Vec<Option<&'a [u8]>>,
    conversation_ids: Vec<Option<i64>>,
    endpoints: Vec<&'static str>,
    /// The limit of a user's simultaneous holds. `None` if the charges are not holds.
    concurrent_chats: Option<i64>,
}

impl<'a> ChargeSet<'a> {
    fn new(charges: &[&'a Charge], locked: Option<&'a [i64]>) -> Self {
        ChargeSet {
            price: charges.first().map_or(0, |charge| charge.price),
            locked,
            digests: charges.iter().map(|c| c.auth_token.as_bytes().as_slice()).collect(),
            messages: charges.iter().map(|c| c.message.as_str()).collect(),
            models: charges.iter().map(|c| c.model.as_str()).collect(),
            responses: charges.iter().map(|c| c.response.as_deref()).collect(),
            hold_seconds: charges
                .iter()
                .map(|c| i64::try_from(c.hold_for.as_secs()).unwrap_or(i64::MAX))
                .collect(),
            operation_ids: charges.iter().map(|c| c.operation_id.as_bytes().as_slice()).collect(),
            keys: charges.iter().map(|c| c.key.as_ref().map(|(key, _)| key.as_str())).collect(),
            fingerprints: charges
                .iter()
                .map(|c| c.key.as_ref().map(|(_, f)| f.as_bytes().as_slice()))
                .collect(),
            conversation_ids: charges.iter().map(|c| c.conversation_id).collect(),
            endpoints: charges.iter().map(|c| c.endpoint.code()).collect(),
            concurrent_chats: charges.first().filter(|c| c.is_hold()).map(|c| c.concurrent_chats),
        }
    }
}

impl QueryFragment<Pg> for ChargeSet<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut number = 0;
        let mut rest = SQL;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_sql(before);
            number += 1;
            match number {
                1 => out.push_bind_param::<BigInt, _>(&self.price)?,
                2 => out.push_bind_param::<Nullable<Array<BigInt>>, _>(&self.locked)?,
                3 => out.push_bind_param::<Array<Binary>, _>(&self.digests)?,
                4 => out.push_bind_param::<Array<Text>, _>(&self.messages)?,
                5 => out.push_bind_param::<Array<Text>, _>(&self.models)?,
                6 => out.push_bind_param::<Array<Nullable<Text>>, _>(&self.responses)?,
                7 => out.push_bind_param::<Array<BigInt>, _>(&self.hold_seconds)?,
                8 => out.push_bind_param::<Array<Binary>, _>(&self.operation_ids)?,
                9 => out.push_bind_param::<Array<Nullable<Text>>, _>(&self.keys)?,
                10 => out.push_bind_param::<Array<Nullable<Binary>>, _>(&self.fingerprints)?,
                11 => out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.conversation_ids)?,
                12 => out.push_bind_param::<Array<Text>, _>(&self.endpoints)?,
                _ => out.push_bind_param::<Nullable<BigInt>, _>(&self.concurrent_chats)?,
            }
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        out.push_sql(rest);
        Ok(())
    }
}

impl QueryId for ChargeSet<'_> {
    type QueryId = ChargeSet<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for ChargeSet<'_> {
    type SqlType =
        (Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<Timestamp>, Bool);
}

impl RunQueryDsl<PgConnection> for ChargeSet<'_> {}
