//! The list of chats.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::find::find;
use crate::db::{Db, DbConnection};
use crate::domain::FailureReason;
use crate::error::Result;
use crate::index::follower::{Followed, lag};
use crate::index::search::are_too_many;
use crate::models::list::SortKey;
use crate::models::{Chat, ChatState};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Choice, Clause, Column, Filter, List, Rows, Sort, Tab, Tone, read};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::{Crumb, Frame};
use crate::panel::kit::paths;

const ROWS: Rows<Named<Chat>> = Rows { from: "chats", id: "chats.id", load, id_of: |chat| chat.row.id };

/// All chats. The global search and the pages of users use this list, too.
pub(in crate::panel) static CHATS: List<Named<Chat>> = List::new("Chats", paths::CHATS, ROWS)
    .named("chat", "chats")
    .columns(&[
        Column::text("Chat", main).sort("id"),
        Column::text("When", |chat| Cell::Time(chat.row.created_at)),
        Column::text("User", |chat| chat.user(chat.row.user_id)),
        Column::text("Message", |chat| Cell::excerpt(&chat.row.message)),
        Column::text("Outcome", |chat| outcome(&chat.row)),
        Column::text("State", |chat| state(chat.row.state)),
        Column::number("Charge", |chat| Cell::Tokens(chat.row.charge)),
        Column::text("Model", |chat| Cell::code(&chat.row.model)),
        Column::number("Usage", |chat| usage(&chat.row)),
        Column::number("Took", |chat| took(&chat.row)),
    ])
    .sorts(&[Sort::descending("id", SortKey::Id)])
    .filters(&[
        Filter::user("user", "User", Clause::leading("chats.user_id = ?")),
        Filter::choice("state", "State").of(&[
            Choice::new("complete", "Complete", Clause::tested("chats.state = 'complete'")),
            Choice::new("pending", "Pending", Clause::leading(PENDING)),
            Choice::new("failed", "Failed", Clause::leading(FAILED)),
            Choice::new("cancelled", "Cancelled", Clause::leading(CANCELLED)),
        ]),
        Filter::word("model", "Model", Clause::tested("chats.model = ?")),
        Filter::choice("reason", "Why it failed").of(&REASONS),
        Filter::days("date", "When", Clause::tested("chats.created_at >= ? AND chats.created_at < ?")),
    ])
    .tabs(&[
        Tab::new("All", ""),
        Tab::new("Today", "date=today"),
        Tab::new("Failed", "state=failed"),
        Tab::new("Cancelled", "state=cancelled"),
    ])
    .search(
        "Whole words in messages and responses. A chat must have all of them. #17 finds a chat by its id.",
        find,
    )
    .empty("There are no chats yet. They arrive through the API: the start page shows how to send one.");

/// A choice for each reason.
const REASONS: [Choice; FailureReason::ALL.len()] = {
    const FAILED_FOR: Clause = Clause::tested("chats.failure = ?");
    let mut choices = [Choice::of("", "", FAILED_FOR); FailureReason::ALL.len()];
    let mut place = 0;
    while place < choices.len() {
        let reason = FailureReason::ALL[place];
        choices[place] = Choice::of(reason.code(), reason.text(), FAILED_FOR).formerly(reason.old_text());
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
    let failure = || chat.failure.as_deref().map(FailureReason::text_of);
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

/// The model's tokens of the prompt and of the answer. `≈` marks an estimate.
fn usage(chat: &Chat) -> Cell {
    match (chat.prompt_tokens, chat.completion_tokens) {
        (None, None) => Cell::Nothing,
        (prompt, answer) => {
            let number = |tokens: Option<i64>| tokens.map_or_else(|| "?".to_owned(), format::tokens);
            let about = if chat.usage_estimated == Some(true) { "≈\u{a0}" } else { "" };
            Cell::Text(format!("{about}{}\u{a0}+\u{a0}{}", number(prompt), number(answer)))
        }
    }
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
        if behind > 0 {
            let behind = format::counted(behind, "chat is", "chats are");
            list.notes.push(format!("The search index is catching up: {behind} not in it yet."));
        }
    }
    let frame = Frame::new(&administrator, &[Crumb::new("Chats", paths::CHATS)]);
    list.show(frame)
}
