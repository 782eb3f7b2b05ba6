//! The page that stands before something is done: what it is about, what it needs, and a button.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::PageError;
use super::fact::Fact;
use super::fields::{FormView, Kind};
use super::format;
use super::list::Cell;
use super::page::{Frame, page_with};

#[derive(Template)]
#[template(path = "admin/verb.html")]
pub(in crate::panel) struct VerbPage {
    frame: Frame,
    form: FormView,
    /// What will happen, a paragraph each.
    notes: Vec<String>,
    facts: Vec<Fact>,
    preview: Option<Preview>,
}

/// A balance before and after a change.
struct Preview {
    before: String,
    change: String,
    after: String,
}

impl VerbPage {
    pub(crate) fn new(frame: Frame, form: FormView) -> VerbPage {
        VerbPage { frame, form, notes: Vec::new(), facts: Vec::new(), preview: None }
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> VerbPage {
        self.notes.push(text.into());
        self
    }

    pub(crate) fn fact(mut self, label: &'static str, cell: Cell) -> VerbPage {
        self.facts.push(Fact::new(label, cell));
        self
    }

    pub(crate) fn preview(mut self, before: i64, change: i64) -> VerbPage {
        let after = before.saturating_add(change);
        let (before, after) = (format::tokens(before), format::tokens(after));
        self.preview = Some(Preview { before, change: format::signed(change), after });
        self
    }

    pub(crate) fn answer(self, status: StatusCode) -> Result<HttpResponse, PageError> {
        page_with(status, &self).map_err(PageError::from)
    }

    /// As the form stands: 400 where something in it is wrong.
    pub(crate) fn show(self) -> Result<HttpResponse, PageError> {
        let status = if self.form.has_faults() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.answer(status)
    }
}
