//! Operation ids: what an id that was used before stands for, and how many tokens a balance may have.

use diesel::QueryResult;

use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::models::LedgerEntry;

/// The most tokens that a balance may have, so that no sum of a user's ledger leaves 64 bits.
pub const MOST_TOKENS: i64 = 1 << 60;

/// What the ledger has under an operation id.
pub(super) enum Earlier {
    Nothing,
    /// The same operation: an earlier run of it, or a form that was sent twice.
    Same(LedgerEntry),
    /// Another operation. An id that came from a form must not be taken for it.
    Other,
}

/// Looks up an operation id. `is_same` tells whether an entry is of the same operation.
pub(super) fn look_up(
    conn: &mut DbConnection,
    operation_id: OperationId,
    is_same: impl FnOnce(&LedgerEntry) -> bool,
) -> QueryResult<Earlier> {
    Ok(match LedgerEntry::find_by_operation(conn, operation_id.as_bytes())? {
        None => Earlier::Nothing,
        Some(entry) if is_same(&entry) => Earlier::Same(entry),
        Some(_) => Earlier::Other,
    })
}
