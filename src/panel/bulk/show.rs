//! A bulk operation's page: its progress and its failures.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;

use super::list::{state, what};
use crate::administration::{BulkKind, RowFailure};
use crate::db::{Db, DbConnection};
use crate::error::Result as TollgateResult;
use crate::models::{BulkFailure, BulkOperation, User};
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::list::Cell;
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::table::{Table, TableHead};
use crate::panel::kit::{PageError, id};

/// The most failures that are shown. Further ones are only counted.
const SHOWN: i64 = 500;

#[derive(Template)]
#[template(path = "admin/bulk_operation.html")]
struct BulkPage {
    frame: Frame,
    operation: BulkOperation,
    facts: Vec<Fact>,
    failures: Table,
    is_cut: bool,
}

/// Returns a row for each failure, and the name of the administrator who started the operation.
fn failures(
    conn: &mut DbConnection,
    operation: &BulkOperation,
) -> TollgateResult<(Vec<Vec<Cell>>, Option<String>)> {
    let failures = BulkOperation::failures(conn, operation.id, SHOWN)?;
    let is_of_users = BulkKind::of(operation) != Some(BulkKind::Revoke);
    let mut ids = vec![operation.actor_id];
    if is_of_users {
        ids.extend(failures.iter().map(|failure| failure.object_id));
    }
    let names = User::names_of(conn, ids)?;
    let about = |failure: &BulkFailure| {
        let id = failure.object_id;
        if is_of_users {
            Cell::user(id, names.get(&id))
        } else {
            Cell::Link { text: format!("auth token {id}"), href: paths::auth_token(id) }
        }
    };
    let rows = failures
        .iter()
        .map(|failure| vec![about(failure), Cell::Text(RowFailure::text_of(&failure.reason).to_owned())])
        .collect();
    Ok((rows, names.get(&operation.actor_id).cloned()))
}

fn facts(operation: &BulkOperation, actor: Option<&String>) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("What", Cell::Text(what(operation).to_owned())),
        Fact::new("Selection", Cell::Text(operation.selection.clone())),
        Fact::new("Reason", Cell::Text(operation.note.clone())),
        Fact::new("State", state(operation)),
        Fact::new("Failed", Cell::Tokens(operation.failed)),
        Fact::new("By", Cell::user(operation.actor_id, actor)),
        Fact::new("Started", Cell::Time(operation.created_at)),
        Fact::new("Finished", Cell::time(operation.finished_at)),
    ];
    if operation.amount != 0 {
        facts.insert(1, Fact::new("Amount per user", Cell::Signed(operation.amount)));
    }
    facts
}

/// Shows the page (`GET /admin/bulk-operations/{id}/`).
pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let operation_id = id(&place)?;
    let read = move |conn: &mut DbConnection| {
        let Some(operation) = BulkOperation::find(conn, operation_id)? else { return Ok(None) };
        let (rows, actor) = failures(conn, &operation)?;
        Ok(Some((operation, rows, actor)))
    };
    let Some((operation, rows, actor)) = db.read(read).await? else {
        return Err(PageError::Missing("bulk operation", paths::BULK_OPERATIONS));
    };
    let title = format!("Bulk operation {operation_id}");
    let way = [Crumb::new("Bulk operations", paths::BULK_OPERATIONS), Crumb::here(title.as_str())];
    let frame = Frame::new(&administrator, &way);
    let is_cut = operation.failed > SHOWN;
    let failures = Table {
        heads: vec![TableHead::text("Row"), TableHead::text("Reason")],
        rows,
        empty: "There are no failures.",
    };
    page(&BulkPage { frame, facts: facts(&operation, actor.as_ref()), failures, is_cut, operation })
        .map_err(PageError::from)
}
