//! `GET` and `POST /conversations/`; `GET`, `PATCH` and `DELETE /conversations/{id}/`. A message belongs to one by the
//! `conversation_id` of `POST /chat/`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::chats::ChatView;
use super::page::{self, PageQuery, next_link};
use crate::auth::{Auth, Credentials, CurrentUser, Title};
use crate::clock::rfc3339;
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::models::Conversation;

#[derive(Deserialize)]
struct Request {
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

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    conversation: ConversationView,
    /// Newest first, a page of them.
    chats: Vec<ChatView>,
    next: Option<String>,
}

pub(super) async fn create(
    auth: web::Data<Auth>,
    credentials: Credentials,
    current: CurrentUser,
    body: Body,
) -> Result<HttpResponse> {
    // It writes as much as a message does, and costs nothing.
    auth.check_message(credentials.or(|| None)?).await?;
    // A conversation needs no title, so it needs no body.
    let bytes = body.bytes()?;
    let title = if bytes.is_empty() { None } else { parse(&bytes)?.title };
    let title = Title::parse(title.as_deref().unwrap_or_default()).map_err(Error::Invalid)?;
    let made = auth.start_conversation(&current, title).await?;
    Ok(HttpResponse::Created().json(ConversationView::from(made)))
}

pub(super) async fn list(
    auth: web::Data<Auth>,
    current: CurrentUser,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let fetch = async |page| auth.conversations(&current, page).await;
    let place = ("conversations", "/conversations/");
    page::list::<Conversation, ConversationView>(&request, place, |conversation| conversation.id, fetch).await
}

pub(super) async fn show(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let page = PageQuery::parse(request.query_string()).map_err(Error::Invalid)?;
    let (conversation, chats) = auth.conversation(&current, super::id(&path)?, page).await?;
    let ids: Vec<i64> = chats.iter().map(|chat| chat.id).collect();
    let next = next_link(&format!("/conversations/{}/", conversation.id), page, &ids);
    let chats = chats.into_iter().map(ChatView::from).collect();
    Ok(HttpResponse::Ok().json(Whole { conversation: conversation.into(), chats, next }))
}

pub(super) async fn rename(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let title = parse(&body.bytes()?)?.title.ok_or_else(no_title)?;
    let title = Title::parse(&title).map_err(Error::Invalid)?;
    let renamed = auth.rename_conversation(&current, super::id(&path)?, title).await?;
    Ok(HttpResponse::Ok().json(ConversationView::from(renamed)))
}

pub(super) async fn delete(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
) -> Result<HttpResponse> {
    auth.delete_conversation(&current, super::id(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn parse(bytes: &[u8]) -> Result<Request> {
    super::body::parse(bytes).ok_or_else(no_title)
}

fn no_title() -> Error {
    Error::Invalid(Invalid::new("title", "give JSON with \"title\" as text"))
}
