//! Users: the list, each user's page, and the forms that change a user.

mod ability;
mod activity;
mod add;
mod anonymise;
mod balance;
mod edit;
mod limits;
mod list;
mod password;
mod show;
mod spending;
mod state;
mod suggest;
mod tabs;
mod undo;

pub(super) use add::{add, show_add};
pub(super) use anonymise::{anonymise, show_anonymise};
pub(super) use balance::{adjust, show_adjust};
pub(super) use edit::{edit, show_edit};
pub(super) use limits::{CHATS_AT_ONCE, REQUESTS_A_MINUTE, limits, show_limits};
pub(super) use list::{ListedUser, USERS, list};
pub(super) use password::{set_password, show_password};
pub(super) use show::show;
pub(super) use state::{deactivate, log_out, reactivate, show_deactivate, show_log_out, show_reactivate};
pub(super) use suggest::suggest;
pub(super) use undo::{undo, undo_form};

use crate::db::Db;
use crate::models::User;
use crate::panel::kit::PageError;
use crate::panel::kit::paths;

/// Finds the user that a page's address names. A missing one is a 404 that leads back to the list.
pub(super) async fn find(db: &Db, id: i64) -> Result<User, PageError> {
    let found = db.read_few(move |conn| Ok(User::find(conn, id)?)).await?;
    found.ok_or(PageError::Missing("user", paths::USERS))
}
