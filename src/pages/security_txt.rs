//! Where to report vulnerabilities of this site, in the form of RFC 9116.

use actix_web::HttpResponse;
use chrono::{Days, NaiveDate};
use serde_json::json;

use crate::auth::Guest;
use crate::clock::now;
use crate::error::{Error, Result};
use crate::http::operation::{Content, Example, Operation, Success, Tag};
use crate::http::{CurrentSite, Schema, Site};

/// The days for which a copy may be trusted. RFC 9116 recommends less than a year.
const DAYS: Days = Days::new(180);

/// Shows the operator's contact (`GET /.well-known/security.txt`).
///
/// # Errors
/// 404 without `--security-contact`.
pub(super) async fn show(_: Guest, site: CurrentSite) -> Result<HttpResponse> {
    let text = text(&site, now().date()).ok_or(Error::NotFound)?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}

/// Describes the route.
pub(super) fn describe() -> Operation {
    let example = "Contact: mailto:security@chat.example\nExpires: 2027-06-01T00:00:00Z\n";
    let content = Content {
        media_type: "text/plain",
        schema: Schema::plain(json!({ "type": "string" })),
        examples: vec![Example::new("mail", "A mail address.", example.into())],
    };
    Operation::of(show)
        .titled(Tag::Server, "See where to report vulnerabilities")
        .about("A file of RFC 9116. There is none without `--security-contact`.")
        .returns(Success::empty(200, "The operator's contact.").or(content))
        .fails([Error::NotFound])
}

/// Returns the text as of a day. It is made of the setting at each request, so the server itself
/// never shows an old one; its expiry is for copies.
fn text(site: &Site, today: NaiveDate) -> Option<String> {
    let contact = site.security_contact.as_deref()?;
    let expires = today.checked_add_days(DAYS).unwrap_or(today);
    let mut text = format!("Contact: {contact}\nExpires: {expires}T00:00:00Z\n");
    // The RFC allows only https here. A `Host` header does not count: anybody can send one.
    if let Some(origin) = site.public_origin.as_deref().filter(|origin| origin.starts_with("https://")) {
        text.push_str(&format!("Canonical: {origin}/.well-known/security.txt\n"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_contact_and_ends_to_be_valid_within_a_year() {
        let today = NaiveDate::from_ymd_opt(2026, 12, 2).unwrap();
        let plain = Site::default();
        assert_eq!(text(&plain, today), None);
        let contact = Some("mailto:security@chat.example".to_owned());
        let site = Site { security_contact: contact, ..plain };
        let expected = "Contact: mailto:security@chat.example\nExpires: 2027-05-31T00:00:00Z\n";
        assert_eq!(text(&site, today).as_deref(), Some(expected));
        for (origin, canonical) in [
            ("https://chat.example", "Canonical: https://chat.example/.well-known/security.txt\n"),
            ("http://chat.example", ""),
        ] {
            let site = Site { public_origin: Some(origin.to_owned()), ..site.clone() };
            assert_eq!(text(&site, today), Some(format!("{expected}{canonical}")), "{origin}");
        }
        assert!(text(&site, NaiveDate::MAX).is_some());
    }
}
