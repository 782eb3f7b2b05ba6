//! Reading and making addresses of pages.

use actix_web::web::Path;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The parameter by which a page leads back to the list that linked to it.
#[derive(Deserialize)]
pub(in crate::panel) struct From {
    /// The query string of the list. Empty if the page was not reached from a list.
    #[serde(default)]
    pub list: String,
}

/// Returns the id in a path.
///
/// # Errors
///
/// `NotFound` if it is not a number.
pub(in crate::panel) fn id(path: &Path<String>) -> Result<i64> {
    path.parse().map_err(|_| Error::NotFound)
}

/// Returns the link back to a list: its path and the query string from [`From`]. `None` if that is
/// empty or not a query string of ours.
pub(in crate::panel) fn back_to(path: &str, list: &str) -> Option<String> {
    // A query string of ours has no other characters, and without them the link cannot lead
    // elsewhere.
    let is_plain = list.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte));
    (!list.is_empty() && is_plain).then(|| format!("{path}?{list}"))
}
