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

/// Returns the id in a text such as `#17`: one `#`, and then a number as the panel writes it,
/// without a sign or leading zeros. Anything else may be a name, but not an id.
pub(in crate::panel) fn id_in(text: &str) -> Option<i64> {
    plain_id(text.strip_prefix('#')?)
}

/// Returns the number that a text consists of, without a sign or leading zeros.
pub(in crate::panel) fn plain_id(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// Returns the link back to a list: its path and the query string from [`From`]. `None` if that is
/// empty or not a query string of ours.
pub(in crate::panel) fn back_to(path: &str, list: &str) -> Option<String> {
    // A query string of ours has no other characters, and without them the link cannot lead
    // elsewhere.
    let is_plain = list.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte));
    (!list.is_empty() && is_plain).then(|| format!("{path}?{list}"))
}

#[cfg(test)]
mod tests {
    use super::{id_in, plain_id};

    #[test]
    fn an_id_is_one_number_sign_and_a_plain_number() {
        assert_eq!((id_in("#17"), plain_id("17")), (Some(17), Some(17)));
        for text in ["17", "##17", "#", "#017", "#0", "#+17", "#-17", "# 17", "#17 ", "#1_7", "#٣", ""] {
            assert_eq!(id_in(text), None, "{text:?}");
        }
        for text in ["", "017", "+17", "-17", " 17", "#17", "99999999999999999999"] {
            assert_eq!(plain_id(text), None, "{text:?}");
        }
    }
}
