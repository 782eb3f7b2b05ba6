//! Pages that anybody may open: the start page, and the static files.

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::auth::Guest;
use crate::error::{Error, Result};
use crate::http::{PathKind, Routes, Site, Version, find_asset, get, resources};

/// Pages have no scripts, and load nothing from other sites.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The routes of the start page and the static files.
pub const ROUTES: Routes = &[("/static/{file}", &[get(|r| r.to(file))]), ("", &[get(|r| r.to(start))])];

/// Adds the routes whose paths are of this kind to the application.
pub fn routes(config: &mut ServiceConfig, kind: PathKind) {
    for (path, methods) in ROUTES.iter().filter(|(path, _)| PathKind::of(path) == kind) {
        for resource in resources::<Error>(path, methods.iter()) {
            config.service(resource);
        }
    }
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage<'a> {
    version: &'a str,
    address: &'a str,
    /// The operator's text on how to get more tokens. Empty if there is none.
    top_up: &'a str,
    /// Whether that text is an address, and nothing else.
    is_link: bool,
}

/// Shows the start page: what Tollgate is and how to begin.
async fn start(_: Guest, request: HttpRequest) -> Result<HttpResponse> {
    let host =
        request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8000");
    let site = Site::of(&request);
    let address = format!("{}://{host}", if site.is_https { "https" } else { "http" });
    let top_up = site.top_up.as_deref().unwrap_or_default();
    let is_web = ["https://", "http://"].iter().any(|scheme| top_up.starts_with(scheme));
    let is_link = is_web && !top_up.contains(char::is_whitespace);
    page(&StartPage { version: env!("CARGO_PKG_VERSION"), address: &address, top_up, is_link })
}

fn page(template: &impl Template) -> Result<HttpResponse> {
    let html = template.render().map_err(|error| Error::Internal(format!("a template failed: {error}")))?;
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
