//! `GET /docs/`: the description of the API, for people. It needs no scripts to be read. With them,
//! a request can be tried: the auth token for that stays in the memory of the page.

mod view;

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use self::view::Reference;
use super::documents::{self, Link};
use super::openapi::{Values, document, entries};
use super::{CONTENT_SECURITY_POLICY, Frame, page};
use crate::auth::Guest;
use crate::error::Result;
use crate::http::CurrentSite;

static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference::new(&entries(), &document()));

#[derive(Template)]
#[template(path = "reference.html")]
struct ReferencePage<'a> {
    frame: Frame,
    documents: Vec<Link>,
    reference: &'a Reference,
}

/// Shows every route: what it takes, returns and rejects.
pub(super) async fn show(_: Guest, request: HttpRequest, site: CurrentSite) -> Result<HttpResponse> {
    let values = Values::of(&request, &site);
    let template =
        ReferencePage { frame: Frame::of(&site), documents: documents::links(), reference: &REFERENCE };
    let mut response = page(&template, |html| values.put_into(&html))?;
    // Requests that are tried go to this server.
    let policy = format!("{CONTENT_SECURITY_POLICY}; connect-src 'self'");
    if let Ok(policy) = header::HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}
