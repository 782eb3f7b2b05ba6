//! Forms: the only way in which a handler of the panel reads a body. Reading one checks where it
//! comes from, so that no handler can forget to: the `Origin` must be ours, and the field `csrf`
//! must be the token of the browser's own session. A form whose session has ended comes back with
//! what was entered ([`ReturnedForm`]).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use url::form_urlencoded;

use super::cookie::{CookieKind, session_cookie};
use super::error::PageError;
use super::returned_form::{CSRF, Fields, ReturnedForm, announce, split_token};
use crate::domain::{OperationId, SessionSecret};
use crate::error::Error;
use crate::http::{BodyReader, MOST_BYTES, Site, is_https};

/// The content type of the panel's own forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// The most fields of a form. The ticked rows of a list are one field each.
const MOST_FIELDS: usize = 5_000;

/// The fields of a form that was sent from one of our own pages.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Form(Fields);

impl Form {
    /// Returns a field's text, trimmed. Empty if the field is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// Returns a field's text as it was sent, for passwords. Empty if the field is missing.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// Whether a field was sent: the box is ticked, or the button was pressed.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// Returns the operation id that was made with the form, so that sending it twice acts once.
    ///
    /// # Errors
    ///
    /// `Forbidden` if the form has none.
    pub(crate) fn operation(&self) -> Result<OperationId, PageError> {
        OperationId::parse(self.text("operation"))
            .ok_or(PageError::Forbidden("The form is incomplete, so nothing was done. Open it again."))
    }

    /// Returns the version of the row that the form was made from. A form without one gets -1,
    /// which no row has.
    pub(crate) fn version(&self) -> i64 {
        self.text("version").parse().unwrap_or(-1)
    }

    /// Returns all values of a repeated field, trimmed.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.trim()).collect()
    }

    /// Whether the form has the token of this secret.
    fn is_of(&self, secret: &SessionSecret) -> bool {
        secret.csrf_token().is(split_token(self.raw(CSRF)).0)
    }

    /// Returns all values of a repeated field that are numbers.
    pub(crate) fn numbers(&self, name: &str) -> Vec<i64> {
        let values = self.0.iter().filter(|(field, _)| field == name);
        values.filter_map(|(_, value)| value.parse().ok()).collect()
    }
}

type Reading<T> = Pin<Box<dyn Future<Output = Result<T, PageError>>>>;

impl FromRequest for Form {
    type Error = PageError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        let announced = announce(&request);
        Box::pin(async move {
            let form = read(&request, &mut payload).await?;
            let returned = ReturnedForm::sent(&request, &form.0);
            if session_cookie(&request).is_some_and(|secret| form.is_of(&secret)) {
                // The session may have ended: then the extractor of the administrator takes it.
                let _ = announced.send(returned);
                return Ok(form);
            }
            Err(match returned {
                Some(returned) => PageError::Returned(Box::new(returned)),
                None => PageError::SessionEnded,
            })
        })
    }
}

/// A form of a page that guests may open. The page comes again if the form is not of the browser's
/// own cookie: the handler decides.
pub(in crate::panel) struct GuestForm {
    pub form: Form,
    /// Why the form must not be accepted. `None` if it may be.
    pub fault: Option<GuestFault>,
}

/// Why a guest's form must not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) enum GuestFault {
    /// The browser sent no cookie: it rejects cookies, or has deleted them.
    NoCookie,
    /// The browser has another cookie: that of a page which was opened later.
    OtherCookie,
}

impl GuestFault {
    /// Returns what to do about it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            GuestFault::NoCookie => {
                "Your browser sent no cookie, and without one you cannot sign in. Allow cookies for this \
                 site, then try again."
            }
            GuestFault::OtherCookie => "This page was out of date. Nothing was done: try again.",
        }
    }
}

impl FromRequest for GuestForm {
    type Error = PageError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let form = read(&request, &mut payload).await?;
            let secrets = [CookieKind::Guest, CookieKind::Session].map(|kind| kind.read(&request));
            let fault = match secrets {
                [None, None] => Some(GuestFault::NoCookie),
                secrets if secrets.iter().flatten().any(|secret| form.is_of(secret)) => None,
                _ => Some(GuestFault::OtherCookie),
            };
            Ok(GuestForm { form, fault })
        })
    }
}

/// Reads a form from one of our own pages.
async fn read(request: &HttpRequest, payload: &mut Payload) -> Result<Form, PageError> {
    check_origin(request)?;
    let body = BodyReader::new(request, MOST_BYTES).read(payload).await?;
    if request.content_type() != FORM {
        return Err(Error::UnsupportedMediaType(FORM).into());
    }
    parse(&body.bytes)
}

fn parse(body: &[u8]) -> Result<Form, PageError> {
    let unreadable = || PageError::Error(Error::BodyCutShort);
    // Percent-decoding would replace bytes that are not UTF-8. Our own forms never contain any.
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
    let fields: Vec<(String, String)> =
        form_urlencoded::parse(text.as_bytes()).into_owned().take(MOST_FIELDS + 1).collect();
    if fields.len() > MOST_FIELDS {
        return Err(Error::BodyTooLarge(MOST_BYTES).into());
    }
    if fields.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(unreadable());
    }
    Ok(Form(Arc::new(fields)))
}

/// Checks that a form was sent from this site. Browsers name the origin of each form. If the header
/// is missing, `Sec-Fetch-Site` or `Referer` must say that the form comes from here.
fn check_origin(request: &HttpRequest) -> Result<(), PageError> {
    let text =
        |name: header::HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("null"));
    let ours = our_origin(request);
    let is_ours = match (text(header::ORIGIN), text(header::HeaderName::from_static("sec-fetch-site"))) {
        (Some(origin), _) => ours.as_deref() == Some(origin),
        (None, Some(site)) => site == "same-origin",
        (None, None) => text(header::REFERER).and_then(origin_of).is_some_and(|origin| Some(origin) == ours),
    };
    if is_ours {
        return Ok(());
    }
    log::warn!("rejected a form from another origin");
    Err(PageError::Forbidden(
        "This form came from another site, so nothing was done. If that site is your own, its operator has \
         to set --public-url to the address that browsers use.",
    ))
}

fn our_origin(request: &HttpRequest) -> Option<String> {
    let site = Site::of(request);
    site.public_origin.clone().or_else(|| {
        let host = request.headers().get(header::HOST)?.to_str().ok()?;
        let scheme = if is_https(request, &site) { "https" } else { "http" };
        origin_of(&format!("{scheme}://{host}"))
    })
}

/// Returns the origin of an address, as browsers write it. `None` if it has none.
pub(in crate::panel) fn origin_of(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let origin = url.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}
