//! Adjusting many balances: of the users that were ticked, or of all that match.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::again;
use super::selection::Selection;
use crate::administration::{Bulk, BulkKind, BulkRequest, Reason, parse_amount};
use crate::auth::Auth;
use crate::domain::{Invalid, OperationId};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{amount_field, reason_field};
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::users::USERS;

fn form(selection: &Selection, operation: &str) -> FormView {
    let form = FormView::default()
        .hide("operation", operation)
        .group("", "", vec![amount_field(), reason_field()])
        .send_to(paths::ADJUST_USERS)
        .button("", "Adjust all")
        .cancel(selection.back(paths::USERS));
    selection.carry(form)
}

fn page(administrator: &Superuser, selection: &Selection, form: FormView) -> VerbPage {
    let way = [Crumb::new("Users", paths::USERS), Crumb::here("Adjust balances")];
    let page = VerbPage::new(Frame::new(&administrator.0, &way), form);
    let page = selection.note.iter().fold(page, |page, note| page.note(note));
    page.note(
        "Each user gets the same amount. The selection is fixed when you send this. The work is done in the \
         background, user by user, and continues after a restart. The result says what failed, and why.",
    )
    .fact("Selection", Cell::Text(selection.words.clone()))
}

/// Shows the form for the users who were selected in the list (`POST /admin/users/selected/`).
pub(in crate::panel) async fn selected(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let selection = Selection::read(&USERS, &sent, &administrator.0, &auth.db).await?;
    if selection.ids.is_empty() {
        let message = Message::warning("No user was selected: tick some, or select all that match.");
        administrator.0.leave_message(&auth, message).await?;
        return Ok(go(&selection.back(paths::USERS)));
    }
    page(&administrator, &selection, form(&selection, &OperationId::generate().to_text())).show()
}

/// Starts the operation (`POST /admin/users/bulk-adjust/`).
pub(in crate::panel) async fn adjust(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
    bulk: Data<Bulk>,
) -> Result<HttpResponse, PageError> {
    let seed = sent.operation()?;
    if let Some(started) = bulk.find(&auth.db, seed).await? {
        return again(&administrator, &auth, &started, &sent).await;
    }
    let selection = Selection::read(&USERS, &sent, &administrator.0, &auth.db).await?;
    let view = form(&selection, sent.text("operation")).refill(&sent);
    if !selection.is_as_expected(&sent) {
        let view = view.fault("The matching users have changed: check the number, then send this again.");
        return page(&administrator, &selection, view).show();
    }
    let (amount, reason) = match (parse_amount(sent.text("amount")), Reason::parse(sent.text("reason"))) {
        (Ok(amount), Ok(reason)) => (amount, reason),
        (amount, reason) => {
            let faults: Vec<Invalid> = amount.err().into_iter().chain(reason.err()).collect();
            return page(&administrator, &selection, view.blame(&faults)).show();
        }
    };
    let request = BulkRequest {
        seed,
        kind: BulkKind::Adjust(amount),
        reason,
        selection: selection.words.clone(),
        ids: selection.ids,
    };
    let id = bulk.start(&auth.db, &administrator.0.actor(), request).await?;
    Ok(go(&paths::bulk_operation(id)))
}
