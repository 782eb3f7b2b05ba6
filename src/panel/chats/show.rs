//! A chat's page: its texts, its cost, and its ledger entries.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;

use super::SHOWN;
use super::facts::{cost, extras, facts, usage};
use crate::audit::ObjectKind;
use crate::db::{Db, DbConnection};
use crate::models::{AuditEntry, Chat, ChatState, EntryKind, LedgerEntry};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::From;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::table::Table;
use crate::panel::kit::{PageError, back_to, id};
use crate::panel::ledger::{LEDGER, named};

#[derive(Template)]
#[template(path = "admin/chat.html")]
struct ChatPage {
    frame: Frame,
    chat: Chat,
    facts: Vec<Fact>,
    cost: Vec<Fact>,
    usage: Vec<Fact>,
    /// The parts of the answer other than its text, such as tool calls, as JSON.
    extras: String,
    /// For each text that is cut, a note on how much is shown. Empty for a whole text.
    cut: [String; 3],
    entries: Table,
    history: Vec<HistoryLine>,
    may_refund: bool,
    may_release: bool,
}

/// Shows the page (`GET /admin/chats/{id}/`).
pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    from: Query<From>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let chat_id = id(&place)?;
    let (chat, user) = super::of(&db, chat_id).await?;
    let read = move |conn: &mut DbConnection| {
        let entries = LedgerEntry::of_chat(conn, chat_id)?;
        let history = AuditEntry::latest_of_object(conn, ObjectKind::Chat.code(), chat_id, 20)?;
        Ok((named(conn, entries)?, describe(conn, history)?, Chat::text_sizes(conn, chat_id)?))
    };
    let (entries, history, sizes) = db.read(read).await?;
    let paid: i64 = entries.iter().map(|entry| -entry.row.amount).sum();
    let refunded = entries.iter().any(|entry| entry.row.kind == EntryKind::Refund);
    let is_pending = chat.state == ChatState::Pending;
    let list = back_to(paths::CHATS, &from.list);
    let title = format!("Chat {chat_id}");
    let way = [Crumb::new("Chats", list.as_deref().unwrap_or(paths::CHATS)), Crumb::here(title.as_str())];
    let frame = Frame::new(&administrator, &way);
    let (reason, rest) = extras(&chat);
    let cut = [
        cut_note(Some(&chat.message), sizes.message),
        cut_note(chat.response.as_deref(), sizes.response),
        cut_note(chat.answer_extras.as_deref(), sizes.extras),
    ];
    let mut usage = usage(&chat);
    usage.extend(reason.map(|reason| Fact::new("Why the answer ended", Cell::code(&reason))));
    page(&ChatPage {
        frame,
        facts: facts(&chat, &user.username),
        cost: cost(&chat, entries.iter().map(|entry| &entry.row)),
        usage,
        extras: rest,
        cut,
        entries: Table::of(
            &LEDGER,
            &entries,
            &["User", "Chat"],
            "This chat has no ledger entries: it was imported.",
        ),
        history,
        may_refund: administrator.may_change() && !is_pending && !refunded && paid > 0,
        may_release: administrator.may_change() && is_pending,
        chat,
    })
    .map_err(PageError::from)
}

/// Returns a note that a text is longer than the part shown, or an empty string.
fn cut_note(shown: Option<&str>, size: i64) -> String {
    let shown = shown.map_or(0, str::len);
    let size = u64::try_from(size).unwrap_or_default();
    if u64::try_from(shown).is_ok_and(|shown| shown >= size) {
        return String::new();
    }
    format!(
        "Only the first {} characters of {} are shown.",
        format::tokens(i64::try_from(SHOWN).unwrap_or(i64::MAX)),
        format::bytes(size)
    )
}
