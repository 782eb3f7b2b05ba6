//! Repeated requests with the same idempotency key.

use crate::db::DbConnection;
use crate::domain::Fingerprint;
use crate::error::Result;
use crate::models::{Chat, ChatState, MOST_READ, StoredKey};

use super::types::Verdict;

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
