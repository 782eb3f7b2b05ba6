//! Links of a list, and counts as text.

use crate::models::list::Count;
use crate::panel::kit::format;

/// A link to the same list with other filters.
pub(in crate::panel) struct Link {
    pub label: String,
    pub href: String,
    pub is_current: bool,
}

/// Returns a count as text. `500+` means at least 500.
pub(in crate::panel) fn capped(count: Count) -> String {
    let number = format::tokens(count.number);
    if count.at_least { format!("{number}+") } else { number }
}
