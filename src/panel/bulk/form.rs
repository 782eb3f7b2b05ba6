//! The form that starts a bulk operation: shown for a selection, then sent with the details.

use actix_web::HttpResponse;

use super::selection::Selection;
use crate::administration::{Bulk, BulkKind, BulkRequest, parse_amount};
use crate::auth::Auth;
use crate::domain::{Invalid, OperationId, Reason};
use crate::models::BulkOperation;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::fields::{Field, FormView};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::{Cell, List};
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;

/// What differs between the bulk operations.
pub(super) struct BulkForm<R: 'static> {
    /// The list in which the rows are selected.
    pub list: &'static List<R>,
    pub title: &'static str,
    pub button: &'static str,
    pub is_dangerous: bool,
    /// Says what will happen.
    pub note: &'static str,
    /// The path that the form is sent to.
    pub path: &'static str,
    /// The fields, one of which is the reason.
    pub fields: fn() -> Vec<Field>,
    /// Reads the kind of the operation from the form.
    pub kind: fn(&Form) -> Result<BulkKind, Invalid>,
}

impl<R: Send> BulkForm<R> {
    fn form(&self, selection: &Selection, operation: &str) -> FormView {
        let form = FormView::default()
            .hide("operation", operation)
            .group("", "", (self.fields)())
            .send_to(self.path)
            .button("", self.button)
            .cancel(selection.back(self.list.path));
        selection.carry(if self.is_dangerous { form.dangerous() } else { form })
    }

    fn page(&self, administrator: &Superuser, selection: &Selection, form: FormView) -> VerbPage {
        let way = [Crumb::new(self.list.title, self.list.path), Crumb::here(self.title)];
        let page = VerbPage::new(Frame::new(&administrator.0, &way), form);
        let page = selection.note.iter().fold(page, |page, note| page.note(note));
        page.note(self.note).fact("Selection", Cell::Text(selection.words.clone()))
    }

    /// Shows the form for the rows that were selected in the list. If there are none, leads back to
    /// it.
    pub(super) async fn show(
        &self,
        administrator: &Superuser,
        sent: &Form,
        auth: &Auth,
    ) -> Result<HttpResponse, PageError> {
        let selection = Selection::read(self.list, sent, &administrator.0, &auth.db).await?;
        if selection.ids.is_empty() {
            let text = format!("No {} was selected: tick some, or select all that match.", self.list.one);
            administrator.0.leave_message(auth, Message::warning(text)).await?;
            return Ok(go(&selection.back(self.list.path)));
        }
        let form = self.form(&selection, &OperationId::generate().to_text());
        self.page(administrator, &selection, form).show()
    }

    /// Starts the operation, if its details are valid and the selection is still the one that was
    /// shown.
    pub(super) async fn start(
        &self,
        administrator: &Superuser,
        sent: &Form,
        auth: &Auth,
        bulk: &Bulk,
    ) -> Result<HttpResponse, PageError> {
        let seed = sent.operation()?;
        if let Some(started) = bulk.find(&auth.db, seed).await? {
            return again(administrator, auth, &started, sent).await;
        }
        let selection = Selection::read(self.list, sent, &administrator.0, &auth.db).await?;
        let view = self.form(&selection, sent.text("operation")).refill(sent);
        if !selection.is_as_expected(sent) {
            let many = self.list.many;
            let why = format!("The matching {many} have changed: check the number, then send this again.");
            return self.page(administrator, &selection, view.fault(why)).show();
        }
        let (kind, reason) = match ((self.kind)(sent), Reason::parse(sent.text("reason"))) {
            (Ok(kind), Ok(reason)) => (kind, reason),
            (kind, reason) => {
                let faults: Vec<Invalid> = kind.err().into_iter().chain(reason.err()).collect();
                return self.page(administrator, &selection, view.blame(&faults)).show();
            }
        };
        let request = BulkRequest { seed, kind, reason, selection: selection.words, ids: selection.ids };
        let id = bulk.start(&auth.db, &administrator.0.actor(), request).await?;
        Ok(go(&paths::bulk_operation(id)))
    }
}

/// Responds to a form that was sent before: leads to the operation that it started. If the form has
/// changed since, a message says that the changes were not used.
async fn again(
    administrator: &Superuser,
    auth: &Auth,
    started: &BulkOperation,
    sent: &Form,
) -> Result<HttpResponse, PageError> {
    let amount = parse_amount(sent.text("amount")).unwrap_or_default();
    if amount != started.amount || sent.text("reason") != started.note {
        let text = "This form had already started the operation below when you changed it, so nothing new \
                    was started. Start again from the list.";
        administrator.0.leave_message(auth, Message::warning(text)).await?;
    }
    Ok(go(&paths::bulk_operation(started.id)))
}
