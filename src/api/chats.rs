//! `GET /chats/` and `GET /chats/{id}/`: the user's own chats.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::page::{self, List, PageQuery};
use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::domain::{Endpoint, FailureReason};
use crate::error::Result;
use crate::models::Chat;

/// A chat as its user sees it.
#[derive(Serialize)]
pub(super) struct ChatView {
    id: i64,
    message: String,
    response: Option<String>,
    model: String,
    state: &'static str,
    /// Tokens that were charged. The ledger has what was refunded.
    charged: i64,
    /// Why it failed or was cancelled, for people.
    failure: Option<String>,
    /// Why it failed or was cancelled, for programs.
    failure_code: Option<String>,
    conversation_id: Option<i64>,
    /// The path of the endpoint that it came through. `null` if it was not recorded.
    endpoint: Option<&'static str>,
    /// The tokens that the model used. `null` if there are none.
    usage: Option<UsageView>,
    created_at: String,
    finished_at: Option<String>,
}

#[derive(Serialize)]
struct UsageView {
    prompt_tokens: i64,
    completion_tokens: i64,
    /// Whether this server estimated them, because the model did not report any.
    estimated: bool,
}

impl From<Chat> for ChatView {
    fn from(chat: Chat) -> Self {
        let usage = match (chat.prompt_tokens, chat.completion_tokens) {
            (Some(prompt_tokens), Some(completion_tokens)) => Some(UsageView {
                prompt_tokens,
                completion_tokens,
                estimated: chat.usage_estimated.unwrap_or(false),
            }),
            _ => None,
        };
        ChatView {
            id: chat.id,
            message: chat.message,
            response: chat.response,
            model: chat.model,
            state: chat.state.as_str(),
            charged: chat.charge,
            failure: chat.failure.as_deref().map(|code| FailureReason::text_of(code).to_owned()),
            failure_code: chat.failure.map(|code| match FailureReason::from_code(&code) {
                Some(reason) => reason.code().to_owned(),
                None => code,
            }),
            conversation_id: chat.conversation_id,
            endpoint: chat.endpoint.as_deref().and_then(Endpoint::from_code).map(Endpoint::path),
            usage,
            created_at: rfc3339(chat.created_at),
            finished_at: chat.finished_at.map(rfc3339),
        }
    }
}

/// `GET /chats/`: lists the user's chats, newest first.
pub(super) async fn list(
    auth: web::Data<Auth>,
    current: CurrentUser,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let page = PageQuery::of(&request)?;
    let list = List { head: Vec::new(), name: "chats", path: "/chats/".to_owned(), page };
    let write = move |rows| list.write::<_, ChatView>(rows, |chat: &Chat| chat.id);
    page::answer(&auth, &current, current.chats(&auth.db, page, write).await?)
}

/// `GET /chats/{id}/`: returns one of the user's chats.
pub(super) async fn show(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
) -> Result<HttpResponse> {
    let write = |chat| page::one(&ChatView::from(chat));
    page::answer(&auth, &current, current.chat(&auth.db, super::id(&path)?, write).await?)
}
