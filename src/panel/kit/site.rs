//! The panel's own name.

use actix_web::HttpRequest;
use actix_web::web::Data;

/// The name if `--site-title` is not given.
pub(super) const DEFAULT: &str = "Tollgate";

/// What the panel is called (`--site-title`).
#[derive(Clone, Debug)]
pub struct SiteTitle(pub String);

impl SiteTitle {
    pub(in crate::panel) fn of(request: &HttpRequest) -> String {
        request.app_data::<Data<SiteTitle>>().map_or_else(|| DEFAULT.to_owned(), |title| title.0.clone())
    }
}
