//! The sweeper refunds holds whose deadline is past, for example after a crash, and deletes old
//! idempotency keys. It runs on every node, one at a time. Two at once would be correct, since one
//! statement ends each hold and only one of them succeeds, but they would only wait for each other.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Timestamp;

use super::hold::{Ended, Ending, end_hold};
use crate::clock;
use crate::db::{Db, DbConnection, Exclusive, Scope, exclusive, lock_users};
use crate::domain::{FailureReason, OperationId};
use crate::error::{Error, Result};
use crate::models::{ChatState, EmbeddingAnswer, StoredKey};
use crate::schema::chats::dsl;

/// How long an idempotency key is stored, and the embeddings that were made under it.
const KEEP_KEYS: TimeDelta = TimeDelta::hours(24);

/// The most holds that one sweep ends. The next sweep follows soon.
const HOLDS_A_SWEEP: i64 = 5000;
/// The number of holds that are ended in one transaction.
const PART: usize = 100;

/// The ids of a hold and of its user.
type Hold = (i64, i64);

/// Refunds the holds whose deadline is past, and returns their number. On PostgreSQL one node at a
/// time does so. If a hold cannot be ended (for example, because its ledger is damaged or its
/// user's row is locked), it is logged, and the others are still refunded.
pub async fn sweep(db: &Db) -> Result<usize> {
    let mut refunded = 0;
    let overdue = db.read(|conn| Ok(overdue(conn, clock::now(), HOLDS_A_SWEEP)?)).await?;
    for part in overdue.chunks(PART) {
        match end(db, part.to_vec()).await {
            Ok(Some(count)) => refunded += count,
            // Another node sweeps.
            Ok(None) => return Ok(refunded),
            Err(_) if part.len() > 1 => refunded += end_by_user(db, part).await,
            Err(error) => log_failures(part, &error),
        }
    }
    Ok(refunded)
}

/// Ends each user's holds separately. If that fails, ends each hold separately. Returns how many
/// were refunded.
async fn end_by_user(db: &Db, part: &[Hold]) -> usize {
    let mut refunded = 0;
    let mut part = part.to_vec();
    part.sort_unstable_by_key(|(_, user_id)| *user_id);
    for of_one in part.chunk_by(|(_, one), (_, other)| one == other) {
        match end(db, of_one.to_vec()).await {
            Ok(count) => refunded += count.unwrap_or(0),
            // The user's row is locked.
            Err(Error::Unavailable(why)) => log_failures(of_one, &Error::Unavailable(why)),
            Err(_) => {
                for hold in of_one {
                    match end(db, vec![*hold]).await {
                        Ok(count) => refunded += count.unwrap_or(0),
                        Err(error) => log_failures(&[*hold], &error),
                    }
                }
            }
        }
    }
    refunded
}

/// Ends holds in one transaction. Returns the number that were still open, or `None` if another
/// node is sweeping.
async fn end(db: &Db, part: Vec<Hold>) -> Result<Option<usize>> {
    let users: Vec<i64> = part.iter().map(|(_, user_id)| *user_id).collect();
    let part: Vec<(i64, OperationId)> =
        part.into_iter().map(|(chat_id, _)| (chat_id, OperationId::generate())).collect();
    let job = move |conn: &mut DbConnection| {
        if !exclusive(conn, Exclusive::Sweep)? {
            return Ok(None);
        }
        // Lock users before chats, as all other transactions do.
        lock_users(conn, users.clone())?;
        let mut ended = 0;
        for (chat_id, operation_id) in &part {
            let outcome = end_hold(
                conn,
                *chat_id,
                &Ending::failed(FailureReason::DeadlinePassed),
                *operation_id,
                clock::now(),
            )?;
            ended += usize::from(matches!(outcome, Ended::Now { .. } | Ended::Earlier { .. }));
        }
        Ok(Some(ended))
    };
    db.write_bulk(Scope::none(), job).await
}

fn log_failures(holds: &[Hold], error: &Error) {
    for (chat_id, user_id) in holds {
        log::error!(
            chat_id = *chat_id, user_id = *user_id;
            "chat {chat_id}: its hold is past its deadline and could not be refunded"
        );
    }
    error.log(None);
}

/// Returns the holds past their deadline, with the user of each. On PostgreSQL the database's clock
/// decides, since the nodes' clocks may differ.
fn overdue(conn: &mut DbConnection, now: NaiveDateTime, most: i64) -> QueryResult<Vec<(i64, i64)>> {
    let holds = dsl::chats
        .filter(dsl::state.eq(ChatState::Pending.as_str()))
        .order(dsl::deadline)
        .limit(most)
        .select((dsl::id, dsl::user_id));
    match conn {
        DbConnection::Postgres(conn) => {
            let now = sql::<Timestamp>("(clock_timestamp() AT TIME ZONE 'UTC')");
            holds.filter(dsl::deadline.assume_not_null().lt(now)).load(conn)
        }
        DbConnection::Sqlite(conn) => holds.filter(dsl::deadline.lt(now)).load(conn),
    }
}

/// Deletes the idempotency keys that are older than 24 hours, and returns how many.
pub async fn forget_idempotency_keys(db: &Db) -> Result<usize> {
    db.write_in_parts(|conn, most| Ok(StoredKey::forget(conn, clock::now() - KEEP_KEYS, most)?)).await
}

/// Deletes the embeddings whose idempotency keys are older than 24 hours, and returns of how many
/// chats.
pub async fn forget_embeddings(db: &Db) -> Result<usize> {
    db.write_in_parts(|conn, most| Ok(EmbeddingAnswer::forget(conn, clock::now() - KEEP_KEYS, most)?)).await
}
