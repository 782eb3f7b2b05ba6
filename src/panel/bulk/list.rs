//! The list of bulk operations.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::administration::BulkKind;
use crate::db::Db;
use crate::models::BulkOperation;
use crate::models::list::SortKey;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{Cell, Choice, Clause, Column, Filter, List, Rows, Sort, Tab, Tone, read};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::{Crumb, Frame};
use crate::panel::kit::paths;

static OPERATIONS: List<Named<BulkOperation>> = List::new("Bulk operations", paths::BULK_OPERATIONS, ROWS)
    .named("bulk operation", "bulk operations")
    .columns(&[
        Column::name("Operation", main).lead().sort("id"),
        Column::text("Selection", |bulk| Cell::excerpt(&bulk.row.selection)),
        Column::number("Amount", amount).end(),
        Column::number("Rows", |bulk| Cell::Tokens(bulk.row.total)),
        Column::number("Failed", |bulk| Cell::Tokens(bulk.row.failed)),
        Column::word("State", |bulk: &Named<BulkOperation>| state(&bulk.row)).note(),
        Column::text("Reason", |bulk: &Named<BulkOperation>| Cell::excerpt(&bulk.row.note)).note(),
        Column::word("By", |bulk: &Named<BulkOperation>| bulk.user(bulk.row.actor_id)).note(),
        Column::time("Started", |bulk: &Named<BulkOperation>| Cell::Time(bulk.row.created_at)).note(),
    ])
    .sorts(&[Sort::descending("id", SortKey::Id)])
    .filters(&[Filter::choice("state", "State").of(&[
        Choice::new("running", "Running", Clause::leading("bulk_operations.finished_at IS NULL")),
        Choice::new("finished", "Finished", Clause::tested("bulk_operations.finished_at IS NOT NULL")),
        Choice::new("failures", "With failures", Clause::tested("bulk_operations.failed > 0")),
    ])])
    .tabs(&[
        Tab::new("All", ""),
        Tab::new("Running", "state=running"),
        Tab::new("With failures", "state=failures"),
    ])
    .empty(
        "There are no bulk operations yet. To start one, tick users, chats, holds or auth tokens in their \
         lists, or select all that match.",
    );

const ROWS: Rows<Named<BulkOperation>> = Rows {
    from: "bulk_operations",
    id: "bulk_operations.id",
    load: |conn, ids| {
        let operations = BulkOperation::find_many(conn, ids)?;
        Named::all(conn, operations, |bulk| [Some(bulk.actor_id), None])
    },
    id_of: |bulk| bulk.row.id,
};

fn main(bulk: &Named<BulkOperation>) -> Cell {
    Cell::Main {
        text: format!("#{} {}", bulk.row.id, what(&bulk.row)),
        href: paths::bulk_operation(bulk.row.id),
    }
}

fn amount(bulk: &Named<BulkOperation>) -> Cell {
    if bulk.row.amount == 0 { Cell::Nothing } else { Cell::Signed(bulk.row.amount) }
}

/// The kind of an operation, as text.
pub(super) fn what(operation: &BulkOperation) -> &str {
    BulkKind::of(operation).map_or(&operation.kind, |kind| kind.text())
}

/// A badge for the state of an operation.
pub(super) fn state(operation: &BulkOperation) -> Cell {
    match (operation.finished_at, operation.failed) {
        (None, _) => Cell::badge("running", Tone::Plain),
        (Some(_), 0) => Cell::badge("finished", Tone::Good),
        (Some(_), _) => Cell::badge("with failures", Tone::Warning),
    }
}

/// Shows the list (`GET /admin/bulk-operations/`).
pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let list = read(&OPERATIONS, &request, &administrator, &db).await?;
    let frame = Frame::new(&administrator, &[Crumb::new("Bulk operations", paths::BULK_OPERATIONS)]);
    list.show(frame)
}
