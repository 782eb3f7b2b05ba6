//! The sweeper: refunds holds whose deadline is past, as after a crash, and forgets old idempotency keys. It runs
//! on every node; two at once do no harm, as each hold is ended by one statement that only one of them wins.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Timestamp;

use super::hold::{Ended, Ending, end_hold};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::OperationId;
use crate::error::Result;
use crate::models::{ChatState, StoredKey};
use crate::schema::chats::dsl;

/// Why a swept chat failed.
const REASON: &str = "no answer before the deadline";

/// How long an idempotency key is kept.
const KEEP_KEYS: TimeDelta = TimeDelta::hours(24);

/// Holds that one sweep ends, at most; the next one comes soon.
const HOLDS_A_SWEEP: i64 = 5000;

/// Refunds the holds whose deadline is past; answers how many. A hold that cannot be ended (its ledger was damaged, say)
/// is told to the log, and does not keep the others waiting.
pub async fn sweep(db: &Db) -> Result<usize> {
    let mut refunded = 0;
    let overdue = db.read(|conn| Ok(overdue(conn, clock::now(), HOLDS_A_SWEEP)?)).await?;
    for (chat_id, user_id) in overdue {
        let operation_id = OperationId::generate();
        let job = move |conn: &mut DbConnection| {
            let ending = Ending::failed(REASON);
            Ok(end_hold(conn, chat_id, &ending, operation_id, clock::now())?)
        };
        match db.write_bulk(Scope::user(user_id), job).await {
            Ok(Ended::Now { .. }) => refunded += 1,
            Ok(_) => {}
            Err(error) => {
                log::error!("chat {chat_id}: its hold is past its deadline and could not be refunded");
                error.log();
            }
        }
    }
    Ok(refunded)
}

/// Holds past their deadline, with the user of each. On PostgreSQL the database's clock decides, since the nodes'
/// may differ.
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

/// Forgets the idempotency keys that are older than 24 hours; answers how many.
pub async fn forget_idempotency_keys(db: &Db) -> Result<usize> {
    db.write_in_parts(|conn, most| Ok(StoredKey::forget(conn, clock::now() - KEEP_KEYS, most)?)).await
}
