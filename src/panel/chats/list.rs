//! The list of chats.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::endpoints::{ENDPOINT, ENDPOINTS, listed, of_user};
use super::find::find;
use super::usage::counted;
use crate::db::{Db, DbConnection};
use crate::domain::{Endpoint, FailureReason};
use crate::error::Result;
use crate::index::follower::{Followed, lag};
use crate::index::search::are_too_many;
use crate::models::list::SortKey;
use crate::models::{Chat, ChatState};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::format;
use crate::panel::kit::list::{
    BulkAction, Cell, Choice, Clause, Column, Filter, List, Rows, Sort, Tab, Tone, catching_up, read,
};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::{Crumb, Frame};
use crate::panel::kit::paths;

const ROWS: Rows<Named<Chat>> = Rows { from: "chats", id: "chats.id", load, id_of: |chat| chat.row.id };

/// All chats. The global search and the pages of users use this list, too.
pub(in crate::panel) static CHATS: List<Named<Chat>> = List::new("Chats", paths::CHATS, ROWS)
    .named("chat", "chats")
    .columns(&[
        Column::id("Chat", main).note().sort("id"),
        Column::time("When", |chat: &Named<Chat>| Cell::Time(chat.row.created_at)).note(),
        Column::name("User", |chat: &Named<Chat>| chat.user(chat.row.user_id)).note(),
        Column::text("Message", |chat: &Named<Chat>| Cell::excerpt(&chat.row.message)).lead(),
        Column::text("Outcome", |chat| outcome(&chat.row)),
        Column::word("State", |chat: &Named<Chat>| state(chat.row.state)).note(),
        Column::number("Charge", |chat: &Named<Chat>| Cell::Tokens(chat.row.charge)).side(),
        Column::word("Model", |chat: &Named<Chat>| Cell::code(&chat.row.model)).if_telling(),
        Column::word("Endpoint", |chat: &Named<Chat>| endpoint(&chat.row)).if_telling().spare(),
        Column::number("Usage", |chat: &Named<Chat>| usage(&chat.row)).if_any().spare(),
        Column::number("Took", |chat: &Named<Chat>| took(&chat.row)).spare(),
    ])
    .sorts(&[Sort::descending("id", SortKey::Id)])
    .filters(&[
        Filter::user_by("user", "User", of_user),
        Filter::choice("state", "State").of(&[
            Choice::new("complete", "Complete", Clause::tested("chats.state = 'complete'")),
            Choice::new("pending", "Pending", Clause::leading(PENDING)),
            Choice::new("failed", "Failed", Clause::leading(FAILED)),
            Choice::new("cancelled", "Cancelled", Clause::leading(CANCELLED)),
        ]),
        Filter::word("model", "Model", Clause::tested("chats.model = ?")),
        Filter::choice(ENDPOINT, "Endpoint").without_counts().of(&ENDPOINTS),
        Filter::choice("reason", "Why it failed").of(&REASONS),
        Filter::amounts("charge", "Charge", Clause::tested("chats.charge BETWEEN ? AND ?")),
        Filter::days("date", "When", Clause::tested("chats.created_at >= ? AND chats.created_at < ?")),
    ])
    .tabs(&[
        Tab::new("All", ""),
        Tab::new("Today", "date=today"),
        Tab::new("Complete", "state=complete"),
        Tab::new("Failed", "state=failed"),
        Tab::new("Pending", "state=pending"),
        Tab::new("Cancelled", "state=cancelled"),
        Tab::new("Embeddings", "endpoint=embeddings"),
    ])
    .only(listed)
    .search("Words of a message, or #id", find)
    .actions(&[BulkAction::new("refund", "Refund…")])
    .empty("There are no chats yet. They arrive through the API: the start page shows how to send one.");

/// A choice for each reason.
const REASONS: [Choice; FailureReason::ALL.len()] = {
    const FAILED_FOR: Clause = Clause::tested("chats.failure = ?");
    let mut choices = [Choice::of("", "", FAILED_FOR); FailureReason::ALL.len()];
    let mut place = 0;
    while place < choices.len() {
        let reason = FailureReason::ALL[place];
        choices[place] =
            Choice::of(reason.code(), reason.administrators_text(), FAILED_FOR).formerly(reason.old_text());
        place += 1;
    }
    choices
};

// The index leaves out complete chats, which are nearly all. A condition needs both parts, or the
// database does not use that index.
const PENDING: &str = "chats.state <> 'complete' AND chats.state = 'pending'";
const FAILED: &str = "chats.state <> 'complete' AND chats.state = 'failed'";
const CANCELLED: &str = "chats.state <> 'complete' AND chats.state = 'cancelled'";

/// Loads chats with the beginnings of their texts and the names of their users.
pub(in crate::panel) fn load(conn: &mut DbConnection, ids: &[i64]) -> Result<Vec<Named<Chat>>> {
    let chats = Chat::excerpts(conn, ids)?;
    named(conn, chats)
}

fn outcome(chat: &Chat) -> Cell {
    let failure = || chat.failure.as_deref().map(FailureReason::administrators_text_of);
    let shown = chat.response.as_deref().or_else(failure);
    Cell::excerpt(shown.unwrap_or_default())
}

/// Adds the names of the users.
pub(in crate::panel) fn named(conn: &mut DbConnection, chats: Vec<Chat>) -> Result<Vec<Named<Chat>>> {
    Named::all(conn, chats, |chat| [Some(chat.user_id), None])
}

/// The cell that links to the chat's page.
pub(in crate::panel) fn main(chat: &Named<Chat>) -> Cell {
    Cell::Main { text: format!("#{}", chat.row.id), href: paths::chat(chat.row.id) }
}

/// A badge for the state of a chat.
pub(in crate::panel) fn state(state: ChatState) -> Cell {
    let tone = match state {
        ChatState::Complete => Tone::Good,
        ChatState::Pending => Tone::Plain,
        ChatState::Failed => Tone::Bad,
        ChatState::Cancelled => Tone::Warning,
    };
    Cell::badge(state.as_str(), tone)
}

/// The dialect of a chat's endpoint.
pub(in crate::panel) fn endpoint(chat: &Chat) -> Cell {
    let text = match chat.endpoint.as_deref() {
        Some(code) => Endpoint::from_code(code).map_or(code, |endpoint| endpoint.dialect()),
        None => "not recorded",
    };
    Cell::Text(text.to_owned())
}

/// The model's tokens of the prompt and of the answer. `≈` marks an estimate.
fn usage(chat: &Chat) -> Cell {
    let Some(counted) = counted(chat) else { return Cell::Nothing };
    let number = |tokens: Option<i64>| tokens.map_or_else(|| "?".to_owned(), format::tokens);
    let about = if counted.is_estimated { "≈\u{a0}" } else { "" };
    Cell::Text(format!("{about}{}\u{a0}+\u{a0}{}", number(counted.prompt), number(counted.answer)))
}

/// The time from the message to the end of the answer.
fn took(chat: &Chat) -> Cell {
    chat.finished_at.map_or(Cell::Nothing, |finished| Cell::Text(format::span(finished - chat.created_at)))
}

/// Shows the list (`GET /admin/chats/`), with notes on what a search leaves out.
pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let mut list = read(&CHATS, &request, &administrator, &db).await?;
    if are_too_many(&list.words) {
        list.notes.push("Only ten of these words are searched for.".to_owned());
    }
    if list.is_narrowed {
        let behind = db.read(|conn| Ok(lag(conn, Followed::Chats)?)).await?;
        list.notes.extend(catching_up(behind, "chat is", "chats are"));
    }
    let frame = Frame::new(&administrator, &[Crumb::new("Chats", paths::CHATS)]);
    list.show(frame)
}
