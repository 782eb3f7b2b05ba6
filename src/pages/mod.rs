//! What anybody may open: the start page, the API's documentation, its description for programs,
//! `security.txt`, and the static files.

mod documents;
mod markdown;
mod openapi;
mod reference;
mod security_txt;
mod start;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use askama::Template;

use crate::auth::Guest;
use crate::error::{Error, Result};
use crate::http::{PathKind, Routes, Site, Version, find_asset, get, resources};

pub use openapi::document;

/// Pages load styles, images and the script of this server, and nothing inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; object-src 'none'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The routes of the start page, the documentation, `security.txt` and the static files.
pub const ROUTES: Routes = &[
    ("/static/{file}", &[get(|r| r.to(file))]),
    ("/docs/api", &[get(|r| r.to(documents::api))]),
    ("/docs/charges", &[get(|r| r.to(documents::charges))]),
    ("/docs/clients", &[get(|r| r.to(documents::clients))]),
    ("/docs", &[get(|r| r.to(reference::show))]),
    ("/openapi.json", &[get(|r| r.to(openapi::show)).described(openapi::describe)]),
    ("/.well-known/security.txt", &[get(|r| r.to(security_txt::show)).described(security_txt::describe)]),
    ("", &[get(|r| r.to(start::show))]),
];

/// Adds the routes whose paths are of this kind to the application.
pub fn routes(config: &mut ServiceConfig, kind: PathKind) {
    for (path, methods) in ROUTES.iter().filter(|(path, _)| PathKind::of(path) == kind) {
        for resource in resources::<Error>(path, methods.iter()) {
            config.service(resource);
        }
    }
}

/// What all of these pages show around their content (`templates/base.html`).
struct Frame {
    /// The name of the site, with the label that tells this server from others.
    site: String,
    version: &'static str,
}

impl Frame {
    fn of(site: &Site) -> Frame {
        Frame { site: site.full_title(), version: env!("CARGO_PKG_VERSION") }
    }
}

/// Renders a page. `finish` puts in what differs from server to server.
fn page(template: &impl Template, finish: impl FnOnce(String) -> String) -> Result<HttpResponse> {
    let html = template.render().map_err(|error| Error::Internal(format!("a template failed: {error}")))?;
    let html = finish(html);
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .body(html))
}

/// Serves a file of `static/` (`GET /static/{file}`). The address with the digest of its contents
/// never gets other contents, so browsers and proxies may keep it.
async fn file(_: Guest, path: web::Path<String>) -> Result<HttpResponse> {
    let (asset, version) = find_asset(&path).ok_or(Error::NotFound)?;
    let caching = match version {
        Version::This => "public, max-age=31536000, immutable",
        Version::Any => "public, max-age=300",
        Version::Other => "no-cache",
    };
    Ok(HttpResponse::Ok()
        .content_type(asset.media_type.as_str())
        .insert_header((header::CACHE_CONTROL, caching))
        .body(asset.bytes.clone()))
}
