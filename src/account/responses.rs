//! A user's own stored responses.

use chrono::TimeDelta;

use crate::auth::CurrentUser;
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::error::{Error, Result};
use crate::models::{Chat, StoredResponse};

/// Deletes the stored responses that are older than this number of days, and returns how many.
/// Their chats stay.
pub async fn forget_responses(db: &Db, days: u32) -> Result<usize> {
    let moment = clock::now() - TimeDelta::days(i64::from(days));
    db.write_in_parts(move |conn, most| Ok(StoredResponse::forget(conn, moment, most)?)).await
}

impl CurrentUser {
    /// Returns one of the user's stored responses, written by `write`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no such response.
    pub async fn response<T: Send + 'static>(
        &self,
        db: &Db,
        chat_id: i64,
        write: impl Fn(StoredResponse, Chat) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = self.user.id;
        let read = move |conn: &mut DbConnection| {
            let (stored, chat) = StoredResponse::find_of(conn, id, chat_id)?.ok_or(Error::NotFound)?;
            write(stored, chat)
        };
        db.read_in_turn(id, read).await
    }

    /// Deletes one of the user's stored responses. Its chat stays among the user's chats, because
    /// it was paid for.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no such response.
    pub async fn delete_response(&self, db: &Db, chat_id: i64) -> Result<()> {
        let id = self.user.id;
        let job = move |conn: &mut DbConnection| Ok(StoredResponse::delete(conn, id, chat_id)?);
        let is_deleted = db.write(Scope::user(id), job).await?;
        if is_deleted { Ok(()) } else { Err(Error::NotFound) }
    }
}
