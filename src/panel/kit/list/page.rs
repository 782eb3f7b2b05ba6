//! Fetching a page of a list: first the ids, by an index, then the rows.

use std::time::{Duration, Instant};

use actix_web::HttpRequest;

use super::list_page::{Facet, ListPage};
use super::{FilterKind, List, ListParams, ListView, Searched};
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::list::{ListQuery, Page, SortKey, Start};
use crate::panel::kit::administrator::Administrator;

/// The limit of the count of one choice, which then says "500+". It is low because a page has many.
const MOST_COUNTED_EACH: i64 = 500;

/// The time for counting the choices of one page.
const TIME_OF_FACETS: Duration = Duration::from_millis(12);

/// Reads the page of a list that a request asks for. The actions are left out for administrators
/// who may not change anything.
pub(in crate::panel) async fn read<R: Send>(
    list: &'static List<R>,
    request: &HttpRequest,
    administrator: &Administrator,
    db: &Db,
) -> Result<ListView> {
    let (query, preferences, now) =
        (request.query_string().to_owned(), administrator.preferences(), clock::now());
    let mut view = db
        .read_in_turn(administrator.user.id, move |conn| {
            let params = ListParams::read(list, &query, conn, preferences, now)?;
            let found = fetch(list, &params, conn)?;
            Ok(ListView::new(list, &params, &found))
        })
        .await?;
    if !administrator.may_change() {
        view.actions = &[];
    }
    Ok(view)
}

/// Reads a page of a list. Each part of the work is bounded.
pub(in crate::panel) fn fetch<R>(
    list: &List<R>,
    params: &ListParams,
    conn: &mut DbConnection,
) -> Result<ListPage<R>> {
    let mut query = params.query(list);
    let total = if params.is_narrowed() { Some(everything(&query).count(conn)?) } else { None };
    if let Searched::Page(page) = search(list, params, &mut query, conn)? {
        return Ok(ListPage { rows: rows(list, &page, conn)?, page, count: None, total, facets: Vec::new() });
    }
    let facets = if params.wants_facets { facets(list, params, &query, conn)? } else { Vec::new() };
    let (page, count) = query.page_with_count(conn)?;
    Ok(ListPage { rows: rows(list, &page, conn)?, page, count: Some(count), total, facets })
}

/// Returns the query for all rows of the list. It is sorted by id, since it serves only to count.
fn everything(query: &ListQuery) -> ListQuery {
    ListQuery {
        sort: SortKey::Id,
        conditions: Vec::new(),
        between: None,
        among: None,
        start: Start::First,
        ..query.clone()
    }
}

/// Returns the ids of all rows that match, on all pages, in the list's order. `None` if there are
/// more than `most`.
pub(in crate::panel) fn all_ids<R>(
    list: &List<R>,
    params: &ListParams,
    conn: &mut DbConnection,
    most: i64,
) -> Result<Option<Vec<i64>>> {
    let mut query = params.query(list);
    match search(list, params, &mut query, conn)? {
        Searched::Narrowed => Ok(query.all_ids(conn, most)?),
        Searched::Page(_) => Ok(None),
    }
}

fn search<R>(
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

fn rows<R>(list: &List<R>, page: &Page, conn: &mut DbConnection) -> Result<Vec<R>> {
    let ids: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
    let mut loaded = (list.rows.load)(conn, &ids)?;
    // A row that was deleted between the two reads is left out.
    let place = |row: &R| ids.iter().position(|id| *id == (list.rows.id_of)(row));
    loaded.sort_by_key(place);
    Ok(loaded)
}

fn facets<R>(
    list: &List<R>,
    params: &ListParams,
    query: &ListQuery,
    conn: &mut DbConnection,
) -> Result<Vec<Facet>> {
    let until = Instant::now() + TIME_OF_FACETS;
    let mut facets = Vec::new();
    for filter in list.filters.iter().filter(|filter| !filter.is_long()) {
        let FilterKind::Choice(choices) = filter.kind else { continue };
        let mut counts = Vec::new();
        for choice in choices {
            // The other choices are shown without a count.
            if Instant::now() > until {
                break;
            }
            let mut other = query.clone();
            // All conditions stay, also those of the search, except the one of this filter.
            let own = params.picked.iter().find(|picked| picked.name == filter.name);
            other.conditions.retain(|condition| own.is_none_or(|own| !condition.is_same(&own.condition)));
            other.conditions.push(choice.condition(params));
            // As in the list itself, only one condition leads.
            let mut has_leader = false;
            for condition in &mut other.conditions {
                condition.leads &= !has_leader;
                has_leader |= condition.leads;
            }
            counts.push(other.count_up_to(conn, MOST_COUNTED_EACH)?);
        }
        facets.push(Facet { filter: filter.name, counts });
    }
    Ok(facets)
}
