//! The only code that changes a balance. An auditor can read this folder alone.
//!
//! - [`open_account`]: a new user with its opening balance;
//! - [`open_imported_accounts`]: users of another service, with the balances that they had there;
//! - [`Charge`]: the debit, one guarded statement, with its ledger entry and its chat in the same
//!   transaction;
//! - [`end_hold`], [`sweep()`]: settle or refund the charge of a pending chat;
//! - [`adjust()`]: an administrator's change of a balance;
//! - [`undo()`]: the counter-entry of an adjustment or a refund;
//! - [`Price`]: what a chat costs;
//! - [`verify`]: the proof that balances equal the ledger.
//!
//! Every change of `users.tokens` is in one transaction with a ledger entry that has the balance
//! after it. Each entry has an [`OperationId`](crate::domain::OperationId), made before the
//! transaction. If the outcome of a COMMIT is unknown, the id tells whether the operation was done.

mod account;
mod adjust;
mod charge;
mod entry;
mod hold;
mod import;
mod operation;
mod price;
mod refund;
mod sweep;
mod undo;
pub mod verify;

pub use account::{NewAccount, OpenedAccount, open_account};
pub use adjust::{Adjusted, Adjustment, AdjustmentOfMany, adjust, adjust_many};
pub use charge::{Charge, Charged, Verdict};
pub use hold::{Arrived, Ended, Ending, KeptEmbeddings, end_hold, end_hold_and_tell_when};
pub use import::{ImportedAccount, open_imported_accounts};
pub use operation::MOST_TOKENS;
pub use price::Price;
pub use refund::{Refund, Refunded, refund};
pub use sweep::{forget_embeddings, forget_idempotency_keys, sweep};
pub use undo::{Undo, Undone, can_be_undone, undo};
