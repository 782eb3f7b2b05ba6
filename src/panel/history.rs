//! History: who did what to what, when and from where. A list of all, and a page of it for each object.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use chrono::NaiveDateTime;

use super::kit::administrator::Administrator;
use super::kit::list::{
    Cell, Choice, Column, Filter, FilterKind, List, Search, Searched, Sort, between_ids, read,
};
use super::kit::names::Named;
use super::kit::page::{Frame, page};
use super::kit::{PageError, id};
use crate::audit::{Action, ObjectKind};
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::list::{Condition, SortKey, Value};
use crate::models::{AuditEntry, AuthToken, BulkOperation, Chat, Model, User};

/// Entries on the history page of one object; the list has the rest.
const SHOWN: i64 = 200;

/// An audit entry as the history shows it.
pub(super) struct HistoryLine {
    pub at: NaiveDateTime,
    pub actor: Cell,
    pub action: String,
    pub object: Cell,
    pub address: String,
    pub note: String,
    pub changes: Cell,
}

/// Finds the names of actors and objects, and makes a line of each entry.
pub(super) fn describe(conn: &mut DbConnection, entries: Vec<AuditEntry>) -> Result<Vec<HistoryLine>> {
    let named = named(conn, entries)?;
    let lines = named.iter().map(|entry| HistoryLine {
        at: entry.row.created_at,
        actor: entry.actor(entry.row.actor_id),
        action: entry.row.action.clone(),
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

/// What it was done to, as a link to its page.
fn object(entry: &Named<AuditEntry>) -> Cell {
    let (kind, id) = (entry.row.object_kind.as_str(), entry.row.object_id);
    if kind == ObjectKind::User.as_str() {
        return entry.user(id);
    }
    let text = format!("{kind} {id}");
    match kind_path(kind) {
        Some(path) => Cell::Link { text, href: format!("{path}{id}/") },
        None => Cell::Text(text),
    }
}

fn kind_path(kind: &str) -> Option<&'static str> {
    let kind = ObjectKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    match kind {
        ObjectKind::User => Some("/admin/users/"),
        ObjectKind::AuthToken => Some("/admin/auth-tokens/"),
        ObjectKind::Chat => Some("/admin/chats/"),
        ObjectKind::BulkOperation => Some("/admin/bulk-operations/"),
        ObjectKind::Model => Some("/admin/models/"),
        ObjectKind::Session | ObjectKind::Verification => None,
    }
}

const fn of_action(value: &'static str, condition: fn(&super::kit::list::ListParams) -> Condition) -> Choice {
    Choice { value, label: value, condition }
}

fn action(action: Action) -> Condition {
    Condition::leading("audit_log.action = ?", vec![Value::Text(action.as_str().to_owned())])
}

pub(super) static HISTORY: List<Named<AuditEntry>> = List {
    path: "/admin/history/",
    title: "History",
    one: "entry",
    many: "entries",
    from: "audit_log",
    id: "audit_log.id",
    columns: &[
        Column {
            label: "When",
            sort: Some("when"),
            is_number: false,
            cell: |e| Cell::Time(e.row.created_at),
        },
        Column { label: "Who", sort: None, is_number: false, cell: |e| e.actor(e.row.actor_id) },
        Column { label: "What", sort: None, is_number: false, cell: |e| Cell::Text(e.row.action.clone()) },
        Column { label: "To what", sort: None, is_number: false, cell: object },
        Column { label: "Changes", sort: None, is_number: false, cell: |e| Cell::changes(e.row.changes()) },
        Column { label: "Reason", sort: None, is_number: false, cell: |e| Cell::excerpt(&e.row.note) },
        Column { label: "From", sort: None, is_number: false, cell: |e| Cell::code(&e.row.address) },
    ],
    sorts: &[Sort { name: "when", key: SortKey::Id, descending_first: true }],
    filters: &[
        Filter {
            name: "actor",
            label: "Who did it",
            kind: FilterKind::User(|id| {
                Condition::leading("audit_log.actor_id = ?", vec![Value::Integer(id)])
            }),
        },
        Filter {
            name: "user",
            label: "Concerning user",
            kind: FilterKind::User(|id| {
                Condition::leading("audit_log.user_id = ?", vec![Value::Integer(id)])
            }),
        },
        Filter {
            name: "action",
            label: "What was done",
            kind: FilterKind::Choice(&[
                of_action(Action::Add.as_str(), |_| action(Action::Add)),
                of_action(Action::Change.as_str(), |_| action(Action::Change)),
                of_action(Action::SetPassword.as_str(), |_| action(Action::SetPassword)),
                of_action(Action::Deactivate.as_str(), |_| action(Action::Deactivate)),
                of_action(Action::Reactivate.as_str(), |_| action(Action::Reactivate)),
                of_action(Action::Anonymise.as_str(), |_| action(Action::Anonymise)),
                of_action(Action::Adjust.as_str(), |_| action(Action::Adjust)),
                of_action(Action::Refund.as_str(), |_| action(Action::Refund)),
                of_action(Action::Release.as_str(), |_| action(Action::Release)),
                of_action(Action::Revoke.as_str(), |_| action(Action::Revoke)),
                of_action(Action::SignIn.as_str(), |_| action(Action::SignIn)),
                of_action(Action::SignOut.as_str(), |_| action(Action::SignOut)),
                of_action(Action::LogOutEverywhere.as_str(), |_| action(Action::LogOutEverywhere)),
                of_action(Action::Start.as_str(), |_| action(Action::Start)),
            ]),
        },
        Filter {
            name: "date",
            label: "When",
            kind: FilterKind::Days(|_, from, to| {
                let values = vec![Value::Time(from), Value::Time(to)];
                Condition::tested("audit_log.created_at >= ? AND audit_log.created_at < ?", values)
            }),
        },
    ],
    tabs: &[
        ("All", ""),
        ("Balances", "action=adjusted+the+balance"),
        ("Sign-ins", "action=signed+in"),
        ("Today", "date=today"),
    ],
    search: Some(Search {
        help: None,
        find: |conn, params, query| {
            between_ids(conn, params, query, "audit_log")?;
            Ok(Searched::Narrowed)
        },
    }),
    actions: &[],
    load: |conn, ids| {
        let entries = AuditEntry::find_many(conn, ids)?;
        named(conn, entries)
    },
    id_of: |entry| entry.row.id,
    label_of: |entry| format!("entry {}", entry.row.id),
    empty: "Nothing was done in the panel yet. Whatever administrators change is written down here.",
};

pub(super) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let list = read(&HISTORY, &request, &administrator, &db).await?;
    let frame = Frame::new(&administrator, &[("History", "/admin/history/")]);
    list.show(frame)
}

#[derive(Template)]
#[template(path = "admin/history.html")]
struct ObjectPage {
    frame: Frame,
    history: Vec<HistoryLine>,
    /// There is more than is shown.
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
            AuditEntry::latest_of_object(conn, kind.as_str(), object_id, SHOWN + 1)?
        };
        // What is gone may still have a history; what never was has neither.
        if entries.is_empty() && !exists(conn, kind, object_id)? {
            return Ok(None);
        }
        describe(conn, entries).map(Some)
    };
    let path = kind_path(kind.as_str()).unwrap_or("/admin/");
    let Some(mut history) = db.read(read).await? else {
        return Err(PageError::Missing(kind.as_str(), path));
    };
    let is_cut = history.len() as i64 > SHOWN;
    history.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let here = format!("{path}{object_id}/");
    let object = format!("{} {object_id}", kind.as_str());
    let way = [(kind_label, path), (object.as_str(), here.as_str()), ("History", "")];
    let frame = Frame::new(&administrator, &way);
    page(&ObjectPage { frame, history, is_cut, object: object.clone() }).map_err(PageError::from)
}

pub(super) async fn of_user(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::User, "Users").await
}

pub(super) async fn of_chat(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::Chat, "Chats").await
}

pub(super) async fn of_token(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::AuthToken, "Auth tokens").await
}

pub(super) async fn of_bulk(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::BulkOperation, "Bulk operations").await
}

pub(super) async fn of_model(
    a: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    of_object(a, place, db, ObjectKind::Model, "Models").await
}
