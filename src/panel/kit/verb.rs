//! The page that comes before an action: what it will do, facts about the object, and the form.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::PageError;
use super::fact::Fact;
use super::fields::{FormView, Kind};
use super::format;
use super::list::Cell;
use super::page::{Frame, page_with};

/// A page that confirms an action or asks for its details.
#[derive(Template)]
#[template(path = "admin/verb.html")]
pub(in crate::panel) struct VerbPage {
    frame: Frame,
    form: FormView,
    /// Paragraphs that say what will happen.
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
    /// A page with a form alone.
    pub(crate) fn new(frame: Frame, form: FormView) -> VerbPage {
        VerbPage { frame, form: form.alone(), notes: Vec::new(), facts: Vec::new(), preview: None }
    }

    /// Adds a paragraph above the form.
    pub(crate) fn note(mut self, text: impl Into<String>) -> VerbPage {
        self.notes.push(text.into());
        self
    }

    /// Adds a fact about the object.
    pub(crate) fn fact(mut self, label: &'static str, cell: Cell) -> VerbPage {
        self.facts.push(Fact::new(label, cell));
        self
    }

    /// Shows a balance before and after a change, in tokens.
    pub(crate) fn preview(mut self, before: i64, change: i64) -> VerbPage {
        let after = before.saturating_add(change);
        let (before, after) = (format::tokens(before), format::tokens(after));
        self.preview = Some(Preview { before, change: format::signed(change), after });
        self
    }

    /// Returns the page with a status.
    pub(crate) fn answer(self, status: StatusCode) -> Result<HttpResponse, PageError> {
        page_with(status, &self).map_err(PageError::from)
    }

    /// Returns the page, with the status 400 if the form has faults.
    pub(crate) fn show(self) -> Result<HttpResponse, PageError> {
        let status = if self.form.has_faults() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.answer(status)
    }
}
