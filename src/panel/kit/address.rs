//! What stands in the address of a page.

use actix_web::web::Path;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The list that a page was reached from: its query string.
#[derive(Deserialize)]
pub(in crate::panel) struct From {
    #[serde(default)]
    pub list: String,
}

/// Returns the id in a path.
pub(in crate::panel) fn id(path: &Path<String>) -> Result<i64> {
    path.parse().map_err(|_| Error::NotFound)
}

/// Returns the page of a list that a page was reached from: the path of the list and its query string.
pub(in crate::panel) fn back_to(path: &str, list: &str) -> Option<String> {
    // Only what a query string of ours holds, so that it leads nowhere else.
    let is_plain = list.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte));
    (!list.is_empty() && is_plain).then(|| format!("{path}?{list}"))
}
