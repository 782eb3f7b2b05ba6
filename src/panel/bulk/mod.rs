//! Bulk operations: selecting the rows, confirming, and watching the progress.

mod adjust;
mod form;
mod list;
mod revoke;
mod selection;
mod show;

pub(super) use adjust::{adjust, selected as selected_users};
pub(super) use list::list;
pub(super) use revoke::{revoke, selected as selected_tokens};
pub(super) use show::show;
