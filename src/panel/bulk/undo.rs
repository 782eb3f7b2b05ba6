//! Undoing a bulk operation: a new operation that writes counter-entries, once.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::form::BulkPage;
use super::list::what;
use super::preview::{CHECKED, Preview, Subject};
use crate::administration::{
    Bulk, BulkKind, RowKind, UndoStarted, Undoability, undo_bulk_operation, undo_reason, undoability,
};
use crate::auth::Auth;
use crate::db::DbConnection;
use crate::domain::{OperationId, Reason};
use crate::error::Result as TollgateResult;
use crate::models::BulkOperation;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{history_reason_field, reason_field};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::{PageError, id};

/// The most chosen rows among which those to check are looked for.
const MOST_LOOKED_AT: i64 = 5_000;

/// The operation to undo, and what undoing it would do.
struct Found {
    operation: BulkOperation,
    undoability: Undoability,
    preview: Option<Preview>,
}

/// Returns the ids of the first rows that an operation has done.
fn first_done(conn: &mut DbConnection, operation: &BulkOperation) -> TollgateResult<Vec<i64>> {
    let (mut ids, mut from) = (Vec::new(), 0);
    while ids.len() < CHECKED && from < operation.total.min(MOST_LOOKED_AT) {
        ids.extend(BulkOperation::done_ids_from(conn, operation.id, from, CHECKED as i64)?);
        from += CHECKED as i64;
    }
    ids.truncate(CHECKED);
    Ok(ids)
}

fn read(conn: &mut DbConnection, operation_id: i64, actor_id: i64) -> TollgateResult<Option<Found>> {
    let Some(operation) = BulkOperation::find(conn, operation_id)? else { return Ok(None) };
    let undoability = undoability(conn, &operation)?;
    let Undoability::Possible(kind) = undoability else {
        return Ok(Some(Found { operation, undoability, preview: None }));
    };
    let ids = first_done(conn, &operation)?;
    let nouns = match kind.rows() {
        RowKind::User => ("user", "users"),
        RowKind::Chat => ("chat", "chats"),
        RowKind::AuthToken => ("auth token", "auth tokens"),
    };
    let subject = Subject {
        kind,
        actor_id,
        undone: Some(&operation),
        nouns,
        ids: &ids,
        number: operation.total - operation.failed,
        is_exact: true,
    };
    let preview = Some(Preview::read(conn, &subject)?);
    Ok(Some(Found { operation, undoability, preview }))
}

fn form(kind: BulkKind, operation: &BulkOperation, seed: &str) -> FormView {
    // The user sees the reason of an entry in the ledger.
    let moves_tokens = matches!(kind, BulkKind::UndoAdjust(_) | BulkKind::UndoRefund);
    let reason = if moves_tokens { reason_field() } else { history_reason_field() };
    FormView::default()
        .hide("operation", seed)
        .group("", "", vec![reason.value(undo_reason(&operation.note))])
        .button("", "Undo all")
        .cancel(paths::bulk_operation(operation.id))
}

/// Says what undoing cannot restore.
fn note(kind: BulkKind) -> &'static str {
    match kind {
        BulkKind::UndoAdjust(_) | BulkKind::UndoRefund => {
            "Writes an adjustment with the opposite sign for each row that was done. Where the tokens are \
             spent, nothing is taken."
        }
        BulkKind::Reactivate => {
            "The users can log in again with the same passwords. Auth tokens that have ended stay ended."
        }
        BulkKind::UndoLimits => {
            "Each user gets the limits of before. Limits that were changed since stay as they are."
        }
        _ => "Only rows that were done are undone.",
    }
}

fn page(
    administrator: &Superuser,
    found: Found,
    form: FormView,
    kind: Option<BulkKind>,
) -> Result<HttpResponse, PageError> {
    let Found { operation, preview, .. } = found;
    let (name, here) = (format!("Bulk operation {}", operation.id), paths::bulk_operation(operation.id));
    let way = [
        Crumb::new("Bulk operations", paths::BULK_OPERATIONS),
        Crumb::new(name.as_str(), here.as_str()),
        Crumb::here("Undo"),
    ];
    let frame = Frame {
        title: format!("Undo bulk operation {}", operation.id),
        ..Frame::new(&administrator.0, &way)
    };
    let facts = vec![
        Fact::new(
            "Undoes",
            Cell::Link { text: format!("#{} {}", operation.id, what(&operation)), href: here },
        ),
        Fact::new("Reason", Cell::Text(operation.note)),
    ];
    BulkPage {
        frame,
        form: form.alone(),
        notes: kind.map(note).map(str::to_owned).into_iter().collect(),
        facts,
        preview,
    }
    .show()
}

/// Says why an operation cannot be undone.
fn why_not(undoability: Undoability) -> &'static str {
    match undoability {
        Undoability::Undone(_) => "This operation was undone before, so nothing was done.",
        Undoability::NotFinished => "This operation is still running. Undo it when it has finished.",
        Undoability::NothingDone => "This operation has changed nothing, so there is nothing to undo.",
        Undoability::IsUndo(_) => "An undo cannot be undone. Start a new operation from the list.",
        Undoability::Never | Undoability::Possible(_) => "This operation cannot be undone.",
        Undoability::RowsUnknown => {
            "An older version of Tollgate has done this and has not kept the rows. It cannot be undone."
        }
    }
}

/// Leads to the operation, with a message that says why it cannot be undone.
async fn refuse(
    administrator: &Superuser,
    auth: &Auth,
    operation_id: i64,
    undoability: Undoability,
) -> Result<HttpResponse, PageError> {
    let message = Message::warning(why_not(undoability));
    let message = match undoability {
        Undoability::Undone(by) => {
            message.link("Show the operation that undid it", paths::bulk_operation(by))
        }
        _ => message,
    };
    administrator.0.leave_message(auth, message).await?;
    Ok(go(&paths::bulk_operation(operation_id)))
}

/// Shows what undoing would do (`GET /admin/bulk-operations/{id}/undo/`).
pub(in crate::panel) async fn show_undo(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let found = find(&administrator, &place, &auth).await?;
    let Undoability::Possible(kind) = found.undoability else {
        let form = FormView::default().cancel(paths::bulk_operation(found.operation.id));
        let form = form.fault(why_not(found.undoability));
        return page(&administrator, found, form, None);
    };
    let form = form(kind, &found.operation, &OperationId::generate().to_text());
    page(&administrator, found, form, Some(kind))
}

async fn find(administrator: &Superuser, place: &Path<String>, auth: &Auth) -> Result<Found, PageError> {
    let (operation_id, actor_id) = (id(place)?, administrator.0.user.id);
    let read = move |conn: &mut DbConnection| read(conn, operation_id, actor_id);
    auth.db.read(read).await?.ok_or(PageError::Missing("bulk operation", paths::BULK_OPERATIONS))
}

/// Starts the operation that undoes another one (`POST /admin/bulk-operations/{id}/undo/`).
pub(in crate::panel) async fn undo(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
    bulk: Data<Bulk>,
) -> Result<HttpResponse, PageError> {
    let (seed, operation_id) = (sent.operation()?, id(&place)?);
    let reason = match Reason::parse(sent.text("reason")) {
        Ok(reason) => reason,
        Err(fault) => {
            let found = find(&administrator, &place, &auth).await?;
            let Undoability::Possible(kind) = found.undoability else {
                return refuse(&administrator, &auth, operation_id, found.undoability).await;
            };
            let form = form(kind, &found.operation, sent.text("operation")).refill(&sent);
            return page(&administrator, found, form.blame(&[fault]), Some(kind));
        }
    };
    let actor = administrator.0.actor();
    match undo_bulk_operation(&auth.db, &bulk, &actor, operation_id, seed, &reason).await? {
        UndoStarted::Started(id) => Ok(go(&paths::bulk_operation(id))),
        UndoStarted::Refused(why) => refuse(&administrator, &auth, operation_id, why).await,
        UndoStarted::NoSuchOperation => Err(PageError::Missing("bulk operation", paths::BULK_OPERATIONS)),
    }
}
