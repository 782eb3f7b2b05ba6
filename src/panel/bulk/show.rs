//! A bulk operation's page: its progress, its failures, and whether it can be undone.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;

use super::list::{state, what};
use super::reasons::{clause, done};
use crate::administration::{BulkKind, RowFailure, RowKind, Undoability, undoability};
use crate::db::{Db, DbConnection};
use crate::error::Result as TollgateResult;
use crate::models::{BulkFailure, BulkOperation, User};
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::list::Cell;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::table::{Table, TableHead};
use crate::panel::kit::{PageError, format, id};

/// The most failures that are shown. Further ones are only counted.
const SHOWN: i64 = 500;
/// The most failures whose reasons are counted.
const MOST_COUNTED: i64 = 10_000;

#[derive(Template)]
#[template(path = "admin/bulk_operation.html")]
struct BulkPage {
    frame: Frame,
    operation: BulkOperation,
    /// How far it is, in words.
    progress: String,
    /// How many rows were skipped, by reason.
    skipped: Vec<String>,
    /// The link to the form that undoes it.
    undo: Option<String>,
    facts: Vec<Fact>,
    failures: Table,
    is_cut: bool,
}

/// What the page reads.
struct Found {
    operation: BulkOperation,
    undoability: Undoability,
    /// The codes of reasons, each with its number.
    reasons: Vec<(String, i64)>,
    failures: Vec<Vec<Cell>>,
    /// The name of the administrator who started it.
    actor: Option<String>,
}

fn read(conn: &mut DbConnection, operation_id: i64) -> TollgateResult<Option<Found>> {
    let Some(operation) = BulkOperation::find(conn, operation_id)? else { return Ok(None) };
    let found = BulkOperation::failures(conn, operation_id, SHOWN)?;
    let rows = BulkKind::of(&operation).map(BulkKind::rows);
    let mut ids = vec![operation.actor_id];
    if rows == Some(RowKind::User) {
        ids.extend(found.iter().map(|failure| failure.object_id));
    }
    let names = User::names_of(conn, ids)?;
    let about = |failure: &BulkFailure| {
        let id = failure.object_id;
        match rows {
            Some(RowKind::User) => Cell::user(id, names.get(&id)),
            Some(RowKind::Chat) => Cell::Link { text: format!("chat {id}"), href: paths::chat(id) },
            Some(RowKind::AuthToken) => {
                Cell::Link { text: format!("auth token {id}"), href: paths::auth_token(id) }
            }
            None => Cell::Id(id),
        }
    };
    let row = |failure: &BulkFailure| {
        vec![about(failure), Cell::Text(RowFailure::text_of(&failure.reason).to_owned())]
    };
    Ok(Some(Found {
        undoability: undoability(conn, &operation)?,
        reasons: BulkOperation::reasons(conn, operation_id, MOST_COUNTED)?,
        failures: found.iter().map(row).collect(),
        actor: names.get(&operation.actor_id).cloned(),
        operation,
    }))
}

/// A link to another operation.
fn operation(id: i64) -> Cell {
    Cell::Link { text: format!("bulk operation {id}"), href: paths::bulk_operation(id) }
}

fn facts(found: &Found) -> Vec<Fact> {
    let bulk = &found.operation;
    let mut facts = vec![Fact::new("What", Cell::Text(what(bulk).to_owned()))];
    if bulk.amount != 0 {
        facts.push(Fact::new("Amount per user", Cell::Signed(bulk.amount)));
    }
    let limits = [("Chats at once", bulk.concurrent_chats), ("Requests a minute", bulk.requests_per_minute)];
    for (label, limit) in limits {
        let cell =
            |limit: i64| if limit < 0 { Cell::Text("default".to_owned()) } else { Cell::Tokens(limit) };
        facts.extend(limit.map(|limit| Fact::new(label, cell(limit))));
    }
    facts.extend([
        Fact::new("Selection", Cell::Text(bulk.selection.clone())),
        Fact::new("Reason", Cell::Text(bulk.note.clone())),
        Fact::new("State", state(bulk)),
        Fact::new("Failed", Cell::Tokens(bulk.failed)),
        Fact::new("By", Cell::user(bulk.actor_id, found.actor.as_ref())),
        Fact::new("Started", Cell::Time(bulk.created_at)),
        Fact::new("Finished", Cell::time(bulk.finished_at)),
    ]);
    let undo = match found.undoability {
        Undoability::Undone(by) => Some(("Undone by", operation(by))),
        Undoability::IsUndo(of) => Some(("Undoes", operation(of))),
        Undoability::Never => Some(("Undo", Cell::Text("not possible".to_owned()))),
        Undoability::RowsUnknown => {
            let why = "not possible: an older version of Tollgate has not kept the rows";
            Some(("Undo", Cell::Text(why.to_owned())))
        }
        Undoability::Possible(_) | Undoability::NotFinished | Undoability::NothingDone => None,
    };
    facts.extend(undo.map(|(label, cell)| Fact::new(label, cell)));
    facts
}

/// Shows the page (`GET /admin/bulk-operations/{id}/`).
pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let operation_id = id(&place)?;
    let Some(found) = db.read(move |conn| read(conn, operation_id)).await? else {
        return Err(PageError::Missing("bulk operation", paths::BULK_OPERATIONS));
    };
    let title = format!("Bulk operation {operation_id}");
    let way = [Crumb::new("Bulk operations", paths::BULK_OPERATIONS), Crumb::here(title.as_str())];
    let title = titled(&title, what(&found.operation));
    let frame = Frame { title, ..Frame::new(&administrator, &way) };
    let can_be_undone = administrator.may_change() && matches!(found.undoability, Undoability::Possible(_));
    let (facts, skipped) = (facts(&found), skipped(&found));
    let Found { operation, failures, .. } = found;
    let failures = Table {
        heads: vec![TableHead::text("Row"), TableHead::text("Reason")],
        rows: failures,
        empty: "There are no failures.",
    };
    let (progress, is_cut) = (progress(&operation), operation.failed > SHOWN);
    let undo = can_be_undone.then(|| paths::undo_bulk_operation(operation_id));
    let shown = BulkPage { frame, operation, progress, skipped, undo, facts, failures, is_cut };
    page(&shown).map_err(PageError::from)
}

/// Returns how far an operation is: `3 of 1,200 done.`, `All 1,200 done.` When it has finished,
/// rows that failed are not counted.
fn progress(operation: &BulkOperation) -> String {
    let all = format::tokens(operation.total);
    match operation.finished_at {
        None => format!("{} of {all} done.", format::tokens(operation.position)),
        Some(_) if operation.failed > 0 => {
            format!("{} of {all} done.", format::tokens(operation.total - operation.failed))
        }
        Some(_) if operation.total == 1 => "Done.".to_owned(),
        Some(_) => format!("All {all} done."),
    }
}

/// Returns a sentence for each reason for which rows were skipped.
fn skipped(found: &Found) -> Vec<String> {
    let Some(kind) = BulkKind::of(&found.operation) else { return Vec::new() };
    let sentence = |(code, number): &(String, i64)| {
        let count = format::tokens(*number);
        let was = if *number == 1 { "was" } else { "were" };
        match RowFailure::from_code(code) {
            Some(failure) => format!("{count} {} and {was} skipped.", clause(failure, kind, *number)),
            None => format!("{count} {was} skipped: {code}."),
        }
    };
    let mut lines: Vec<String> = found.reasons.iter().map(sentence).collect();
    if found.operation.failed > MOST_COUNTED {
        lines.insert(
            0,
            format!("Of the first {} that were not {}:", format::tokens(MOST_COUNTED), done(kind)),
        );
    }
    lines
}
