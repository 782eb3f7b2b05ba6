//! The conditions of a list besides its filters, and its search.

use super::{List, ListParams, Searched};
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::{Condition, ListQuery};

/// Returns what rows must satisfy besides the filters.
pub(super) fn only<R>(
    list: &List<R>,
    params: &ListParams,
    conn: &mut DbConnection,
) -> Result<Vec<Condition>> {
    list.only.map_or_else(|| Ok(Vec::new()), |only| only(conn, params))
}

/// Applies the words, and filters that need the database, to the query.
pub(super) fn search<R>(
    list: &List<R>,
    params: &ListParams,
    query: &mut ListQuery,
    conn: &mut DbConnection,
) -> Result<Searched> {
    match &list.search {
        Some(search) => (search.find)(conn, params, query),
        None => Ok(Searched::Narrowed),
    }
}
