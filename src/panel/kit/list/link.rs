//! Links of a list, and counts as text.

use crate::models::list::Count;
use crate::panel::kit::format;

/// A link to the same list with other filters.
pub(in crate::panel) struct Link {
    pub label: String,
    pub href: String,
    pub is_current: bool,
    /// How many rows it shows. Empty if that is not known.
    pub count: String,
}

/// Returns a count as text. `10,000+` means more than 10,000.
pub(in crate::panel) fn capped(count: Count) -> String {
    let number = format::tokens(count.number);
    if count.at_least { format!("{number}+") } else { number }
}
