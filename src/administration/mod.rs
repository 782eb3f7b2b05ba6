//! What administrators do. Each verb makes its change and records it in the audit log, in one
//! transaction.
//!
//! A verb takes the [`Actor`](crate::audit::Actor), returns refusals as values, and may safely be
//! called twice with the same operation id.

mod anonymise;
mod auth_tokens;
mod backups;
mod balances;
mod bulk;
mod bulk_forecast;
mod bulk_kind;
mod bulk_rows;
mod bulk_worker;
mod edit;
mod limits;
mod models;
mod names;
mod row_failure;
mod settings;
mod undo;
mod users;
mod verifications;

pub(crate) use balances::{adjust_and_record, refund_and_record, release_and_record};
pub(crate) use bulk_worker::do_at_once;
pub(crate) use edit::By;
pub(crate) use limits::set_limits_and_record;
pub(crate) use models::edit_model_and_record;
pub(crate) use undo::undo_and_record;
pub(crate) use users::{add_and_record, log_out_and_record, set_active_and_record};

pub use anonymise::{Anonymised, WhatGoes, anonymise_user, what_goes};
pub use auth_tokens::edit_auth_token;
pub use backups::{record_download, start_backup};
pub use balances::{adjust, adjust_balance, parse_amount, refund_chat, release_hold, reused, whole_number};
pub use bulk::{Bulk, BulkRequest, MOST_ROWS};
pub use bulk_forecast::{ForecastRow, RowState, forecast};
pub use bulk_kind::{BulkKind, LimitToSet, LimitsToSet, RowKind};
pub use bulk_worker::{finish_all, work as work_on_bulk_operations};
pub use edit::Edited;
pub use limits::{MOST_LIMIT, set_limits};
pub use models::{MOST_CONTEXT, MOST_IMAGE_TOKENS, MOST_OUTPUT, MOST_PRICE, edit_model};
pub use row_failure::RowFailure;
pub use settings::{
    adopt_time_zone, delete_view, reset_columns, save_view, store_columns, store_settings, store_theme,
};
pub use undo::{
    EntryUndone, UndoStarted, Undoability, undo_bulk_operation, undo_entry, undo_reason, undoability,
};
pub use users::{
    UserToAdd, WantedUser, add_user, edit_user, find_added, log_out_everywhere, name_taken, set_active,
    set_active_if_unchanged,
};
pub use verifications::{end_interrupted_verifications, start_verification};
