//! `GET` and `POST /conversations/`; `GET`, `PATCH` and `DELETE /conversations/{id}/`.
//! `POST /chat/` adds a message to a conversation by its `conversation_id`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::chats::ChatView;
use super::page::{self, List, PageQuery};
use crate::account::Title;
use crate::auth::{Auth, Credentials, CurrentUser};
use crate::clock::rfc3339;
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::models::{Chat, Conversation};

#[derive(Deserialize)]
struct ConversationBody {
    title: Option<String>,
}

#[derive(Serialize)]
struct ConversationView {
    id: i64,
    title: String,
    created_at: String,
}

impl From<Conversation> for ConversationView {
    fn from(conversation: Conversation) -> Self {
        let created_at = rfc3339(conversation.created_at);
        ConversationView { id: conversation.id, title: conversation.title, created_at }
    }
}

/// `POST /conversations/`: starts a conversation.
pub(super) async fn create(
    auth: web::Data<Auth>,
    credentials: Credentials,
    current: CurrentUser,
    http: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse> {
    // It writes as much as a message does, and costs nothing, so it counts as one.
    auth.check_message(credentials.or(|| None)?, &http).await?;
    // A conversation needs no title, so it needs no body.
    let title = match body.optional::<ConversationBody>()? {
        None => None,
        Some(request) => request.map_err(|_| no_title())?.title,
    };
    let title = Title::parse(title.as_deref().unwrap_or_default()).map_err(Error::Invalid)?;
    let made = current.start_conversation(&auth.db, title).await?;
    Ok(HttpResponse::Created().json(ConversationView::from(made)))
}

/// `GET /conversations/`: lists the user's conversations.
pub(super) async fn list(
    auth: web::Data<Auth>,
    current: CurrentUser,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let page = PageQuery::of(&request)?;
    let list = List { head: Vec::new(), name: "conversations", path: "/conversations/".to_owned(), page };
    let write =
        move |rows| list.write::<_, ConversationView>(rows, |conversation: &Conversation| conversation.id);
    page::answer(&auth, &current, current.conversations(&auth.db, page, write).await?)
}

/// `GET /conversations/{id}/`: returns a conversation with a page of its chats.
pub(super) async fn show(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let page = PageQuery::of(&request)?;
    let write = move |conversation: Conversation, chats| {
        let path = format!("/conversations/{}/", conversation.id);
        let head = page::head(&ConversationView::from(conversation))?;
        List { head, name: "chats", path, page }.write::<_, ChatView>(chats, |chat: &Chat| chat.id)
    };
    page::answer(&auth, &current, current.conversation(&auth.db, super::id(&path)?, page, write).await?)
}

/// `PATCH /conversations/{id}/`: renames a conversation.
pub(super) async fn rename(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse> {
    let request: ConversationBody = body.json()?.ok_or_else(no_title)?;
    let title = request.title.ok_or_else(no_title)?;
    let title = Title::parse(&title).map_err(Error::Invalid)?;
    let renamed = current.rename_conversation(&auth.db, super::id(&path)?, title).await?;
    Ok(HttpResponse::Ok().json(ConversationView::from(renamed)))
}

/// `DELETE /conversations/{id}/`: deletes a conversation, but not its chats.
pub(super) async fn delete(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
) -> Result<HttpResponse> {
    current.delete_conversation(&auth.db, super::id(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn no_title() -> Error {
    Error::Invalid(Invalid::new("title", "give JSON with \"title\" as text"))
}
