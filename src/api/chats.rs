//! `GET /chats/` and `GET /chats/{id}/`: the user's own chats.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::page::{self, List, PageQuery};
use crate::auth::{Auth, CurrentUser};
use crate::clock::rfc3339;
use crate::domain::{Endpoint, FailureReason};
use crate::error::{Error, Result};
use crate::http::Schema;
use crate::http::operation::{Operation, Parameter, Success, Tag};
use crate::models::{Chat, ChatState};

/// A chat as its user sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Chat)]
pub(super) struct ChatView {
    /// The id. Later chats have higher ones.
    id: i64,
    /// What the user said.
    message: String,
    /// The answer, or the part of it that arrived. `null` if there is none.
    #[schema(required)]
    response: Option<String>,
    /// The model that was asked.
    model: String,
    /// How far it is.
    #[schema(schema_with = states)]
    state: &'static str,
    /// Tokens that were charged. The ledger has what was refunded.
    charged: i64,
    /// Why it failed or was cancelled, for people.
    #[schema(required)]
    failure: Option<String>,
    /// Why it failed or was cancelled, for programs. New codes may be added.
    #[schema(required)]
    failure_code: Option<String>,
    /// The conversation that it belongs to. `null` if it stands alone.
    #[schema(required)]
    conversation_id: Option<i64>,
    /// The path of the endpoint that it came through. `null` if it was not recorded.
    #[schema(required)]
    endpoint: Option<&'static str>,
    /// The tokens that the model used. `null` if there are none.
    #[schema(required)]
    usage: Option<UsageView>,
    /// When it was charged (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ended. `null` while it is pending.
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
}

/// The tokens that a model used.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatUsage)]
struct UsageView {
    /// Those of the prompt.
    prompt_tokens: i64,
    /// Those of the answer.
    completion_tokens: i64,
    /// Whether this server estimated them, because the model did not report any.
    estimated: bool,
}

fn states() -> Object {
    page::words("How far it is.", &ChatState::ALL.map(ChatState::as_str))
}

/// Returns a chat for examples.
pub(super) fn example() -> Value {
    json!({
        "id": 5, "message": "Hello", "response": "Response to Hello", "model": "dummy", "state": "complete",
        "charged": 100, "failure": null, "failure_code": null, "conversation_id": null,
        "endpoint": Endpoint::Chat.path(), "usage": null, "created_at": "2026-12-02T08:00:00.000000Z",
        "finished_at": "2026-12-02T08:00:01.000000Z",
    })
}

/// Describes `GET /chats/`.
pub(super) fn describe_list() -> Operation {
    let operation = Operation::of(list)
        .titled(Tag::Chats, "See your history")
        .about("Your chats, newest first, however they were sent. Embeddings are left out.");
    page::described::<ChatView>(operation, "chats", None, json!({ "chats": [example()], "next": null }))
}

/// Describes `GET /chats/{id}/`.
pub(super) fn describe_show() -> Operation {
    Operation::of(show)
        .titled(Tag::Chats, "See a chat")
        .with([Parameter::id("The id of one of your chats, as in X-Chat-Id.")])
        .returns(Success::json(200, "The chat.", Schema::of::<ChatView>(), example()))
        .fails([Error::NotFound])
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
