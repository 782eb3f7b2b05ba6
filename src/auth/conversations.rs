//! A user's own conversations. Each query is bound to the user's id.

use super::{Auth, CurrentUser};
use crate::clock;
use crate::db::{DbConnection, Scope};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::models::{Chat, Conversation, Keyset, PAGE_BYTES, Rows};

/// Characters of a title.
const TITLE_LENGTH: usize = 200;

/// Conversations that a user may have at once.
const MOST: i64 = 1000;

/// The title of a conversation: up to 200 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

impl Title {
    pub fn parse(text: &str) -> Result<Title, Invalid> {
        let title = text.trim();
        if title.chars().count() > TITLE_LENGTH || title.chars().any(char::is_control) {
            return Err(Invalid::new("title", "give it as one line of up to 200 characters"));
        }
        Ok(Title(title.to_owned()))
    }
}

impl Auth {
    pub async fn start_conversation(&self, current: &CurrentUser, title: Title) -> Result<Conversation> {
        let (user_id, now) = (current.user.id, clock::now());
        let job = move |conn: &mut DbConnection| {
            if Conversation::count_of(conn, user_id, MOST)? >= MOST {
                return Ok(None);
            }
            Ok(Some(Conversation::insert(conn, user_id, &title.0, now)?))
        };
        let made = self.db.write(Scope::user(user_id), job).await?;
        made.ok_or_else(|| {
            Error::Invalid(Invalid::new("conversation", format!("you have {MOST}: delete one of them first")))
        })
    }

    /// Returns a page of the user's conversations, written by `write`.
    pub async fn conversations<T: Send + 'static>(
        &self,
        current: &CurrentUser,
        page: Keyset,
        write: impl Fn(Rows<Conversation>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let id = current.user.id;
        let read = move |conn: &mut DbConnection| write(page.rows(Conversation::page_of(conn, id, page)?));
        self.db.read_in_turn(id, read).await
    }

    /// Returns a conversation with a page of its chats, newest first, written by `write`.
    pub async fn conversation<T: Send + 'static>(
        &self,
        current: &CurrentUser,
        id: i64,
        page: Keyset,
        write: impl Fn(Conversation, Rows<Chat>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let user_id = current.user.id;
        let read = move |conn: &mut DbConnection| {
            let conversation = Conversation::find_of(conn, user_id, id)?.ok_or(Error::NotFound)?;
            write(conversation, Conversation::chats(conn, id, page, PAGE_BYTES)?)
        };
        self.db.read_in_turn(user_id, read).await
    }

    pub async fn rename_conversation(
        &self,
        current: &CurrentUser,
        id: i64,
        title: Title,
    ) -> Result<Conversation> {
        let user_id = current.user.id;
        let job = move |conn: &mut DbConnection| {
            Conversation::rename(conn, user_id, id, &title.0)?;
            Ok(Conversation::find_of(conn, user_id, id)?)
        };
        self.db.write(Scope::user(user_id), job).await?.ok_or(Error::NotFound)
    }

    /// Its chats stay in the history, where they were paid for.
    pub async fn delete_conversation(&self, current: &CurrentUser, id: i64) -> Result<()> {
        let (user_id, now) = (current.user.id, clock::now());
        let job = move |conn: &mut DbConnection| Ok(Conversation::delete(conn, user_id, id, now)?);
        let deleted = self.db.write(Scope::user(user_id), job).await?;
        if deleted { Ok(()) } else { Err(Error::NotFound) }
    }
}
