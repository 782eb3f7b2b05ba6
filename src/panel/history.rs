//! History: the audit log as the panel shows it. A list of all entries, and a page for each object.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use chrono::NaiveDateTime;

use super::kit::administrator::Administrator;
use super::kit::list::{
    Cell, Choice, Clause, Column, Filter, List, Rows, Searched, Sort, Tab, between_ids, read,
};
use super::kit::names::Named;
use super::kit::page::{Crumb, Frame, page};
use super::kit::paths;
use super::kit::{PageError, id};
use crate::audit::{Action, ObjectKind};
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::list::SortKey;
use crate::models::{AuditEntry, AuthToken, BulkOperation, Chat, Model, User};

/// The most entries on the history page of an object. The list has the rest.
const SHOWN: i64 = 200;

/// An audit entry as pages show it, with names.
pub(super) struct HistoryLine {
    pub at: NaiveDateTime,
    pub actor: Cell,
    pub action: String,
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
        object: object(entry),
        address: entry.row.address.clone(),
        note: entry.row.note.clone(),
        changes: Cell::changes(entry.row.changes()),
    });
    Ok(lines.collect())
}

fn named(conn: &mut DbConnection, entries: Vec<AuditEntry>) -> Result<Vec<Named<AuditEntry>>> {
    Named::all(conn, entries, |entry| [entry.actor_id, entry.user_id])
}

/// The object, as a link to its page if there is one.
fn object(entry: &Named<AuditEntry>) -> Cell {
    let id = entry.row.object_id;
    let Some(kind) = ObjectKind::from_code(&entry.row.object_kind) else {
        return Cell::Text(format!("{} {id}", entry.row.object_kind));
    };
    if kind == ObjectKind::User {
        return entry.user(id);
    }
    let text = format!("{} {id}", kind.text());
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
        ObjectKind::Session | ObjectKind::Verification => None,
    }
}

const ROWS: Rows<Named<AuditEntry>> =
    Rows { from: "audit_log", id: "audit_log.id", load, id_of: |e| e.row.id };

/// All entries of the audit log.
pub(super) static HISTORY: List<Named<AuditEntry>> = List::new("History", paths::HISTORY, ROWS)
    .named("entry", "entries")
    .columns(&[
        Column::text("When", |e: &Named<AuditEntry>| Cell::Time(e.row.created_at)).sort("when"),
        Column::text("Who", |e| e.actor(e.row.actor_id)),
        Column::text("Action", |e| Cell::Text(Action::text_of(&e.row.action).to_owned())),
        Column::text("Object", object),
        Column::text("Changes", |e| Cell::changes(e.row.changes())),
        Column::text("Reason", |e| Cell::excerpt(&e.row.note)),
        Column::text("From", |e| Cell::code(&e.row.address)),
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
        Tab::new("Today", "date=today"),
    ])
    .narrowed_by(|conn, params, query| {
        between_ids(conn, params, query, "audit_log")?;
        Ok(Searched::Narrowed)
    })
    .empty("Nothing has been done in the panel yet. Every change by an administrator is recorded here.");

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
    let list = read(&HISTORY, &request, &administrator, &db).await?;
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
    object: String,
}

fn exists(conn: &mut DbConnection, kind: ObjectKind, id: i64) -> Result<bool> {
    Ok(match kind {
        ObjectKind::User => User::find(conn, id)?.is_some(),
        ObjectKind::AuthToken => AuthToken::find(conn, id)?.is_some(),
        ObjectKind::Chat => Chat::find_cut(conn, id, 0)?.is_some(),
        ObjectKind::BulkOperation => BulkOperation::find(conn, id)?.is_some(),
        ObjectKind::Model => Model::find(conn, id)?.is_some(),
        ObjectKind::Session | ObjectKind::Verification => false,
    })
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
        if entries.is_empty() && !exists(conn, kind, object_id)? {
            return Ok(None);
        }
        describe(conn, entries).map(Some)
    };
    let path = kind_path(kind).unwrap_or(paths::HOME);
    let Some(mut history) = db.read(read).await? else {
        return Err(PageError::Missing(kind.text(), path));
    };
    let is_cut = history.len() as i64 > SHOWN;
    history.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let here = format!("{path}{object_id}/");
    let object = format!("{} {object_id}", kind.text());
    let way =
        [Crumb::new(kind_label, path), Crumb::new(object.as_str(), here.as_str()), Crumb::here("History")];
    let frame = Frame::new(&administrator, &way);
    page(&ObjectPage { frame, history, is_cut, object: object.clone() }).map_err(PageError::from)
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
