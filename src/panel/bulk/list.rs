//! The list of bulk operations.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::path;
use crate::db::Db;
use crate::models::BulkOperation;
use crate::models::list::{Condition, SortKey};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{Cell, Choice, Column, Filter, FilterKind, List, Sort, Tone, read};
use crate::panel::kit::names::Named;
use crate::panel::kit::page::Frame;

pub(in crate::panel) static BULK_OPERATIONS: List<Named<BulkOperation>> = List {
    path: "/admin/bulk-operations/",
    title: "Bulk operations",
    one: "bulk operation",
    many: "bulk operations",
    from: "bulk_operations",
    id: "bulk_operations.id",
    columns: &[
        Column {
            label: "Operation",
            sort: Some("id"),
            is_number: false,
            cell: |bulk| Cell::Main {
                text: format!("#{} {}", bulk.row.id, bulk.row.kind),
                href: path(bulk.row.id),
            },
        },
        Column {
            label: "Chosen",
            sort: None,
            is_number: false,
            cell: |bulk| Cell::excerpt(&bulk.row.selection),
        },
        Column { label: "Amount", sort: None, is_number: true, cell: amount },
        Column { label: "Rows", sort: None, is_number: true, cell: |bulk| Cell::Tokens(bulk.row.total) },
        Column { label: "Failed", sort: None, is_number: true, cell: |bulk| Cell::Tokens(bulk.row.failed) },
        Column { label: "State", sort: None, is_number: false, cell: |bulk| state(&bulk.row) },
        Column { label: "Reason", sort: None, is_number: false, cell: |bulk| Cell::excerpt(&bulk.row.note) },
        Column { label: "By", sort: None, is_number: false, cell: |bulk| bulk.user(bulk.row.actor_id) },
        Column {
            label: "Started",
            sort: None,
            is_number: false,
            cell: |bulk| Cell::Time(bulk.row.created_at),
        },
    ],
    sorts: &[Sort { name: "id", key: SortKey::Id, descending_first: true }],
    filters: &[Filter {
        name: "state",
        label: "State",
        kind: FilterKind::Choice(&[
            Choice {
                value: "running",
                label: "Running",
                condition: |_| Condition::leading("bulk_operations.finished_at IS NULL", vec![]),
            },
            Choice {
                value: "finished",
                label: "Finished",
                condition: |_| Condition::tested("bulk_operations.finished_at IS NOT NULL", vec![]),
            },
            Choice {
                value: "failures",
                label: "With failures",
                condition: |_| Condition::tested("bulk_operations.failed > 0", vec![]),
            },
        ]),
    }],
    tabs: &[("All", ""), ("Running", "state=running"), ("With failures", "state=failures")],
    search: None,
    actions: &[],
    load: |conn, ids| {
        let operations = BulkOperation::find_many(conn, ids)?;
        Named::all(conn, operations, |bulk| [Some(bulk.actor_id), None])
    },
    id_of: |bulk| bulk.row.id,
    label_of: |bulk| format!("bulk operation {}", bulk.row.id),
    empty: "There was none yet. Tick users or auth tokens in their lists, or choose all that match, to begin one.",
};

fn amount(bulk: &Named<BulkOperation>) -> Cell {
    if bulk.row.amount == 0 { Cell::Nothing } else { Cell::Signed(bulk.row.amount) }
}

pub(super) fn state(operation: &BulkOperation) -> Cell {
    match (operation.finished_at, operation.failed) {
        (None, _) => Cell::badge("running", Tone::Plain),
        (Some(_), 0) => Cell::badge("finished", Tone::Good),
        (Some(_), _) => Cell::badge("finished with failures", Tone::Warning),
    }
}

pub(in crate::panel) async fn list(
    request: HttpRequest,
    administrator: Administrator,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let list = read(&BULK_OPERATIONS, &request, &administrator, &db).await?;
    let frame = Frame::new(&administrator, &[("Bulk operations", "/admin/bulk-operations/")]);
    list.show(frame)
}
