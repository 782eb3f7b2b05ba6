//! A page of a list: its rows and counts.

use crate::models::list::{Count, Page};

/// The counts of a filter: how many rows each choice would show (Django's facets).
#[derive(Debug)]
pub(in crate::panel) struct Facet {
    /// The filter's name.
    pub filter: &'static str,
    /// A count for each choice, in their order. `None`, or none at the end, where counting would
    /// take too long.
    pub counts: Vec<Option<Count>>,
}

/// A page of a list, as it was read from the database.
#[derive(Debug)]
pub(in crate::panel) struct ListPage<R> {
    /// The rows, in the list's order.
    pub rows: Vec<R>,
    /// The positions of the rows, and what comes before and after them.
    pub page: Page,
    /// How many rows match. `None` if the search does not count.
    pub count: Option<Count>,
    /// How many rows there are without words and filters. `None` if there are none of those.
    pub total: Option<Count>,
    /// The counts of filters. Empty unless they were requested.
    pub facets: Vec<Facet>,
    /// How many rows each tab would show. `None` where counting would take too long.
    pub tabs: Vec<Option<Count>>,
    /// The first year on offer in filters by days. `None` if only the present one is.
    pub first_year: Option<i32>,
}
