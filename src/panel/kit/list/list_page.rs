//! A page of a list: rows and counts.

use crate::models::list::{Count, Page};

/// A page of a list.
#[derive(Debug)]
pub(in crate::panel) struct ListPage<R> {
    /// In the list's order.
    pub rows: Vec<R>,
    pub page: Page,
    /// `None`: a search that does not count.
    pub count: Option<Count>,
    /// How many rows the list has without words and filters; `None`: it has none of those.
    pub total: Option<Count>,
    /// For each filter with choices, how many rows each would show; only on demand.
    pub facets: Vec<(&'static str, Vec<Count>)>,
}
