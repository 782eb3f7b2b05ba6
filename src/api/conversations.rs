//! `GET` and `POST /conversations/`; `GET`, `PATCH` and `DELETE /conversations/{id}/`.
//! `POST /chat/` adds a message to a conversation by its `conversation_id`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::chats::{self, ChatView};
use super::page::{self, List, PageQuery};
use crate::account::Title;
use crate::auth::{Auth, Credentials, CurrentUser};
use crate::clock::rfc3339;
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::Schema;
use crate::http::operation::{Body, Example, Operation, Parameter, Success, Tag};
use crate::models::{Chat, Conversation, MOST_CONVERSATIONS};

#[derive(Deserialize, ToSchema)]
#[schema(as = NewConversation)]
struct ConversationBody {
    /// What it is about: one line of at most 200 characters, not counting white space at its ends.
    /// It may be missing or empty.
    title: Option<String>,
}

/// A conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
struct ConversationView {
    /// The id, for the `conversation_id` of messages.
    id: i64,
    /// What it is about. It may be empty.
    title: String,
    /// When it was started (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
}

fn example() -> Value {
    json!({ "id": 2, "title": "Eggs", "created_at": "2026-12-02T08:00:00.000000Z" })
}

fn title_example() -> Example {
    Example::new("eggs", "A title.", json!({ "title": "Eggs" }))
}

/// Returns the error of a title that has more than one line.
fn wrong_title() -> impl Iterator<Item = Error> {
    Title::parse("a\nb").err().into_iter().map(Error::Invalid)
}

fn id() -> Parameter {
    Parameter::id("The id of one of your conversations.")
}

/// Describes `POST /conversations/`.
pub(super) fn describe_create() -> Operation {
    let too_many = format!("you have started {MOST_CONVERSATIONS}: delete one of them first");
    Operation::of(create)
        .titled(Tag::Chats, "Start a conversation")
        .about(
            "Messages with its id are answered with what was said before. It counts as a message for limits.",
        )
        .takes(Body::json(Schema::of::<ConversationBody>(), [title_example()]).or_none())
        .returns(Success::json(201, "The new conversation.", Schema::of::<ConversationView>(), example()))
        .fails([no_title(), Error::Invalid(Invalid::new("conversation", too_many))])
        .fails(wrong_title())
}

/// Describes `GET /conversations/`.
pub(super) fn describe_list() -> Operation {
    let operation = Operation::of(list).titled(Tag::Chats, "List your conversations");
    let page = json!({ "conversations": [example()], "next": null });
    page::described::<ConversationView>(operation, "conversations", None, page)
}

/// Describes `GET /conversations/{id}/`.
pub(super) fn describe_show() -> Operation {
    let operation = Operation::of(show)
        .titled(Tag::Chats, "See a conversation")
        .about("With a page of its chats, newest first.")
        .with([id()])
        .fails([Error::NotFound]);
    let mut page = example();
    page["chats"] = json!([chats::example()]);
    page["next"] = Value::Null;
    let head = Some(Schema::of::<ConversationView>());
    page::described::<ChatView>(operation, "chats", head, page)
}

/// Describes `PATCH /conversations/{id}/`.
pub(super) fn describe_rename() -> Operation {
    let meaning = "The new title: one line of at most 200 characters, not counting white space at its ends.";
    let title = json!({ "type": "string", "description": meaning });
    let schema = json!({ "type": "object", "required": ["title"], "properties": { "title": title } });
    Operation::of(rename)
        .titled(Tag::Chats, "Rename a conversation")
        .with([id()])
        .takes(Body::json(Schema::named("Title", schema), [title_example()]))
        .returns(Success::json(200, "The conversation.", Schema::of::<ConversationView>(), example()))
        .fails([no_title(), Error::NotFound])
        .fails(wrong_title())
}

/// Describes `DELETE /conversations/{id}/`.
pub(super) fn describe_delete() -> Operation {
    Operation::of(delete)
        .titled(Tag::Chats, "Delete a conversation")
        .about("Its chats stay in your history.")
        .with([id()])
        .returns(Success::empty(204, "It is deleted."))
        .fails([Error::NotFound])
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
