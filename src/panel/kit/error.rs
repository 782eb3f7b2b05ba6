//! Errors as pages, which say what happened and what to do next. `panel::error_page` shows them to
//! administrators inside the frame of the panel.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;
use url::form_urlencoded;

use super::csp::CONTENT_SECURITY_POLICY;
use super::paths;
use super::returned_form::ReturnedForm;
use super::sentence::sentence;
use crate::domain::RequestId;
use crate::error::Error;
use crate::http::Site;

/// Why the panel does not show the page that was requested.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in. Holds the address that was wanted, to return to it.
    SignIn(String),
    /// The address contained an auth token. Holds the address without it, where the page is.
    Shortened(String),
    /// A form was sent by somebody who is not signed in.
    SessionEnded,
    /// A form was sent after its session had ended. Holds the form, which comes back.
    Returned(Box<ReturnedForm>),
    /// The link of the first run was used, so that there is a superuser now.
    FirstRunUsed,
    /// The key in the link of the first run is not the one that the server has printed.
    FirstRunUnknown,
    /// It is not allowed. Holds the reason and what to do instead.
    Forbidden(&'static str),
    /// The query string cannot be parsed.
    BadQuery,
    /// A row does not exist. Holds what it is called, and the path of its list.
    Missing(&'static str, &'static str),
    /// Any other error.
    Error(Error),
}

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        PageError::Error(error)
    }
}

impl From<crate::domain::NoRandomness> for PageError {
    fn from(error: crate::domain::NoRandomness) -> Self {
        PageError::Error(error.into())
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

#[derive(Template)]
#[template(path = "admin/error.html")]
struct ErrorPage<'a> {
    site: &'a str,
    title: &'a str,
    status: u16,
    advice: String,
    way: WayOut<'a>,
}

/// The link on an error's page.
struct WayOut<'a> {
    label: &'a str,
    href: &'a str,
}

impl PageError {
    /// Returns the title of the page.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            PageError::Error(Error::PasswordQueueFull(_) | Error::Busy(_)) => return "Too busy",
            PageError::FirstRunUsed => return "This link has already been used",
            PageError::FirstRunUnknown => return "This link does not work",
            PageError::SessionEnded | PageError::Returned(_) => return "Not signed in",
            _ => {}
        }
        match self.status_code() {
            StatusCode::SEE_OTHER => "Please sign in",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::METHOD_NOT_ALLOWED => "Method not allowed",
            StatusCode::CONFLICT => "Changed in the meantime",
            StatusCode::TOO_MANY_REQUESTS => "Too many requests",
            StatusCode::PAYLOAD_TOO_LARGE => "Too large",
            StatusCode::SERVICE_UNAVAILABLE => "Not confirmed",
            status if status.is_client_error() => "Not understood",
            _ => "Something went wrong",
        }
    }

    /// Returns what happened and what to do next.
    pub(crate) fn advice(&self) -> String {
        match self {
            PageError::SignIn(_) => "This page is for administrators.".to_owned(),
            PageError::Shortened(_) => "The page is at another address.".to_owned(),
            PageError::SessionEnded | PageError::Returned(_) => {
                "You are not signed in, or the session has ended. Nothing was done.".to_owned()
            }
            PageError::FirstRunUsed => "The server has an administrator. Sign in.".to_owned(),
            PageError::FirstRunUnknown => {
                "It is from an earlier start of the server, or not complete. The server's log has the latest \
                 one: look for first-run."
                    .to_owned()
            }
            PageError::Forbidden(why) => (*why).to_owned(),
            PageError::BadQuery => "The address is not valid after its question mark.".to_owned(),
            PageError::Missing(what, _) => {
                format!("There is no such {what}. It may have been removed, or the address is mistyped.")
            }
            PageError::Error(Error::NotFound | Error::UnknownUrl(_)) => {
                "There is nothing at this address. Check it, or look in the lists.".to_owned()
            }
            PageError::Error(
                error @ (Error::TooManyRequests(_) | Error::PasswordQueueFull(_) | Error::Busy(_)),
            ) => error.detail(),
            PageError::Error(Error::Unavailable(_) | Error::Database(_)) => {
                "The database did not respond in time, so it is not certain whether this was done. Check \
                 before you try again; sending the same form a second time does no harm."
                    .to_owned()
            }
            PageError::Error(Error::BodyTooLarge(_)) => "Select fewer rows, or shorten the text.".to_owned(),
            PageError::Error(Error::Invalid(invalid)) => sentence(&invalid.reason),
            PageError::Error(error) if error.status_code().is_client_error() => sentence(&error.to_string()),
            PageError::Error(_) => {
                "This is a defect in the server. Give its operator the request id from this response's \
                 headers."
                    .to_owned()
            }
        }
    }

    /// Returns the error's page for somebody who is not signed in, titled with the site's name.
    pub(crate) fn page_for(&self, request: &HttpRequest) -> HttpResponse {
        self.page(&Site::of(request).full_title())
    }

    /// Returns the link on the error's page: its label and its address.
    pub(crate) fn way_out(&self) -> (&'static str, &'static str) {
        match self {
            PageError::Missing(_, list) => ("Back to the list", *list),
            PageError::SessionEnded | PageError::Returned(_) | PageError::FirstRunUsed => {
                ("Sign in", paths::SIGN_IN)
            }
            _ => ("To the panel's home page", paths::HOME),
        }
    }

    /// Copies the headers that tell programs what to do next.
    pub(crate) fn add_headers(&self, response: &mut HttpResponse) {
        let PageError::Error(error) = self else { return };
        for name in [header::RETRY_AFTER, header::ALLOW, header::ACCEPT] {
            if let Some(value) = error.error_response().headers().get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
    }

    /// Logs what the operator has to know, if anything. `request` is the request that failed.
    pub fn log(&self, request: RequestId) {
        if let PageError::Error(error) = self {
            error.log(Some(request));
        }
    }

    /// All results of [`PageError::reason`] that are not slugs of an [`Error`].
    pub const REASONS: [&'static str; 5] =
        ["first-run-unknown", "first-run-used", "forbidden", "invalid-query", "session-ended"];

    /// Returns the reason for metrics and the log. `None` if the page is only at another address.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            PageError::SignIn(_) | PageError::Shortened(_) => None,
            PageError::SessionEnded | PageError::Returned(_) => Some("session-ended"),
            PageError::FirstRunUsed => Some("first-run-used"),
            PageError::FirstRunUnknown => Some("first-run-unknown"),
            PageError::Forbidden(_) => Some("forbidden"),
            PageError::BadQuery => Some("invalid-query"),
            PageError::Missing(..) => Some("not-found"),
            PageError::Error(error) => Some(error.slug()),
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            PageError::SignIn(_) | PageError::Shortened(_) => StatusCode::SEE_OTHER,
            PageError::SessionEnded | PageError::Returned(_) | PageError::Forbidden(_) => {
                StatusCode::FORBIDDEN
            }
            PageError::BadQuery => StatusCode::BAD_REQUEST,
            PageError::Missing(..) | PageError::FirstRunUsed | PageError::FirstRunUnknown => {
                StatusCode::NOT_FOUND
            }
            PageError::Error(Error::Unauthorized | Error::InvalidCredentials) => StatusCode::FORBIDDEN,
            PageError::Error(error) => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.page(&Site::default().title)
    }
}

impl PageError {
    fn page(&self, site: &str) -> HttpResponse {
        if let PageError::SignIn(wanted) = self {
            let next: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
            let to = if wanted == paths::HOME || wanted == paths::HOME.trim_end_matches('/') {
                paths::SIGN_IN.to_owned()
            } else {
                format!("{}?next={next}", paths::SIGN_IN)
            };
            return HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish();
        }
        if let PageError::Shortened(to) = self {
            return HttpResponse::SeeOther().insert_header((header::LOCATION, to.as_str())).finish();
        }
        let (label, href) = self.way_out();
        let way = WayOut { label, href };
        let status = self.status_code();
        let page =
            ErrorPage { site, title: self.title(), status: status.as_u16(), advice: self.advice(), way };
        let html = page.render().unwrap_or_else(|_| self.title().to_owned());
        let mut response = HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
            .body(html);
        self.add_headers(&mut response);
        response
    }
}
