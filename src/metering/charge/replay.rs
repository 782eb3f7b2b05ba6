//! Charges that were made before: by an earlier COMMIT with an unknown outcome, or by an earlier
//! request with the same idempotency key.

use std::collections::HashMap;

use crate::db::DbConnection;
use crate::domain::Fingerprint;
use crate::error::Result;
use crate::models::{Chat, ChatState, LedgerEntry, MOST_READ, StoredKey};

use super::types::{Charge, Charged, Verdict};

pub(super) fn id_of(charge: &Charge) -> Vec<u8> {
    charge.operation_id.as_bytes().to_vec()
}

/// Returns the charges that were committed, by their operation ids.
pub(super) fn find_done(conn: &mut DbConnection, charges: &[&Charge]) -> Result<HashMap<Vec<u8>, Charged>> {
    let ids: Vec<Vec<u8>> = charges.iter().copied().map(id_of).collect();
    let entries = LedgerEntry::find_by_operations(conn, &ids)?;
    let charged = |entry: LedgerEntry| {
        let (user_id, balance, created_at) = (entry.user_id, entry.balance_after, entry.created_at);
        entry.chat_id.map(|chat_id| (entry.operation_id, Charged { chat_id, user_id, balance, created_at }))
    };
    Ok(entries.into_iter().filter_map(charged).collect())
}

/// Runs those of the charges that were not committed, and returns the verdicts on all of them.
pub(super) fn without_done(
    conn: &mut DbConnection,
    charges: &[&Charge],
    run: impl FnOnce(&mut DbConnection, &[&Charge]) -> Result<Vec<Option<Verdict>>>,
) -> Result<Vec<Option<Verdict>>> {
    let done = find_done(conn, charges)?;
    let open: Vec<&Charge> =
        charges.iter().copied().filter(|charge| !done.contains_key(&id_of(charge))).collect();
    let mut verdicts = run(conn, &open)?.into_iter();
    let verdict = |charge: &&Charge| match done.get(&id_of(charge)) {
        Some(charged) => Some(Verdict::Charged(*charged)),
        None => verdicts.next().flatten(),
    };
    Ok(charges.iter().map(verdict).collect())
}

/// Returns the verdict on a request whose idempotency key is stored.
pub(super) fn seen_before(
    conn: &mut DbConnection,
    stored: &StoredKey,
    fingerprint: &Fingerprint,
    balance: i64,
) -> Result<Verdict> {
    if stored.fingerprint != fingerprint.as_bytes() {
        return Ok(Verdict::KeyReused);
    }
    Ok(match Chat::find_cut(conn, stored.chat_id, MOST_READ)? {
        Some(chat) if chat.state != ChatState::Pending => Verdict::Replay { chat: Box::new(chat), balance },
        _ => Verdict::InFlight,
    })
}
