//! The list of chats.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::find::find;
use super::path;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::index::follower::{Followed, lag};
use crate::index::search::are_too_many;
use crate::models::list::{Condition, SortKey, Value};
use crate::models::{Chat, ChatState};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Choice, Column, Filter, FilterKind, List, Search, Sort, Tone, read};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::Frame;

pub(in crate::panel) static CHATS: List<Named<Chat>> = List {
    path: "/admin/chats/",
    title: "Chats",
    one: "chat",
    many: "chats",
    from: "chats",
    id: "chats.id",
    columns: &[
        Column { label: "Chat", sort: Some("id"), is_number: false, cell: main },
        Column { label: "When", sort: None, is_number: false, cell: |chat| Cell::Time(chat.row.created_at) },
        Column { label: "User", sort: None, is_number: false, cell: |chat| chat.user(chat.row.user_id) },
        Column {
            label: "Message",
            sort: None,
            is_number: false,
            cell: |chat| Cell::excerpt(&chat.row.message),
        },
        Column {
            label: "Outcome",
            sort: None,
            is_number: false,
            cell: |chat| {
                let shown = chat.row.response.as_deref().or(chat.row.failure.as_deref());
                Cell::excerpt(shown.unwrap_or_default())
            },
        },
        Column { label: "State", sort: None, is_number: false, cell: |chat| state(chat.row.state) },
        Column { label: "Charge", sort: None, is_number: true, cell: |chat| Cell::Tokens(chat.row.charge) },
        Column { label: "Model", sort: None, is_number: false, cell: |chat| Cell::code(&chat.row.model) },
        Column { label: "Usage", sort: None, is_number: true, cell: |chat| usage(&chat.row) },
        Column { label: "Took", sort: None, is_number: true, cell: |chat| took(&chat.row) },
    ],
    sorts: &[Sort { name: "id", key: SortKey::Id, descending_first: true }],
    filters: &[
        Filter {
            name: "user",
            label: "User",
            kind: FilterKind::User(|id| Condition::leading("chats.user_id = ?", vec![Value::Integer(id)])),
        },
        Filter {
            name: "state",
            label: "State",
            kind: FilterKind::Choice(&[
                Choice {
                    value: "complete",
                    label: "Complete",
                    condition: |_| Condition::tested("chats.state = 'complete'", vec![]),
                },
                Choice {
                    value: "pending",
                    label: "Pending",
                    condition: |_| {
                        Condition::leading("chats.state <> 'complete' AND chats.state = 'pending'", vec![])
                    },
                },
                Choice {
                    value: "failed",
                    label: "Failed",
                    condition: |_| {
                        Condition::leading("chats.state <> 'complete' AND chats.state = 'failed'", vec![])
                    },
                },
                Choice {
                    value: "cancelled",
                    label: "Cancelled",
                    condition: |_| {
                        Condition::leading("chats.state <> 'complete' AND chats.state = 'cancelled'", vec![])
                    },
                },
            ]),
        },
        Filter {
            name: "model",
            label: "Model",
            kind: FilterKind::Word(|model| {
                Condition::tested("chats.model = ?", vec![Value::Text(model.to_owned())])
            }),
        },
        Filter {
            name: "reason",
            label: "Why it failed",
            kind: FilterKind::Word(|reason| {
                Condition::tested("chats.failure = ?", vec![Value::Text(reason.to_owned())])
            }),
        },
        Filter {
            name: "date",
            label: "When",
            kind: FilterKind::Days(|_, from, to| {
                let values = vec![Value::Time(from), Value::Time(to)];
                Condition::tested("chats.created_at >= ? AND chats.created_at < ?", values)
            }),
        },
    ],
    tabs: &[
        ("All", ""),
        ("Today", "date=today"),
        ("Failed", "state=failed"),
        ("Cancelled", "state=cancelled"),
    ],
    search: Some(Search {
        help: Some(
            "Whole words of messages and responses; all of them must be there. #17 finds a chat by its id.",
        ),
        find,
    }),
    actions: &[],
    load: |conn, ids| {
        let chats = Chat::excerpts(conn, ids)?;
        named(conn, chats)
    },
    id_of: |chat| chat.row.id,
    label_of: |chat| format!("chat {}", chat.row.id),
    empty: "There are no chats yet. They come in by the API: see the front page for a first one.",
};

/// Chats with the names of their users.
pub(in crate::panel) fn named(conn: &mut DbConnection, chats: Vec<Chat>) -> Result<Vec<Named<Chat>>> {
    Named::all(conn, chats, |chat| [Some(chat.user_id), None])
}

pub(in crate::panel) fn main(chat: &Named<Chat>) -> Cell {
    Cell::Main { text: format!("#{}", chat.row.id), href: path(chat.row.id) }
}

pub(in crate::panel) fn state(state: ChatState) -> Cell {
    let tone = match state {
        ChatState::Complete => Tone::Good,
        ChatState::Pending => Tone::Plain,
        ChatState::Failed => Tone::Bad,
        ChatState::Cancelled => Tone::Warning,
    };
    Cell::badge(state.as_str(), tone)
}

/// Tokens of the prompt and of the answer, as a model counts them.
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

/// From the message to the end of the answer.
fn took(chat: &Chat) -> Cell {
    chat.finished_at.map_or(Cell::Nothing, |finished| Cell::Text(format::span(finished - chat.created_at)))
}

pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let mut list = read(&CHATS, &request, &administrator, &db).await?;
    if are_too_many(&list.words) {
        list.notes.push("Only ten of these words are looked for.".to_owned());
    }
    if list.is_narrowed {
        let behind = db.read(|conn| Ok(lag(conn, Followed::Chats)?)).await?;
        if behind > 0 {
            let behind = format::counted(behind, "chat is", "chats are");
            list.notes
                .push(format!("The search follows behind: the latest {behind} not found by words yet."));
        }
    }
    let frame = Frame::new(&administrator, &[("Chats", "/admin/chats/")]);
    list.show(frame)
}
