//! Bulk operations: choosing, confirming, and watching them.

mod adjust;
mod list;
mod revoke;
mod selection;
mod show;

pub(super) use adjust::{adjust, selected as selected_users};
pub(super) use list::list;
pub(super) use revoke::{revoke, selected as selected_tokens};
pub(super) use show::show;

/// Where a bulk operation's page is.
fn path(id: i64) -> String {
    format!("/admin/bulk-operations/{id}/")
}
