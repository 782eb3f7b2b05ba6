//! What users may read about themselves: profile, chats, ledger. Each query is bound to the user's id, so that
//! nobody reaches what is another's.

use super::{Auth, CurrentUser};
use crate::db::DbConnection;
use crate::error::{Error, Result};
use crate::models::{Chat, Keyset, LedgerEntry, PAGE_BYTES, Rows, User};

impl Auth {
    /// The user, read afresh in one statement with what is held, so that the two numbers agree.
    pub async fn profile(&self, current: CurrentUser) -> Result<(User, i64)> {
        let id = current.user.id;
        self.db.read(move |conn| Ok(User::find_with_held(conn, id)?)).await?.ok_or(Error::Unauthorized)
    }

    /// Returns a page of the user's chats, written by `write`. Users take turns at reading and writing lists.
    pub async fn chats<T: Send + 'static>(
        &self,
        current: &CurrentUser,
        page: Keyset,
        write: impl Fn(Rows<Chat>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = current.user.id;
        self.db.read_in_turn(id, move |conn| write(Chat::page_within(conn, id, page, PAGE_BYTES)?)).await
    }

    /// Returns one of the user's chats, written by `write`.
    pub async fn chat<T: Send + 'static>(
        &self,
        current: &CurrentUser,
        chat_id: i64,
        write: impl Fn(Chat) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = current.user.id;
        let read = move |conn: &mut DbConnection| {
            Chat::find_cut_of(conn, id, chat_id)?.map(&write).ok_or(Error::NotFound)?
        };
        self.db.read_in_turn(id, read).await
    }

    /// Returns a page of the user's statement, written by `write`.
    pub async fn ledger<T: Send + 'static>(
        &self,
        current: &CurrentUser,
        page: Keyset,
        write: impl Fn(Rows<LedgerEntry>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = current.user.id;
        let read = move |conn: &mut DbConnection| write(page.rows(LedgerEntry::page_of(conn, id, page)?));
        self.db.read_in_turn(id, read).await
    }

    /// Counts the bytes of a response for the user.
    pub fn count_bytes(&self, current: &CurrentUser, bytes: usize) {
        self.throttle.charge_bytes(current.user.id, bytes);
    }
}
