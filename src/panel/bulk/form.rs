//! The form that starts a bulk operation. It is shown for a selection, and again with a preview as
//! soon as all details are known. Only a form with the preview of these details starts anything.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;

use super::preview::{Preview, Subject};
use super::selection::Selection;
use crate::administration::{Bulk, BulkKind, BulkRequest};
use crate::auth::Auth;
use crate::db::DbConnection;
use crate::domain::{Invalid, OperationId, Reason};
use crate::models::BulkOperation;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::common_fields::{confirm_large, with_large_amount};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::{Cell, List};
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go, page_with};
use crate::panel::kit::paths;

/// The bulk operations of one list.
pub(in crate::panel) trait BulkActions: 'static {
    /// A row of the list.
    type Row: Send + 'static;

    /// Returns the forms. The first one counts where no action was chosen.
    fn forms() -> &'static [&'static BulkForm<Self::Row>];
}

/// Shows the form of an action for the rows that were selected in a list
/// (`POST /admin/users/selected/` and the like).
pub(in crate::panel) async fn selected<A: BulkActions>(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    chosen(A::forms(), &sent)?.show(&administrator, &sent, &auth).await
}

/// Starts a bulk operation (`POST /admin/users/bulk/` and the like).
pub(in crate::panel) async fn start<A: BulkActions>(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
    bulk: Data<Bulk>,
) -> Result<HttpResponse, PageError> {
    chosen(A::forms(), &sent)?.start(&administrator, &sent, &auth, &bulk).await
}

/// What differs between the bulk operations.
pub(in crate::panel) struct BulkForm<R: 'static> {
    /// The list in which the rows are selected.
    pub list: &'static List<R>,
    /// The name of the action in the list.
    pub action: &'static str,
    pub title: &'static str,
    pub button: &'static str,
    pub is_dangerous: bool,
    /// Says what will happen.
    pub note: &'static str,
    /// The path that the form is sent to.
    pub path: &'static str,
    /// The fields, the last of which is the reason.
    pub fields: fn() -> Vec<Field>,
    /// Reads the kind of the operation from the form.
    pub kind: fn(&Form) -> Result<BulkKind, Vec<Invalid>>,
}

/// A page with the form of a bulk operation.
#[derive(Template)]
#[template(path = "admin/bulk_form.html")]
pub(super) struct BulkPage {
    pub frame: Frame,
    pub form: FormView,
    /// Paragraphs that say what will happen.
    pub notes: Vec<String>,
    pub facts: Vec<Fact>,
    pub preview: Option<Preview>,
}

impl BulkPage {
    /// Returns the page, with the status 400 if the form has faults.
    pub(super) fn show(self) -> Result<HttpResponse, PageError> {
        let status = if self.form.has_faults() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        page_with(status, &self).map_err(PageError::from)
    }
}

/// Returns the form whose action was chosen in the list. The first one if none was.
fn chosen<R>(forms: &[&'static BulkForm<R>], sent: &Form) -> Result<&'static BulkForm<R>, PageError> {
    let wanted = sent.text("action");
    let found = forms.iter().copied().find(|form| form.action == wanted);
    let first = forms.first().copied().filter(|_| wanted.is_empty());
    found
        .or(first)
        .ok_or(PageError::Forbidden("There is no such action, so nothing was done. Open the list again."))
}

/// Returns what the preview is of, for the hidden field by which the form says what was shown.
fn previewed(kind: BulkKind) -> String {
    format!("{kind:?}")
}

impl<R: Send> BulkForm<R> {
    fn form(&self, selection: &Selection, operation: &str, kind: Option<BulkKind>) -> FormView {
        let form = FormView::default()
            .hide("operation", operation)
            .hide("action", self.action)
            .hide("previewed", kind.map(previewed).unwrap_or_default())
            .group("", "", (self.fields)())
            .send_to(self.path)
            .button("", if kind.is_some() { self.button } else { "Preview" })
            .cancel(selection.back(self.list.path));
        selection.carry(if self.is_dangerous { form.dangerous() } else { form })
    }

    /// Returns the page, with a preview if the kind of the operation is known.
    async fn page(
        &self,
        administrator: &Superuser,
        auth: &Auth,
        selection: Selection,
        kind: Option<BulkKind>,
        form: FormView,
    ) -> Result<HttpResponse, PageError> {
        let way = [Crumb::new(self.list.title, self.list.path), Crumb::here(self.title)];
        let frame = Frame::new(&administrator.0, &way);
        let notes = selection.note.iter().map(String::as_str).chain([self.note]).map(str::to_owned).collect();
        let facts = vec![Fact::new("Selection", Cell::Text(selection.words.clone()))];
        let preview = match kind {
            Some(kind) => Some(self.preview(administrator, auth, selection, kind).await?),
            None => None,
        };
        BulkPage { frame, form: form.alone(), notes, facts, preview }.show()
    }

    async fn preview(
        &self,
        administrator: &Superuser,
        auth: &Auth,
        selection: Selection,
        kind: BulkKind,
    ) -> Result<Preview, PageError> {
        let (actor_id, nouns) = (administrator.0.user.id, (self.list.one, self.list.many));
        let read = move |conn: &mut DbConnection| {
            let subject = Subject {
                kind,
                actor_id,
                undone: None,
                nouns,
                ids: &selection.ids,
                number: selection.ids.len() as i64,
                is_exact: selection.is_whole,
            };
            Preview::read(conn, &subject)
        };
        Ok(auth.db.read(read).await?)
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
        // The list may have a field of the form, such as the amount.
        let kind = (self.kind)(sent);
        let has_details = (self.fields)().iter().any(|field| !sent.text(field.name).is_empty());
        let large = kind.as_ref().ok().and_then(|kind| too_large(*kind, auth, sent));
        let form = self.form(&selection, &OperationId::generate().to_text(), kind.as_ref().ok().copied());
        let form = with_large_amount(form, "amount", large.as_ref(), sent).refill(sent);
        let faults: Vec<Invalid> = kind.as_ref().err().into_iter().flatten().cloned().chain(large).collect();
        let form = if has_details { form.blame(&faults) } else { form };
        self.page(administrator, auth, selection, kind.ok(), form).await
    }

    /// Starts the operation, if its details are valid and were previewed, and the selection is
    /// still the one that was shown.
    pub(super) async fn start(
        &self,
        administrator: &Superuser,
        sent: &Form,
        auth: &Auth,
        bulk: &Bulk,
    ) -> Result<HttpResponse, PageError> {
        let seed = sent.operation()?;
        if let Some(started) = bulk.find(&auth.db, seed).await? {
            return self.again(administrator, auth, &started, sent).await;
        }
        let selection = Selection::read(self.list, sent, &administrator.0, &auth.db).await?;
        let kind = (self.kind)(sent);
        let large = kind.as_ref().ok().and_then(|kind| too_large(*kind, auth, sent));
        let form = self.form(&selection, sent.text("operation"), kind.as_ref().ok().copied());
        let view = with_large_amount(form, "amount", large.as_ref(), sent).refill(sent);
        if !selection.is_as_expected(sent) {
            let many = self.list.many;
            let why = format!("The matching {many} have changed: check the number, then send this again.");
            return self.page(administrator, auth, selection, kind.ok(), view.fault(&why)).await;
        }
        let (kind, reason) = match (kind, Reason::parse(sent.text("reason")), large) {
            (Ok(kind), Ok(reason), None) => (kind, reason),
            (kind, reason, large) => {
                let (kind, faults) = match kind {
                    Ok(kind) => (Some(kind), Vec::new()),
                    Err(faults) => (None, faults),
                };
                let faults: Vec<Invalid> = faults.into_iter().chain(reason.err()).chain(large).collect();
                return self.page(administrator, auth, selection, kind, view.blame(&faults)).await;
            }
        };
        if sent.text("previewed") != previewed(kind) {
            return self.page(administrator, auth, selection, Some(kind), view).await;
        }
        let selection = selection.whole(self.list, sent, &administrator.0, &auth.db).await?;
        let request = BulkRequest { seed, kind, reason, selection: selection.words, ids: selection.ids };
        let id = bulk.start(&auth.db, &administrator.0.actor(), request).await?;
        Ok(go(&paths::bulk_operation(id)))
    }

    /// Responds to a form that was sent before: leads to the operation that it started. If the form
    /// has changed since, a message says that the changes were not used.
    async fn again(
        &self,
        administrator: &Superuser,
        auth: &Auth,
        started: &BulkOperation,
        sent: &Form,
    ) -> Result<HttpResponse, PageError> {
        let is_same = (self.kind)(sent).is_ok_and(|kind| BulkKind::of(started) == Some(kind));
        if !is_same || sent.text("reason") != started.note {
            let text = "This form had already started the operation below when you changed it, so nothing \
                        new was started. Start again from the list.";
            administrator.0.leave_message(auth, Message::warning(text)).await?;
        }
        Ok(go(&paths::bulk_operation(started.id)))
    }
}

/// Returns the fault of a grant that must be typed twice. It is the amount of each user that
/// counts.
fn too_large(kind: BulkKind, auth: &Auth, sent: &Form) -> Option<Invalid> {
    match kind {
        BulkKind::Adjust(amount) => confirm_large(amount, &auth.rules(), sent),
        _ => None,
    }
}
