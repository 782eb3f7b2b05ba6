//! Auth tokens: the list, making one, which is shown once, editing its name and expiry, revoking
//! it.

mod add;
mod edit;
mod list;
mod revoke;

pub(super) use add::{add, show_add};
pub(super) use edit::{edit, show_edit};
pub(super) use list::{AUTH_TOKENS, list, named};
pub(super) use revoke::{revoke, show_revoke};

use crate::db::{Db, DbConnection};
use crate::models::{AuthToken, User};
use crate::panel::kit::PageError;
use crate::panel::kit::paths;

/// Returns the auth token that a page's address names, and its user. A missing one is a 404 that
/// leads back to the list.
async fn of(db: &Db, id: i64) -> Result<(AuthToken, User), PageError> {
    let read = move |conn: &mut DbConnection| {
        let Some(token) = AuthToken::find(conn, id)? else { return Ok(None) };
        let user = User::find(conn, token.user_id)?;
        Ok(user.map(|user| (token, user)))
    };
    db.read_few(read).await?.ok_or(PageError::Missing("auth token", paths::AUTH_TOKENS))
}
