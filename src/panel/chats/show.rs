//! A chat's page: the conversation first, and beside it what it cost and how it went.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;

use super::SHOWN;
use super::facts::{Extras, Part, cost, extras, facts, ids, outcome, parts, usage};
use crate::audit::ObjectKind;
use crate::db::{Db, DbConnection};
use crate::domain::Endpoint;
use crate::error::Result;
use crate::models::{AuditEntry, Chat, ChatState, EntryKind, LedgerEntry, TextSizes};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::From;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::names::{Named, titled};
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::{PageError, back_to, id};
use crate::panel::ledger::named;

/// The most earlier turns of a conversation that are shown. The first of them leads further back.
const EARLIER_TURNS: i64 = 5;

#[derive(Template)]
#[template(path = "admin/chat.html")]
struct ChatPage {
    frame: Frame,
    chat: Chat,
    turns: Turns,
    answer: Extras,
    /// Whether the answer is vectors.
    is_of_vectors: bool,
    /// For each text that is cut, a note on how much is shown. Empty for a whole text.
    cut: [String; 3],
    outcome: Vec<Fact>,
    cost: Fact,
    parts: Vec<Part>,
    facts: Vec<Fact>,
    usage: Vec<Fact>,
    ids: Vec<Fact>,
    history: Vec<HistoryLine>,
    may_refund: bool,
    may_release: bool,
}

/// The chats around this one in its conversation.
#[derive(Default)]
struct Turns {
    /// The latest turns before this one, the oldest first.
    earlier: Vec<Turn>,
    /// Whether there are turns before those.
    are_cut: bool,
    /// The chat that follows.
    next: Option<i64>,
}

/// A question and its answer, each by its beginning.
struct Turn {
    id: i64,
    question: Cell,
    answer: Cell,
}

/// What one read returns.
struct Around {
    entries: Vec<Named<LedgerEntry>>,
    history: Vec<HistoryLine>,
    sizes: TextSizes,
    turns: Turns,
}

fn read(conn: &mut DbConnection, chat: &Chat) -> Result<Around> {
    let entries = LedgerEntry::of_chat(conn, chat.id)?;
    let history = AuditEntry::latest_of_object(conn, ObjectKind::Chat.code(), chat.id, 20)?;
    Ok(Around {
        entries: named(conn, entries)?,
        history: describe(conn, history)?,
        sizes: Chat::text_sizes(conn, chat.id)?,
        turns: match chat.conversation_id {
            Some(conversation) => turns(conn, conversation, chat.id)?,
            None => Turns::default(),
        },
    })
}

fn turns(conn: &mut DbConnection, conversation: i64, chat_id: i64) -> Result<Turns> {
    let mut ids = Chat::ids_before(conn, conversation, chat_id, EARLIER_TURNS + 1)?;
    let are_cut = ids.len() as i64 > EARLIER_TURNS;
    ids.truncate(usize::try_from(EARLIER_TURNS).unwrap_or(usize::MAX));
    let mut chats = Chat::excerpts(conn, &ids)?;
    chats.sort_by_key(|chat| chat.id);
    let turn = |chat: Chat| Turn {
        id: chat.id,
        question: Cell::excerpt(&chat.message),
        answer: Cell::excerpt(chat.response.as_deref().unwrap_or_default()),
    };
    let next = Chat::id_after(conn, conversation, chat_id)?;
    Ok(Turns { earlier: chats.into_iter().map(turn).collect(), are_cut, next })
}

/// Shows the page (`GET /admin/chats/{id}/`).
pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    from: Query<From>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let (chat, user) = super::of(&db, id(&place)?).await?;
    let about = chat.clone();
    let Around { entries, history, sizes, turns } = db.read(move |conn| read(conn, &about)).await?;
    let paid: i64 = entries.iter().map(|entry| -entry.row.amount).sum();
    let refunded = entries.iter().any(|entry| entry.row.kind == EntryKind::Refund);
    let is_pending = chat.state == ChatState::Pending;
    let list = back_to(paths::CHATS, &from.list);
    let name = format!("Chat {}", chat.id);
    let way = [Crumb::new("Chats", list.as_deref().unwrap_or(paths::CHATS)), Crumb::here(name.as_str())];
    let title = titled(&name, &user.username);
    let answer = extras(&chat);
    let mut usage = usage(&chat);
    if !answer.finish_reason.is_empty() {
        usage.push(Fact::new("Finish reason", Cell::code(&answer.finish_reason)));
    }
    page(&ChatPage {
        frame: Frame { title, ..Frame::new(&administrator, &way) },
        turns,
        is_of_vectors: chat.state == ChatState::Complete
            && chat.endpoint.as_deref() == Some(Endpoint::Embeddings.code()),
        cut: cut_notes(&chat, sizes),
        outcome: outcome(&chat, &user.username),
        cost: cost(&chat, entries.iter().map(|entry| &entry.row)),
        parts: parts(&chat, &entries),
        facts: facts(&chat),
        usage,
        ids: ids(&chat),
        answer,
        history,
        may_refund: administrator.may_change() && !is_pending && !refunded && paid > 0,
        may_release: administrator.may_change() && is_pending,
        chat,
    })
    .map_err(PageError::from)
}

fn cut_notes(chat: &Chat, sizes: TextSizes) -> [String; 3] {
    [
        cut_note(Some(&chat.message), sizes.message),
        cut_note(chat.response.as_deref(), sizes.response),
        cut_note(chat.answer_extras.as_deref(), sizes.extras),
    ]
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
