//! What users may read about themselves: profile, chats, ledger. Each query is bound to the user's id, so that
//! nobody reaches what is another's.

use super::{Auth, CurrentUser};
use crate::error::{Error, Result};
use crate::models::{Chat, Keyset, LedgerEntry, User};

impl Auth {
    /// The user, read afresh in one statement with what is held, so that the two numbers agree.
    pub async fn profile(&self, current: CurrentUser) -> Result<(User, i64)> {
        let id = current.user.id;
        self.db.read(move |conn| Ok(User::find_with_held(conn, id)?)).await?.ok_or(Error::Unauthorized)
    }

    pub async fn chats(&self, current: &CurrentUser, page: Keyset) -> Result<Vec<Chat>> {
        let id = current.user.id;
        self.db.read(move |conn| Ok(Chat::page_of(conn, id, page)?)).await
    }

    pub async fn chat(&self, current: &CurrentUser, chat_id: i64) -> Result<Chat> {
        let id = current.user.id;
        self.db.read(move |conn| Ok(Chat::find_cut_of(conn, id, chat_id)?)).await?.ok_or(Error::NotFound)
    }

    pub async fn ledger(&self, current: &CurrentUser, page: Keyset) -> Result<Vec<LedgerEntry>> {
        let id = current.user.id;
        self.db.read(move |conn| Ok(LedgerEntry::page_of(conn, id, page)?)).await
    }
}
