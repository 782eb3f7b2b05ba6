//! `GET /chats/` and `GET /chats/{id}/`: one's own history.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::page::{PageQuery, next_link};
use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::error::{Error, Result};
use crate::models::Chat;

/// A chat as its user sees it.
#[derive(Serialize)]
struct ChatView {
    id: i64,
    message: String,
    response: Option<String>,
    model: String,
    state: &'static str,
    /// Tokens that were taken; what went back stands in the ledger.
    charged: i64,
    failure: Option<String>,
    created_at: String,
    finished_at: Option<String>,
}

impl From<Chat> for ChatView {
    fn from(chat: Chat) -> Self {
        ChatView {
            id: chat.id,
            message: chat.message,
            response: chat.response,
            model: chat.model,
            state: chat.state.as_str(),
            charged: chat.charge,
            failure: chat.failure,
            created_at: rfc3339(chat.created_at),
            finished_at: chat.finished_at.map(rfc3339),
        }
    }
}

#[derive(Serialize)]
struct Page {
    chats: Vec<ChatView>,
    next: Option<String>,
}

pub(super) async fn list(
    auth: web::Data<Auth>,
    current: CurrentUser,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let page = PageQuery::parse(request.query_string()).map_err(Error::Invalid)?;
    let chats = auth.chats(&current, page).await?;
    let ids: Vec<i64> = chats.iter().map(|chat| chat.id).collect();
    let chats = chats.into_iter().map(ChatView::from).collect();
    Ok(HttpResponse::Ok().json(Page { chats, next: next_link("/chats/", page, &ids) }))
}

pub(super) async fn show(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
) -> Result<HttpResponse> {
    let chat = auth.chat(&current, super::id(&path)?).await?;
    Ok(HttpResponse::Ok().json(ChatView::from(chat)))
}
