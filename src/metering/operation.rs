//! Looks up operation ids that were used before, and limits the tokens of a balance.

use diesel::QueryResult;

use crate::db::DbConnection;
use crate::domain::OperationId;
use crate::models::LedgerEntry;

/// The most tokens that a balance may have, so that no sum of a user's ledger leaves 64 bits.
pub const MOST_TOKENS: i64 = 1 << 60;

/// The ledger entry under an operation id.
pub(super) enum Earlier {
    Nothing,
    /// The same operation, which ran before, or whose form was sent twice.
    Same(LedgerEntry),
    /// Another operation. An id from a form may be forged or reused, so it must not count as done.
    Other,
}

/// Looks up an operation id. `is_same` returns whether an entry belongs to the same operation.
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
