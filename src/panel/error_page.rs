//! Error pages. For an administrator they stay inside the frame of the panel, with its menu and its
//! search. A form whose session has ended comes back.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::kit::PageError;
use super::kit::administrator::{Administrator, auth_of};
use super::kit::page::{Crumb, Frame, page_with};
use super::kit::paths;
use super::kit::returned_form::ReturnedForm;
use super::{returned_form, sign_in};
use crate::error::Error;

#[derive(Template)]
#[template(path = "admin/framed_error.html")]
struct FramedErrorPage<'a> {
    frame: Frame,
    status: u16,
    advice: String,
    way_label: &'a str,
    way_href: &'a str,
}

/// The error of a form that somebody else's session has made, or nobody's.
const NOT_OF_THE_SESSION: PageError =
    PageError::Forbidden("This form does not belong to your session, so nothing was done. Open it again.");

/// Returns the page that tells of an error, for the visitor who sent the request.
pub async fn error_page(error: &PageError, request: &HttpRequest) -> HttpResponse {
    let shown = match error {
        // These redirect.
        PageError::SignIn(_) | PageError::Shortened(_) => None,
        // The page's name may not be ours, so no cookie is.
        PageError::Error(Error::UnknownHost) => None,
        PageError::Returned(form) => returned(form, request).await.ok(),
        PageError::SessionEnded => {
            let found = Administrator::at_an_error(request, true).await;
            found.and_then(|administrator| framed(&NOT_OF_THE_SESSION, &administrator).ok())
        }
        // Looking the session up would need what has just failed.
        PageError::Error(Error::Unavailable(_) | Error::Database(_)) => {
            let found = Administrator::at_an_error(request, false).await;
            found.and_then(|administrator| framed(error, &administrator).ok())
        }
        _ => {
            let found = Administrator::at_an_error(request, true).await;
            found.and_then(|administrator| framed(error, &administrator).ok())
        }
    };
    shown.unwrap_or_else(|| error.page_for(request))
}

fn framed(error: &PageError, administrator: &Administrator) -> Result<HttpResponse, PageError> {
    let (way_label, way_href) = error.way_out();
    let frame = Frame::new(administrator, &[Crumb::here(error.title())]);
    let page = FramedErrorPage {
        // After the theme was switched, nobody wants to come back here.
        frame: Frame { here: paths::HOME.to_owned(), ..frame },
        status: error.status_code().as_u16(),
        advice: error.advice(),
        way_label,
        way_href,
    };
    let mut response = page_with(error.status_code(), &page)?;
    error.add_headers(&mut response);
    Ok(response)
}

/// Returns the page for a form whose session has ended: with the form, for the user who entered it,
/// or with the sign-in page that carries it. Another administrator learns nothing of it.
async fn returned(form: &ReturnedForm, request: &HttpRequest) -> Result<HttpResponse, PageError> {
    if form.signs_out() {
        return sign_in::sign_out_late(form, request).await;
    }
    let Some(administrator) = Administrator::at_an_error(request, true).await else {
        let auth = auth_of(request)?;
        return sign_in::for_returned(request, &auth, form).await;
    };
    if administrator.user.id != form.owner || form.encoded().is_none() {
        return framed(&NOT_OF_THE_SESSION, &administrator);
    }
    let note = "This form is from an earlier session, so nothing was done. Check it, and send it \
                again.";
    returned_form::page(&administrator, form, note, StatusCode::FORBIDDEN)
}
