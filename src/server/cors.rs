//! CORS: the permissions of other origins' pages.

use actix_cors::Cors;
use actix_web::middleware::Condition;

use crate::http::ResponseHeader;

/// Returns the CORS middleware. It permits nothing to pages of other origins, unless the settings
/// name the origins, and never permits cookies. A named origin may send any header: it is trusted,
/// and libraries and tracing tools add headers that no list could keep up with.
pub fn cors(origins: &[String]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PATCH", "DELETE"])
        .allow_any_header()
        .expose_headers(ResponseHeader::exposed())
        .max_age(3600);
    let origins: Vec<&str> = origins.iter().map(String::as_str).filter(|origin| !origin.is_empty()).collect();
    let cors = if origins.contains(&"*") {
        cors.send_wildcard().allow_any_origin()
    } else {
        origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
    };
    Condition::new(!origins.is_empty(), cors)
}
