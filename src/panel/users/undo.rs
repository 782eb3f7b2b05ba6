//! Undoing an adjustment of a user's balance, or a refund to it, by the button in the message about
//! it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::find;
use crate::administration::{EntryUndone, undo_entry};
use crate::auth::Auth;
use crate::domain::OperationId;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::form::Form;
use crate::panel::kit::message::{Message, UndoForm};
use crate::panel::kit::page::go;
use crate::panel::kit::paths;
use crate::panel::kit::{PageError, format, id};

/// The form that undoes what an operation has moved on a user's balance.
pub(in crate::panel) fn undo_form(user_id: i64, undone: OperationId) -> UndoForm {
    UndoForm::new(paths::undo_entry(user_id), &[("undone", undone.to_text().as_str())])
}

/// Writes the counter-entry (`POST /admin/users/{id}/undo/`).
pub(in crate::panel) async fn undo(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let tokens = |balance: i64| format::counted(balance, "token", "tokens");
    let outcome = match OperationId::parse(sent.text("undone")) {
        Some(undone) => undo_entry(&auth.db, &administrator.0.actor(), user.id, undone).await?,
        None => EntryUndone::NothingToUndo,
    };
    let message = match outcome {
        EntryUndone::Done { amount, balance } => Message::success(format!(
            "Undone: {} now has {} ({}).",
            user.username,
            tokens(balance),
            format::signed(amount)
        )),
        EntryUndone::Before => Message::warning("This was undone before, so nothing was done."),
        EntryUndone::OutOfRange { balance, amount } if amount < 0 => Message::warning(format!(
            "Nothing was undone: {} has only {} left.",
            user.username,
            tokens(balance)
        )),
        EntryUndone::OutOfRange { balance, .. } => Message::warning(format!(
            "Nothing was undone: {} has {}, and would have more than the maximum.",
            user.username,
            tokens(balance)
        )),
        EntryUndone::NothingToUndo => Message::warning("There is nothing to undo, so nothing was done."),
    };
    let message = match outcome {
        EntryUndone::OutOfRange { .. } => message.link("Adjust the balance", paths::adjust(user.id)),
        _ => message.link("Show the statement", paths::statement(user.id)),
    };
    administrator.0.leave_message(&auth, message).await?;
    Ok(go(&paths::user(user.id)))
}
