//! A user's own conversations.

use crate::auth::CurrentUser;
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{Invalid, single_line};
use crate::error::{Error, Result};
use crate::models::{Chat, Conversation, Keyset, MOST_CONVERSATIONS, PAGE_BYTES, Rows};

/// The most characters of a title.
const TITLE_LENGTH: usize = 200;

/// The title of a conversation: up to 200 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

impl Title {
    /// Parses a title. It may be empty.
    ///
    /// # Errors
    /// The text is too long, has control characters, or shows nothing.
    pub fn parse(text: &str) -> Result<Title, Invalid> {
        if text.trim().is_empty() {
            return Ok(Title(String::new()));
        }
        let line = single_line(text, TITLE_LENGTH).map_err(|_| {
            Invalid::new(
                "title",
                "give it as one line of up to 200 characters that can be seen, or leave it empty",
            )
        })?;
        Ok(Title(line))
    }
}

impl CurrentUser {
    /// Starts a conversation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the user has as many as are allowed.
    pub async fn start_conversation(&self, db: &Db, title: Title) -> Result<Conversation> {
        let (user_id, now) = (self.user.id, clock::now());
        let job = move |conn: &mut DbConnection| {
            if Conversation::count_started(conn, user_id, MOST_CONVERSATIONS)? >= MOST_CONVERSATIONS {
                return Ok(None);
            }
            Ok(Some(Conversation::insert(conn, user_id, &title.0, now)?))
        };
        let made = db.write(Scope::user(user_id), job).await?;
        made.ok_or_else(|| {
            Error::Invalid(Invalid::new(
                "conversation",
                format!("you have started {MOST_CONVERSATIONS}: delete one of them first"),
            ))
        })
    }

    /// Returns a page of the user's conversations, written by `write`.
    pub async fn conversations<T: Send + 'static>(
        &self,
        db: &Db,
        page: Keyset,
        write: impl Fn(Rows<Conversation>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = self.user.id;
        let read = move |conn: &mut DbConnection| write(page.rows(Conversation::page_of(conn, id, page)?));
        db.read_in_turn(id, read).await
    }

    /// Returns a conversation with a page of its chats, newest first, written by `write`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no such conversation.
    pub async fn conversation<T: Send + 'static>(
        &self,
        db: &Db,
        id: i64,
        page: Keyset,
        write: impl Fn(Conversation, Rows<Chat>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let user_id = self.user.id;
        let read = move |conn: &mut DbConnection| {
            let conversation = Conversation::find_of(conn, user_id, id)?.ok_or(Error::NotFound)?;
            write(conversation, Conversation::chats(conn, id, page, PAGE_BYTES)?)
        };
        db.read_in_turn(user_id, read).await
    }

    /// Renames a conversation.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no such conversation.
    pub async fn rename_conversation(&self, db: &Db, id: i64, title: Title) -> Result<Conversation> {
        let user_id = self.user.id;
        let job = move |conn: &mut DbConnection| {
            Conversation::rename(conn, user_id, id, &title.0)?;
            Ok(Conversation::find_of(conn, user_id, id)?)
        };
        db.write(Scope::user(user_id), job).await?.ok_or(Error::NotFound)
    }

    /// Deletes a conversation. Its chats stay among the user's chats, because they were paid for.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no such conversation.
    pub async fn delete_conversation(&self, db: &Db, id: i64) -> Result<()> {
        let (user_id, now) = (self.user.id, clock::now());
        let job = move |conn: &mut DbConnection| Ok(Conversation::delete(conn, user_id, id, now)?);
        let deleted = db.write(Scope::user(user_id), job).await?;
        if deleted { Ok(()) } else { Err(Error::NotFound) }
    }
}
