//! What users may read about themselves: profile, chats, statement.

use crate::auth::CurrentUser;
use crate::db::{Db, DbConnection};
use crate::error::{Error, Result};
use crate::models::{Chat, Keyset, LedgerEntry, PAGE_BYTES, Rows, User};

impl CurrentUser {
    /// Returns the user and the tokens held. One statement reads both, so that the two numbers
    /// agree.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the user no longer exists.
    pub async fn profile(&self, db: &Db) -> Result<(User, i64)> {
        let id = self.user.id;
        db.read_few(move |conn| Ok(User::find_with_held(conn, id)?)).await?.ok_or(Error::Unauthorized)
    }

    /// Returns a page of the user's chats, written by `write`. Users take turns at reading and
    /// writing lists.
    pub async fn chats<T: Send + 'static>(
        &self,
        db: &Db,
        page: Keyset,
        write: impl Fn(Rows<Chat>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = self.user.id;
        db.read_in_turn(id, move |conn| write(Chat::page_within(conn, id, page, PAGE_BYTES)?)).await
    }

    /// Returns one of the user's chats, written by `write`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no such chat.
    pub async fn chat<T: Send + 'static>(
        &self,
        db: &Db,
        chat_id: i64,
        write: impl Fn(Chat) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = self.user.id;
        let read = move |conn: &mut DbConnection| {
            Chat::find_cut_of(conn, id, chat_id)?.map(&write).ok_or(Error::NotFound)?
        };
        db.read_in_turn(id, read).await
    }

    /// Returns a page of the user's statement, written by `write`.
    pub async fn statement<T: Send + 'static>(
        &self,
        db: &Db,
        page: Keyset,
        write: impl Fn(Rows<LedgerEntry>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = self.user.id;
        let read = move |conn: &mut DbConnection| write(page.rows(LedgerEntry::page_of(conn, id, page)?));
        db.read_in_turn(id, read).await
    }
}
