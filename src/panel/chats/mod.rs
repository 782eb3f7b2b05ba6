//! Chats: the list, a chat's page with its ledger entries, refunding a chat, and releasing its
//! hold.

mod endpoints;
mod facts;
mod find;
mod list;
mod refund;
mod release;
mod show;
mod usage;

pub(super) use list::{CHATS, endpoint, list, load, main, named, state};
pub(super) use refund::{refund, show_refund};
pub(super) use release::{release, show_release};
pub(super) use show::show;

use crate::db::{Db, DbConnection};
use crate::models::{Chat, User};
use crate::panel::kit::PageError;
use crate::panel::kit::paths;

/// How many characters a page shows of a message, of a response, and of the rest of an answer.
pub(super) const SHOWN: usize = 64 << 10;

/// Returns the chat that the page's address names, its texts cut to [`SHOWN`] characters, and its
/// user. A missing one is a 404 that leads back to the list.
async fn of(db: &Db, id: i64) -> Result<(Chat, User), PageError> {
    let read = move |conn: &mut DbConnection| {
        let Some(chat) = Chat::find_cut(conn, id, SHOWN)? else { return Ok(None) };
        let user = User::find(conn, chat.user_id)?;
        Ok(user.map(|user| (chat, user)))
    };
    db.read(read).await?.ok_or(PageError::Missing("chat", paths::CHATS))
}
