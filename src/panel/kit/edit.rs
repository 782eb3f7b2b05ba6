//! The form of an edit, as it is shown at first and as it is shown again: with its faults, or with
//! what somebody else has stored in the meantime beside what was entered.

use actix_web::http::StatusCode;

use super::fields::FormView;
use super::form::Form;
use super::format;
use super::message::Message;
use super::zone::Zone;
use crate::domain::Invalid;
use crate::models::{Change, Editable, EditableField, FieldValue};

/// A form, the conflicts shown above it, and the status of the response.
pub(in crate::panel) struct EditView {
    pub form: FormView,
    pub conflicts: Vec<Conflict>,
    pub status: StatusCode,
}

/// A field whose stored value differs from what the administrator entered.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Conflict {
    /// The label of the field.
    pub field: &'static str,
    /// The value that is stored now.
    pub stored: String,
    /// The value that the administrator entered.
    pub sent: String,
}

impl EditView {
    /// A form that has not been sent yet.
    pub(crate) fn new(form: FormView) -> EditView {
        EditView { form, conflicts: Vec::new(), status: StatusCode::OK }
    }

    /// The form again, with what was sent and its faults.
    pub(crate) fn faulty(form: FormView, sent: &Form, faults: &[Invalid]) -> EditView {
        let form = form.refill(sent).keep_hidden(sent).blame(faults);
        EditView { form, conflicts: Vec::new(), status: StatusCode::BAD_REQUEST }
    }

    /// The form of a row that can no longer be edited. `why` is shown above it.
    pub(crate) fn gone(form: FormView, sent: &Form, why: &'static str) -> EditView {
        let form = form.refill(sent).keep_hidden(sent).fault(why);
        EditView { form, conflicts: Vec::new(), status: StatusCode::CONFLICT }
    }

    /// The form of the stored row, with what was sent. Sending it again is meant to overwrite what
    /// is stored now, so its hidden fields are those of the stored row.
    pub(crate) fn conflict<E: Editable>(
        form: FormView,
        sent: &Form,
        stored: &E::Row,
        wanted: &E,
        zone: Zone,
    ) -> EditView {
        let stored = E::of(stored);
        let conflicts = E::FIELDS.iter().map(|field| Conflict {
            field: form.label(field.name).unwrap_or(field.name),
            stored: shown((field.value)(&stored), zone),
            sent: entered(field, sent, wanted, zone),
        });
        let conflicts = conflicts.filter(|conflict| conflict.stored != conflict.sent).collect();
        EditView { form: form.refill(sent), conflicts, status: StatusCode::CONFLICT }
    }
}

/// Returns what an administrator entered. Texts are shown as they were typed.
fn entered<E: Editable>(field: &EditableField<E>, sent: &Form, wanted: &E, zone: Zone) -> String {
    match (field.value)(wanted) {
        FieldValue::Text(_) => sent.text(field.name).to_owned(),
        value => shown(value, zone),
    }
}

/// Returns a value in the form in which it is compared with what was entered. Forms have no
/// seconds.
fn shown(value: FieldValue, zone: Zone) -> String {
    match value {
        FieldValue::Limit(Some(number))
        | FieldValue::Price(Some(number))
        | FieldValue::MaybeNumber(Some(number)) => format::tokens(number),
        FieldValue::Time(Some(time)) => zone.minute(time),
        value => value.to_string(),
    }
}

/// Returns the message after an edit: `done`, or a text that says that nothing was changed.
pub(in crate::panel) fn saved(changes: &[Change], done: String) -> Message {
    Message::success(if changes.is_empty() { "No changes to save.".to_owned() } else { done })
}
