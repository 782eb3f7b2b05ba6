//! History: the audit log as the panel shows it. A list of all entries, and a page for each object.

mod find;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use chrono::NaiveDateTime;

use find::{MOST_WORDS, find, notes};

use super::kit::administrator::Administrator;
use super::kit::list::{Cell, Choice, Clause, Column, Filter, List, Rows, Sort, Tab, catching_up, read};
use super::kit::names::{Named, titled};
use super::kit::page::{Crumb, Frame, page};
use super::kit::paths;
use super::kit::{PageError, id};
use crate::audit::{Action, ObjectKind};
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::index::follower::{Followed, lag};
use crate::models::list::SortKey;
use crate::models::{AuditEntry, AuthToken, BulkOperation, Chat, Model, User};

/// The most entries on the history page of an object. The list has the rest.
const SHOWN: i64 = 200;

/// An audit entry as pages show it, with names.
pub(super) struct HistoryLine {
    pub at: NaiveDateTime,
    pub actor: Cell,
    pub action: String,
    /// `Nothing` if the actor signed in or out.
    pub object: Cell,
    /// The address from which it was done.
    pub address: String,
    /// The reason.
    pub note: String,
    /// Changed fields, each before and after.
    pub changes: Cell,
}

/// Makes a line of each entry, with the names of actors and objects.
pub(super) fn describe(conn: &mut DbConnection, entries: Vec<AuditEntry>) -> Result<Vec<HistoryLine>> {
    let named = named(conn, entries)?;
    let lines = named.iter().map(|entry| HistoryLine {
        at: entry.row.created_at,
        actor: entry.actor(entry.row.actor_id),
        action: Action::text_of(&entry.row.action).to_owned(),
        object: if is_sign_in_or_out(&entry.row) { Cell::Nothing } else { object(entry) },
        address: entry.row.address.clone(),
        note: entry.row.note.clone(),
        changes: Cell::changes(entry.row.changes()),
    });
    Ok(lines.collect())
}

fn named(conn: &mut DbConnection, entries: Vec<AuditEntry>) -> Result<Vec<Named<AuditEntry>>> {
    Named::all(conn, entries, |entry| [entry.actor_id, entry.user_id])
}

/// Whether somebody signed in or out. The object is then the actor.
fn is_sign_in_or_out(entry: &AuditEntry) -> bool {
    let text = Action::text_of(&entry.action);
    [Action::SignIn, Action::SignOut].iter().any(|action| action.text() == text)
        && entry.actor_id == Some(entry.object_id)
}

/// The object, as a link to its page if there is one.
pub(super) fn object(entry: &Named<AuditEntry>) -> Cell {
    let id = entry.row.object_id;
    let Some(kind) = ObjectKind::from_code(&entry.row.object_kind) else {
        return Cell::Text(format!("{} {id}", entry.row.object_kind));
    };
    if kind == ObjectKind::User {
        // A sign-in under a name that no user has.
        return if id == 0 { Cell::Text("an unknown name".to_owned()) } else { entry.user(id) };
    }
    let text = format!("{} {id}", kind.text());
    if kind == ObjectKind::Backup {
        return Cell::Link { text, href: paths::BACKUPS.to_owned() };
    }
    match kind_path(kind) {
        Some(path) => Cell::Link { text, href: format!("{path}{id}/") },
        None => Cell::Text(text),
    }
}

fn kind_path(kind: ObjectKind) -> Option<&'static str> {
    match kind {
        ObjectKind::User => Some(paths::USERS),
        ObjectKind::AuthToken => Some(paths::AUTH_TOKENS),
        ObjectKind::Chat => Some(paths::CHATS),
        ObjectKind::BulkOperation => Some(paths::BULK_OPERATIONS),
        ObjectKind::Model => Some(paths::MODELS),
        ObjectKind::Session | ObjectKind::Verification | ObjectKind::Backup => None,
    }
}

const ROWS: Rows<Named<AuditEntry>> =
    Rows { from: "audit_log", id: "audit_log.id", load, id_of: |e| e.row.id };

/// All entries of the audit log.
pub(super) static HISTORY: List<Named<AuditEntry>> = List::new("History", paths::HISTORY, ROWS)
    .named("entry", "entries")
    .columns(&[
        Column::time("When", |e: &Named<AuditEntry>| Cell::Time(e.row.created_at)).note().sort("when"),
        Column::name("Who", |e: &Named<AuditEntry>| e.actor(e.row.actor_id)).note(),
        Column::name("Action", |e: &Named<AuditEntry>| Cell::Text(Action::text_of(&e.row.action).to_owned()))
            .lead(),
        Column::name("Object", object).end(),
        Column::text("Changes", |e: &Named<AuditEntry>| Cell::changes(e.row.changes())).note(),
        Column::text("Reason", |e: &Named<AuditEntry>| Cell::excerpt(&e.row.note)).note(),
        Column::word("From", |e| Cell::code(&e.row.address)),
    ])
    .sorts(&[Sort::descending("when", SortKey::Id)])
    .filters(&[
        Filter::user("actor", "Who did it", Clause::leading("audit_log.actor_id = ?")),
        Filter::user("user", "Concerning user", Clause::leading("audit_log.user_id = ?")),
        Filter::choice("action", "What was done").of(&ACTIONS),
        Filter::days(
            "date",
            "When",
            Clause::tested("audit_log.created_at >= ? AND audit_log.created_at < ?"),
        ),
    ])
    .tabs(&[
        Tab::new("All", ""),
        Tab::new("Balances", "action=adjust"),
        Tab::new("Sign-ins", "action=sign_in"),
        Tab::new("Failed sign-ins", "action=fail_sign_in"),
        Tab::new("Today", "date=today"),
    ])
    .search("Names, reasons, addresses", find)
    .empty("Nothing yet. Every change by an administrator appears here.");

/// A choice for each action.
const ACTIONS: [Choice; Action::ALL.len()] = {
    const DONE: Clause = Clause::leading("audit_log.action = ?");
    let mut choices = [Choice::of("", "", DONE); Action::ALL.len()];
    let mut place = 0;
    while place < choices.len() {
        let action = Action::ALL[place];
        choices[place] = Choice::of(action.code(), action.text(), DONE).formerly(action.old_text());
        place += 1;
    }
    choices
};

fn load(conn: &mut DbConnection, ids: &[i64]) -> Result<Vec<Named<AuditEntry>>> {
    let entries = AuditEntry::find_many(conn, ids)?;
    named(conn, entries)
}

/// Shows the list (`GET /admin/history/`).
pub(super) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let mut list = read(&HISTORY, &request, &administrator, &db).await?;
    if list.words.split_whitespace().nth(MOST_WORDS).is_some() {
        list.notes.push(format!("Only {MOST_WORDS} of these words are searched for."));
    }
    if !list.words.is_empty() {
        let words = list.words.clone();
        let read = move |conn: &mut DbConnection| Ok((lag(conn, Followed::History)?, notes(conn, &words)?));
        let (behind, cut) = db.read(read).await?;
        list.notes.extend(catching_up(behind, "entry is", "entries are"));
        list.notes.extend(cut);
    }
    let frame = Frame::new(&administrator, &[Crumb::new("History", paths::HISTORY)]);
    list.show(frame)
}

#[derive(Template)]
#[template(path = "admin/history.html")]
struct ObjectPage {
    frame: Frame,
    history: Vec<HistoryLine>,
    /// Whether there are more entries than are shown.
    is_cut: bool,
    /// What the object is called.
    object: String,
}

/// Returns what an object is called: a user's or a model's name, or the kind of the object, its id
/// and whose it is. `None` if there is no such object.
fn name_of(conn: &mut DbConnection, kind: ObjectKind, id: i64) -> Result<Option<String>> {
    let owner = match kind {
        ObjectKind::User => return Ok(User::find(conn, id)?.map(|user| user.username)),
        ObjectKind::Model => return Ok(Model::find(conn, id)?.map(|model| model.name)),
        ObjectKind::BulkOperation => {
            return Ok(BulkOperation::find(conn, id)?.map(|_| unnamed(kind, id)));
        }
        ObjectKind::Session | ObjectKind::Verification | ObjectKind::Backup => return Ok(None),
        ObjectKind::AuthToken => AuthToken::find(conn, id)?.map(|token| token.user_id),
        ObjectKind::Chat => Chat::find_cut(conn, id, 0)?.map(|chat| chat.user_id),
    };
    let Some(owner) = owner else { return Ok(None) };
    let user = User::find(conn, owner)?;
    Ok(Some(user.map_or_else(|| unnamed(kind, id), |user| titled(&unnamed(kind, id), &user.username))))
}

fn unnamed(kind: ObjectKind, id: i64) -> String {
    format!("{} {id}", kind.text())
}

async fn of_object(
    administrator: Administrator,
    place: Path<String>,
    db: Data<Db>,
    kind: ObjectKind,
    kind_label: &'static str,
) -> Result<HttpResponse, PageError> {
    let object_id = id(&place)?;
    let read = move |conn: &mut DbConnection| {
        // What belongs to a user is part of the user's history.
        let entries = if kind == ObjectKind::User {
            AuditEntry::latest_of_user(conn, object_id, SHOWN + 1)?
        } else {
            AuditEntry::latest_of_object(conn, kind.code(), object_id, SHOWN + 1)?
        };
        // A deleted object may still have a history. One that never existed has none.
        let name = name_of(conn, kind, object_id)?;
        if entries.is_empty() && name.is_none() {
            return Ok(None);
        }
        let name = name.unwrap_or_else(|| unnamed(kind, object_id));
        Ok(Some((describe(conn, entries)?, name)))
    };
    let path = kind_path(kind).unwrap_or(paths::HOME);
    let Some((mut history, object)) = db.read(read).await? else {
        return Err(PageError::Missing(kind.text(), path));
    };
    let is_cut = history.len() as i64 > SHOWN;
    history.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let here = format!("{path}{object_id}/");
    let way =
        [Crumb::new(kind_label, path), Crumb::new(object.as_str(), here.as_str()), Crumb::here("History")];
    let frame = Frame { title: titled("History", &object), ..Frame::new(&administrator, &way) };
    page(&ObjectPage { frame, history, is_cut, object }).map_err(PageError::from)
}

/// Shows what concerns a user (`GET /admin/users/{id}/history/`).
pub(super) async fn of_user(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::User, "Users").await
}

/// Shows the history of a chat (`GET /admin/chats/{id}/history/`).
pub(super) async fn of_chat(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::Chat, "Chats").await
}

/// Shows the history of an auth token (`GET /admin/auth-tokens/{id}/history/`).
pub(super) async fn of_token(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::AuthToken, "Auth tokens").await
}

/// Shows the history of a bulk operation (`GET /admin/bulk-operations/{id}/history/`).
pub(super) async fn of_bulk(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::BulkOperation, "Bulk operations").await
}

/// Shows the history of a model (`GET /admin/models/{id}/history/`).
pub(super) async fn of_model(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::Model, "Models").await
}
