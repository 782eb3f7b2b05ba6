//! A page of a list: rows and counts.

use crate::models::list::{Count, Page};

/// How many rows each choice of a filter would show.
#[derive(Debug)]
pub(in crate::panel) struct Facet {
    /// The filter's name.
    pub filter: &'static str,
    /// In the order of the choices. The last ones may be missing.
    pub counts: Vec<Count>,
}

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
    /// Only on demand.
    pub facets: Vec<Facet>,
}
