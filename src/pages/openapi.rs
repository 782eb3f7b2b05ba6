//! `GET /openapi.json`: the description of the API, for programs.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::api;
use crate::auth::Guest;
use crate::http::operation::{A_MODEL, Operation, Parameter, Success, Tag};
use crate::http::{CurrentSite, Schema, Site};
use crate::openapi::{self, ADDRESS, Entry};
use crate::responder::DUMMY;

/// How long a client may use the document without asking again.
const CACHING: &str = "public, max-age=300";

/// The document before the values of a server are put into it.
static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The digest of [`TEXT`].
static DIGEST: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::digest(TEXT.as_bytes()).into());

/// Returns all entries of the description.
pub(super) fn entries() -> Vec<Entry> {
    openapi::entries(&[api::ROUTES, super::ROUTES])
}

/// Returns the document, with an address and a model that stand for those of a server.
pub fn document() -> Value {
    openapi::document(&entries())
}

/// What differs from server to server.
pub(super) struct Values {
    address: String,
    model: String,
}

impl Values {
    /// Returns the address that the request came to, and a model on offer.
    pub(super) fn of(request: &HttpRequest, site: &Site) -> Values {
        // Names with other characters would have to be quoted, each time in another way.
        let is_plain = |name: &&String| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/@+".contains(&byte))
        };
        let model: &str = match site.models.iter().find(is_plain) {
            Some(model) => model,
            None if site.models.is_empty() => DUMMY,
            None => A_MODEL,
        };
        Values { address: site.address(request), model: model.to_owned() }
    }

    /// Puts them into a text.
    pub(super) fn put_into(&self, text: &str) -> String {
        text.replace(ADDRESS, &self.address).replace(A_MODEL, &self.model)
    }

    /// Returns the tag that identifies the document with these values.
    fn tag(&self) -> String {
        let digest = Sha256::new()
            .chain_update(*DIGEST)
            .chain_update(&self.address)
            .chain_update([0])
            .chain_update(&self.model)
            .finalize();
        let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{digits}\"")
    }
}

/// Describes the route.
pub(super) fn describe() -> Operation {
    let known = Parameter::header(
        "If-None-Match",
        "The ETag of the document that you have.",
        json!({ "type": "string" }),
    );
    let schema = Schema::plain(json!({ "type": "object", "required": ["openapi", "paths"] }));
    let example = json!({ "openapi": "3.1.0", "paths": {} });
    Operation::of(show)
        .titled(Tag::Server, "Get this description")
        .about("A document of OpenAPI 3.1, with the address that the request came to.")
        .with([known])
        .returns(Success::json(200, "The document.", schema, example).with(&["ETag"]))
        .returns(Success::empty(304, "You have it already.").with(&["ETag"]))
}

/// Returns the document (`GET /openapi.json`).
pub(super) async fn show(_: Guest, request: HttpRequest, site: CurrentSite) -> HttpResponse {
    let values = Values::of(&request, &site);
    let tag = values.tag();
    let is_known = knows(&request, &tag);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, tag)).insert_header((header::CACHE_CONTROL, CACHING));
    if is_known {
        return response.finish();
    }
    response.content_type(header::ContentType::json()).body(values.put_into(&TEXT))
}

/// Returns whether the client has the document with this tag.
fn knows(request: &HttpRequest, tag: &str) -> bool {
    let known = request.headers().get_all(header::IF_NONE_MATCH);
    let mut known = known.filter_map(|known| known.to_str().ok()).flat_map(|known| known.split(','));
    known.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn values(address: &str, model: &str) -> Values {
        Values { address: address.to_owned(), model: model.to_owned() }
    }

    #[test]
    fn a_client_that_has_the_document_is_told_so() {
        let tag = values("https://chat.example", "m").tag();
        for (known, expected) in [
            (tag.clone(), true),
            (format!("W/{tag}"), true),
            (format!("\"other\", {tag}"), true),
            ("*".to_owned(), true),
            ("\"other\"".to_owned(), false),
            (values("https://other.example", "m").tag(), false),
            (values("https://chat.example", "n").tag(), false),
        ] {
            let request = TestRequest::default().insert_header((header::IF_NONE_MATCH, known.clone()));
            assert_eq!(knows(&request.to_http_request(), &tag), expected, "{known}");
        }
    }

    #[test]
    fn examples_name_a_model_whose_name_needs_no_quotes() {
        let request = TestRequest::default().to_http_request();
        for (models, expected) in
            [(vec![], DUMMY), (vec!["it's", "llama-3.1:8b"], "llama-3.1:8b"), (vec!["a \"b\""], A_MODEL)]
        {
            let models = models.into_iter().map(str::to_owned).collect();
            let values = Values::of(&request, &Site { models, ..Site::default() });
            assert_eq!(values.model, expected);
        }
    }
}
