//! Errors as pages, which say what happened and what to do next.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;
use url::form_urlencoded;

use super::csp::CONTENT_SECURITY_POLICY;
use super::paths;
use crate::error::Error;
use crate::http::Site;

/// Why the panel does not show the page that was requested.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in. Holds the address that was wanted, to return to it.
    SignIn(String),
    /// The address contained an auth token. Holds the address without it, where the page is.
    Shortened(String),
    /// A form was sent by somebody who is not, or no longer, signed in.
    SessionEnded,
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
    fn title(&self) -> &'static str {
        if let PageError::Error(Error::PasswordQueueFull(_) | Error::Busy(_)) = self {
            return "Too busy";
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

    fn advice(&self) -> String {
        match self {
            PageError::SignIn(_) => "This page is for administrators.".to_owned(),
            PageError::Shortened(_) => "The page is at another address.".to_owned(),
            PageError::SessionEnded => {
                "You are not signed in, or the session has ended. Sign in and send the form again.".to_owned()
            }
            PageError::Forbidden(why) => (*why).to_owned(),
            PageError::BadQuery => "The part of the address after the question mark is not valid.".to_owned(),
            PageError::Missing(what, _) => {
                format!("There is no such {what}. It may have been removed, or the address is mistyped.")
            }
            PageError::Error(Error::NotFound) => {
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
            PageError::Error(Error::Invalid(invalid)) => format!("{}: {}.", invalid.field, invalid.reason),
            PageError::Error(error) if error.status_code().is_client_error() => format!("{error}."),
            PageError::Error(_) => {
                "This is a defect in the server. Give its operator the request id from this response's \
                 headers."
                    .to_owned()
            }
        }
    }

    /// Returns the error's page, titled with the site's name.
    pub fn page_for(&self, request: &HttpRequest) -> HttpResponse {
        self.page(&Site::of(request).title)
    }

    /// Logs what the operator has to know, if anything.
    pub fn log(&self) {
        if let PageError::Error(error) = self {
            error.log();
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            PageError::SignIn(_) | PageError::Shortened(_) => StatusCode::SEE_OTHER,
            PageError::SessionEnded | PageError::Forbidden(_) => StatusCode::FORBIDDEN,
            PageError::BadQuery => StatusCode::BAD_REQUEST,
            PageError::Missing(..) => StatusCode::NOT_FOUND,
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
        let (label, href) = match self {
            PageError::Missing(_, list) => ("Back to the list", *list),
            PageError::SessionEnded => ("Sign in", paths::SIGN_IN),
            _ => ("To the panel's home page", paths::HOME),
        };
        let way = WayOut { label, href };
        let status = self.status_code();
        let page =
            ErrorPage { site, title: self.title(), status: status.as_u16(), advice: self.advice(), way };
        let html = page.render().unwrap_or_else(|_| self.title().to_owned());
        let mut response = HttpResponse::build(status);
        if let PageError::Error(error) = self {
            for name in [header::RETRY_AFTER, header::ALLOW] {
                if let Some(value) = error.error_response().headers().get(&name) {
                    response.insert_header((name, value.clone()));
                }
            }
        }
        response
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
            .body(html)
    }
}
