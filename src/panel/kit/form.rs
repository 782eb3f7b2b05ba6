//! Forms: the only way in which a handler of the panel reads a body. Reading one checks where it
//! comes from, so that no handler can forget to: the `Origin` must be ours, and the field `csrf`
//! must be the token of the browser's own session.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use url::form_urlencoded;

use super::administrator::session_cookie;
use super::error::PageError;
use crate::domain::OperationId;
use crate::error::Error;
use crate::http::{BodyReader, MOST_BYTES, Site};

/// The content type of the panel's own forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// The most fields of a form. The ticked rows of a list are one field each.
const MOST_FIELDS: usize = 5_000;

/// The fields of a form that was sent from one of our own pages.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Form(Vec<(String, String)>);

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

    /// Returns all values of a repeated field that are numbers.
    pub(crate) fn numbers(&self, name: &str) -> Vec<i64> {
        let values = self.0.iter().filter(|(field, _)| field == name);
        values.filter_map(|(_, value)| value.parse().ok()).collect()
    }
}

impl FromRequest for Form {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            check_origin(&request)?;
            let body = BodyReader::new(&request, MOST_BYTES).read(&mut payload).await?;
            if request.content_type() != FORM {
                return Err(Error::UnsupportedMediaType(FORM).into());
            }
            let form = parse(&body.bytes)?;
            let secret = session_cookie(&request);
            if secret.is_some_and(|secret| secret.csrf_token().is(form.raw("csrf"))) {
                Ok(form)
            } else {
                Err(PageError::Forbidden(
                    "This form does not belong to your session: the session may have ended, or you have \
                     signed in again. Nothing was done. Go back, reload the page and send the form again.",
                ))
            }
        })
    }
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
    Ok(Form(fields))
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
    Site::of(request).public_origin.clone().or_else(|| {
        let host = request.headers().get(header::HOST)?.to_str().ok()?;
        origin_of(&format!("http://{host}"))
    })
}

/// Returns the origin of an address, as browsers write it. `None` if it has none.
pub(in crate::panel) fn origin_of(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let origin = url.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}
