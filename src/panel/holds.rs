//! Holds: charges whose chats are still pending, and those past their deadline.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::chats::{named, path};
use super::kit::PageError;
use super::kit::administrator::Administrator;
use super::kit::list::{Cell, Choice, Column, Filter, FilterKind, List, Sort, read};
use super::kit::names::Named;
use super::kit::page::Frame;
use crate::db::Db;
use crate::models::Chat;
use crate::models::list::{Condition, SortKey, Value};

/// What every hold fulfils; it stands in the list's source, so that no filter can take it away.
const PENDING: &str =
    "(SELECT id, user_id, deadline FROM chats WHERE state <> 'complete' AND state = 'pending') AS holds";

/// The column that leads to what only a superuser may do.
const RELEASE: &str = "Release";

pub(super) static HOLDS: List<Named<Chat>> = List {
    path: "/admin/holds/",
    title: "Holds",
    one: "hold",
    many: "holds",
    from: PENDING,
    id: "holds.id",
    columns: &[
        Column {
            label: "Chat",
            sort: Some("id"),
            is_number: false,
            cell: |hold| Cell::Main { text: format!("#{}", hold.row.id), href: path(hold.row.id) },
        },
        Column { label: "User", sort: None, is_number: false, cell: |hold| hold.user(hold.row.user_id) },
        Column {
            label: "Message",
            sort: None,
            is_number: false,
            cell: |hold| Cell::excerpt(&hold.row.message),
        },
        Column { label: "Held", sort: None, is_number: true, cell: |hold| Cell::Tokens(hold.row.charge) },
        Column { label: "Since", sort: None, is_number: false, cell: |hold| Cell::Time(hold.row.created_at) },
        Column {
            label: "Deadline",
            sort: None,
            is_number: false,
            cell: |hold| Cell::time(hold.row.deadline),
        },
        Column {
            label: RELEASE,
            sort: None,
            is_number: false,
            cell: |hold| Cell::Link {
                text: format!("Release #{}…", hold.row.id),
                href: format!("{}release/", path(hold.row.id)),
            },
        },
    ],
    sorts: &[Sort { name: "id", key: SortKey::Id, descending_first: false }],
    filters: &[
        Filter {
            name: "user",
            label: "User",
            kind: FilterKind::User(|id| Condition::tested("holds.user_id = ?", vec![Value::Integer(id)])),
        },
        Filter {
            name: "overdue",
            label: "Overdue",
            kind: FilterKind::Choice(&[
                Choice {
                    value: "yes",
                    label: "Yes",
                    condition: |params| {
                        Condition::tested("holds.deadline < ?", vec![Value::Time(params.now)])
                    },
                },
                Choice {
                    value: "no",
                    label: "No",
                    condition: |params| {
                        Condition::tested("holds.deadline >= ?", vec![Value::Time(params.now)])
                    },
                },
            ]),
        },
    ],
    tabs: &[("Open", ""), ("Overdue", "overdue=yes")],
    search: None,
    actions: &[],
    load: |conn, ids| {
        let chats = Chat::excerpts(conn, ids)?;
        named(conn, chats)
    },
    id_of: |hold| hold.row.id,
    label_of: |hold| format!("hold {}", hold.row.id),
    empty: "No chat waits for its answer. A hold that is past its deadline is refunded by itself within seconds.",
};

pub(super) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let mut list = read(&HOLDS, &request, &administrator, &db).await?;
    if !administrator.may_change() {
        list.leave_out(RELEASE);
    }
    let frame = Frame::new(&administrator, &[("Holds", "/admin/holds/")]);
    list.show(frame)
}
