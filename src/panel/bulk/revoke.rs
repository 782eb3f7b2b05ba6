//! Revoking many auth tokens: the ones that were ticked, or all that match.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::again;
use super::selection::Selection;
use crate::administration::{Bulk, BulkKind, BulkRequest, REASON_LENGTH, Reason};
use crate::auth::Auth;
use crate::domain::OperationId;
use crate::panel::auth_tokens::AUTH_TOKENS;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;

fn form(selection: &Selection, operation: &str) -> FormView {
    let reason = Field::new("reason", "Reason", Kind::Text)
        .required()
        .most(REASON_LENGTH)
        .help("One line, up to 200 characters. It is shown in the history.");
    let form = FormView::default()
        .hide("operation", operation)
        .group("", "", vec![reason])
        .send_to(paths::REVOKE_AUTH_TOKENS)
        .dangerous()
        .button("", "Revoke all")
        .cancel(selection.back(paths::AUTH_TOKENS));
    selection.carry(form)
}

fn page(administrator: &Superuser, selection: &Selection, form: FormView) -> VerbPage {
    let way = [Crumb::new("Auth tokens", paths::AUTH_TOKENS), Crumb::here("Revoke auth tokens")];
    VerbPage::new(Frame::new(&administrator.0, &way), form)
        .note("Clients that use these auth tokens will be rejected. This cannot be undone.")
        .fact("Selection", Cell::Text(selection.words.clone()))
}

/// Shows the form for the auth tokens that were selected in the list
/// (`POST /admin/auth-tokens/selected/`).
pub(in crate::panel) async fn selected(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let selection = Selection::read(&AUTH_TOKENS, &sent, &administrator.0, &auth.db).await?;
    if selection.ids.is_empty() {
        let message = Message::warning("No auth token was selected: tick some, or select all that match.");
        administrator.0.leave_message(&auth, message).await?;
        return Ok(go(&selection.back(paths::AUTH_TOKENS)));
    }
    page(&administrator, &selection, form(&selection, &OperationId::generate().to_text())).show()
}

/// Starts the operation (`POST /admin/auth-tokens/bulk-revoke/`).
pub(in crate::panel) async fn revoke(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
    bulk: Data<Bulk>,
) -> Result<HttpResponse, PageError> {
    let seed = sent.operation()?;
    if let Some(started) = bulk.find(&auth.db, seed).await? {
        return again(&administrator, &auth, &started, &sent).await;
    }
    let selection = Selection::read(&AUTH_TOKENS, &sent, &administrator.0, &auth.db).await?;
    let view = form(&selection, sent.text("operation")).refill(&sent);
    if !selection.is_as_expected(&sent) {
        let view =
            view.fault("The matching auth tokens have changed: check the number, then send this again.");
        return page(&administrator, &selection, view).show();
    }
    let reason = match Reason::parse(sent.text("reason")) {
        Ok(reason) => reason,
        Err(fault) => return page(&administrator, &selection, view.blame(&[fault])).show(),
    };
    let words = selection.words.clone();
    let request = BulkRequest { seed, kind: BulkKind::Revoke, reason, selection: words, ids: selection.ids };
    let id = bulk.start(&auth.db, &administrator.0.actor(), request).await?;
    Ok(go(&paths::bulk_operation(id)))
}
