//! Holds: the list of charges whose chats are still pending.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::chats::{load, main};
use super::kit::PageError;
use super::kit::administrator::Administrator;
use super::kit::list::{BulkAction, Cell, Choice, Clause, Column, Filter, List, Rows, Sort, Tab, read};
use super::kit::names::Named;
use super::kit::page::{Crumb, Frame};
use super::kit::paths;
use crate::db::Db;
use crate::models::Chat;
use crate::models::list::SortKey;

/// The rows of the list. The condition is part of the source, so that no filter can remove it.
const PENDING: &str =
    "(SELECT id, user_id, deadline FROM chats WHERE state <> 'complete' AND state = 'pending') AS holds";

/// The column with links to a form that only superusers may use.
const RELEASE: &str = "Release";

const ROWS: Rows<Named<Chat>> = Rows { from: PENDING, id: "holds.id", load, id_of: |hold| hold.row.id };

/// All holds, the oldest first.
pub(super) static HOLDS: List<Named<Chat>> = List::new("Holds", paths::HOLDS, ROWS)
    .named("hold", "holds")
    .columns(&[
        Column::id("Chat", main).note().sort("id"),
        Column::name("User", |hold: &Named<Chat>| hold.user(hold.row.user_id)).note(),
        Column::text("Message", |hold: &Named<Chat>| Cell::excerpt(&hold.row.message)).lead(),
        Column::number("Held", |hold: &Named<Chat>| Cell::Tokens(hold.row.charge)).side(),
        Column::time("Since", |hold| Cell::Time(hold.row.created_at)),
        Column::time("Deadline", |hold: &Named<Chat>| Cell::time(hold.row.deadline)).note(),
        Column::name(RELEASE, release).note(),
    ])
    .sorts(&[Sort::ascending("id", SortKey::Id)])
    .filters(&[
        Filter::user("user", "User", Clause::tested("holds.user_id = ?")),
        Filter::choice("overdue", "Overdue").of(&[
            Choice::now("yes", "Yes", Clause::tested("holds.deadline < ?")),
            Choice::now("no", "No", Clause::tested("holds.deadline >= ?")),
        ]),
    ])
    .tabs(&[Tab::new("Open", ""), Tab::new("Overdue", "overdue=yes")])
    .actions(&[BulkAction::new("release", "Release…")])
    .empty(
        "No chat is waiting for its answer. A hold past its deadline is refunded automatically within \
         seconds.",
    );

/// The link to the form that releases a hold.
fn release(hold: &Named<Chat>) -> Cell {
    let id = hold.row.id;
    Cell::Link { text: format!("Release #{id}…"), href: paths::release(id) }
}

/// Shows the list (`GET /admin/holds/`).
pub(super) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let mut list = read(&HOLDS, &request, &administrator, &db).await?;
    if !administrator.may_change() {
        list.leave_out(RELEASE);
    }
    let frame = Frame::new(&administrator, &[Crumb::new("Holds", paths::HOLDS)]);
    list.show(frame)
}
