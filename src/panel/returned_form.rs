//! The page with a form that came back because its session had ended.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::kit::PageError;
use super::kit::administrator::Administrator;
use super::kit::page::{Crumb, Frame, page_with};
use super::kit::paths;
use super::kit::returned_form::ReturnedForm;

#[derive(Template)]
#[template(path = "admin/returned_form.html")]
struct ReturnedPage<'a> {
    frame: Frame,
    note: &'a str,
    form: &'a ReturnedForm,
    /// The path that the form is sent to.
    path: &'a str,
    /// What was entered, in words.
    entered: Vec<(String, String)>,
    asks_for_passwords: bool,
    cancel: String,
}

/// Shows a form to the administrator who has entered it, to be sent again under the present
/// session.
pub(super) fn page(
    administrator: &Administrator,
    form: &ReturnedForm,
    note: &str,
    status: StatusCode,
) -> Result<HttpResponse, PageError> {
    let path = form.address.split('?').next().unwrap_or_default();
    // A page that accepts only forms cannot be opened, so the list above it takes its place.
    let cancel = match path.trim_end_matches('/').rsplit_once('/') {
        Some((list, _)) if administrator.navigation.accepts_only_forms(path.trim_end_matches('/')) => {
            format!("{list}/")
        }
        _ => path.to_owned(),
    };
    let cancel = if cancel.starts_with(paths::HOME) { cancel } else { paths::HOME.to_owned() };
    let shown = ReturnedPage {
        frame: Frame::new(administrator, &[Crumb::here("Send the form again")]),
        note,
        form,
        path,
        entered: form.in_words(),
        asks_for_passwords: form.had_passwords(),
        cancel,
    };
    page_with(status, &shown).map_err(PageError::from)
}
