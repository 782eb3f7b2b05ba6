//! A chat's own page: what was said, what it cost, and what went back.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;

use super::list::state;
use crate::admin::administrator::Administrator;
use crate::admin::history::{Told, tell};
use crate::admin::ledger::{LEDGER, named};
use crate::admin::list::Cell;
use crate::admin::page::{Frame, page};
use crate::admin::table::Table;
use crate::admin::users::From;
use crate::admin::{PageError, back_to, id};
use crate::administration::ObjectKind;
use crate::db::{Db, DbConnection};
use crate::models::{AuditEntry, Chat, ChatState, EntryKind, LedgerEntry};

#[derive(Template)]
#[template(path = "admin/chat.html")]
struct ChatPage {
    frame: Frame,
    chat: Chat,
    facts: Vec<(&'static str, Cell)>,
    entries: Table,
    history: Vec<Told>,
    may_refund: bool,
    may_release: bool,
}

fn facts(chat: &Chat, username: &str) -> Vec<(&'static str, Cell)> {
    let number = |number: Option<i64>| number.map_or(Cell::Nothing, Cell::Tokens);
    let mut facts = vec![
        ("User", Cell::user(chat.user_id, Some(&username.to_owned()))),
        ("State", state(chat.state)),
        ("Charge", Cell::Tokens(chat.charge)),
        ("Model", Cell::code(&chat.model)),
        ("Sent", Cell::Time(chat.created_at)),
        ("Finished", Cell::time(chat.finished_at)),
        ("Prompt tokens", number(chat.prompt_tokens)),
        ("Completion tokens", number(chat.completion_tokens)),
        ("Origin", Cell::Text(chat.origin.clone())),
        ("Id", Cell::Id(chat.id)),
    ];
    if chat.state == ChatState::Pending {
        facts.push(("Deadline", Cell::time(chat.deadline)));
    }
    if let Some(failure) = &chat.failure {
        facts.push(("Why it failed", Cell::Text(failure.clone())));
    }
    facts
}

pub(in crate::admin) async fn show(
    administrator: Administrator,
    place: Path<String>,
    from: Query<From>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let chat_id = id(&place)?;
    let (chat, user) = super::of(&db, chat_id).await?;
    let read = move |conn: &mut DbConnection| {
        let entries = LedgerEntry::of_chat(conn, chat_id)?;
        let history = AuditEntry::latest_of_object(conn, ObjectKind::Chat.as_str(), chat_id, 20)?;
        Ok((named(conn, entries)?, tell(conn, history)?))
    };
    let (entries, history) = db.read(read).await?;
    let cost: i64 = entries.iter().map(|entry| -entry.row.amount).sum();
    let refunded = entries.iter().any(|entry| entry.row.kind == EntryKind::Refund);
    let is_pending = chat.state == ChatState::Pending;
    let list = back_to("/admin/chats/", &from.list);
    let title = format!("Chat {chat_id}");
    let way = [("Chats", list.as_deref().unwrap_or("/admin/chats/")), (title.as_str(), "")];
    let frame = Frame::new(&administrator, &way);
    page(&ChatPage {
        frame,
        facts: facts(&chat, &user.username),
        entries: Table::of(
            &LEDGER,
            &entries,
            &["User", "Chat"],
            "This chat has no ledger entries: it was imported.",
        ),
        history,
        may_refund: administrator.may_change() && !is_pending && !refunded && cost > 0,
        may_release: administrator.may_change() && is_pending,
        chat,
    })
    .map_err(PageError::from)
}
