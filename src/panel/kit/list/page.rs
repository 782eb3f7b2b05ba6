//! Fetching a page of a list: first the ids, by an index, then the rows.

use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use chrono::Datelike;

use super::list_page::{Facet, ListPage};
use super::narrow::{only, search};
use super::tabs;
use super::view::ViewLink;
use super::{List, ListParams, ListView, Searched};
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Result;
use crate::models::list::{Condition, Count, ListQuery, Page, SortKey, Start};
use crate::models::{PanelColumns, SavedView, User};
use crate::panel::kit::administrator::Administrator;

/// The time from the beginning of a page until its choices are counted. Those that are not counted
/// by then have no count. The rows and the tabs need the rest of the page's 50 ms.
const TIME_OF_FACETS: Duration = Duration::from_millis(24);

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
    let user_id = administrator.user.id;
    let mut view = db
        .read_in_turn(user_id, move |conn| {
            let params = ListParams::read(list, &query, conn, preferences, now)?;
            let mut found = fetch(list, &params, conn)?;
            found.first_year = User::first_joined(conn)?.map(|time| params.zone.date_of(time).year());
            let chosen = PanelColumns::of(conn, user_id, list.path)?;
            Ok(ListView::new(list, &params, &found, &chosen))
        })
        .await?;
    let of_list = administrator.views.iter().filter(|view| view.list == list.path);
    let link = |stored: &SavedView| ViewLink {
        id: stored.id,
        name: stored.name.clone(),
        href: format!("?{}", stored.query),
        may_delete: stored.user_id == user_id || administrator.may_change(),
    };
    view.views = of_list.map(link).collect();
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
    let begun = Instant::now();
    let mut query = params.query(list);
    let only = only(list, params, conn)?;
    let total = if params.is_narrowed() { Some(everything(&query, only.clone()).count(conn)?) } else { None };
    query.conditions.extend(only);
    let counted = match search(list, params, &mut query, conn)? {
        Searched::Page(page, count) => {
            // If this is the only page, it has all rows that match.
            let is_whole = !page.has_previous && !page.has_next && page.looked_until.is_none();
            let whole = is_whole.then_some(Count { number: page.rows.len() as i64, at_least: false });
            let count = count.or(whole);
            let tabs = tabs::only_current(list, params, count);
            let rows = rows(list, &page, conn)?;
            return Ok(ListPage { rows, page, count, total, facets: Vec::new(), tabs, first_year: None });
        }
        Searched::Counted(count) => Some(count),
        Searched::Narrowed => None,
    };
    let facets = match params.wants_facets {
        true => facets(list, params, &query, begun + TIME_OF_FACETS, conn)?,
        false => Vec::new(),
    };
    let (page, count) = match counted {
        Some(count) => (query.page(conn)?, count),
        None => query.page_with_count(conn)?,
    };
    let tabs = tabs::counts(list, params, Some(count), conn)?;
    let rows = rows(list, &page, conn)?;
    Ok(ListPage { rows, page, count: Some(count), total, facets, tabs, first_year: None })
}

/// Returns the first rows that match, and how many do if that is known: a page without anything
/// around it.
pub(in crate::panel) fn first_rows<R>(
    list: &List<R>,
    params: &ListParams,
    conn: &mut DbConnection,
) -> Result<(Vec<R>, Option<Count>)> {
    let mut query = params.query(list);
    query.conditions.extend(only(list, params, conn)?);
    let counted = match search(list, params, &mut query, conn)? {
        Searched::Page(page, count) => return Ok((rows(list, &page, conn)?, count)),
        Searched::Counted(count) => Some(count),
        Searched::Narrowed => None,
    };
    let (page, count) = match counted {
        Some(count) => (query.page(conn)?, count),
        None => query.page_with_count(conn)?,
    };
    Ok((rows(list, &page, conn)?, Some(count).filter(Count::is_full)))
}

/// Returns the query for all rows of the list. It is sorted by id, since it serves only to count.
fn everything(query: &ListQuery, only: Vec<Condition>) -> ListQuery {
    ListQuery {
        sort: SortKey::Id,
        conditions: only,
        between: None,
        among: None,
        start: Start::First,
        ..query.clone()
    }
}

/// Returns the ids of the first `most` rows that match, in the list's order, and whether these are
/// all. The work is bounded like that of a page, so there may be fewer than `most` and still more
/// to find.
pub(in crate::panel) fn first_ids<R>(
    list: &List<R>,
    params: &ListParams,
    conn: &mut DbConnection,
    most: i64,
) -> Result<(Vec<i64>, bool)> {
    let page = ids_from(list, params, conn, Start::First, most)?;
    let is_all = !page.has_next && page.looked_until.is_none();
    Ok((page.rows.into_iter().map(|row| row.id).collect(), is_all))
}

/// Returns a page of ids.
fn ids_from<R>(
    list: &List<R>,
    params: &ListParams,
    conn: &mut DbConnection,
    start: Start,
    most: i64,
) -> Result<Page> {
    let params = ListParams { start, page_size: most, ..params.clone() };
    let mut query = params.query(list);
    query.conditions.extend(only(list, &params, conn)?);
    match search(list, &params, &mut query, conn)? {
        Searched::Narrowed | Searched::Counted(_) => Ok(query.page(conn)?),
        Searched::Page(page, _) => Ok(page),
    }
}

/// The most ids that are read at once from the search table.
const IDS_OF_A_SEARCH: i64 = 10_000;

/// Returns the ids of all rows that match, on all pages, in the list's order. `None` if there are
/// more than `most`.
pub(in crate::panel) fn all_ids<R>(
    list: &List<R>,
    params: &ListParams,
    conn: &mut DbConnection,
    most: i64,
) -> Result<Option<Vec<i64>>> {
    let mut query = params.query(list);
    query.conditions.extend(only(list, params, conn)?);
    match search(list, params, &mut query, conn)? {
        Searched::Narrowed | Searched::Counted(_) => return Ok(query.all_ids(conn, most)?),
        Searched::Page(..) => {}
    }
    // The search table returns its hits a page at a time.
    let (mut ids, mut start) = (Vec::new(), Start::First);
    loop {
        let page = ids_from(list, params, conn, start, IDS_OF_A_SEARCH)?;
        ids.extend(page.rows.iter().map(|row| row.id));
        if ids.len() as i64 > most {
            return Ok(None);
        }
        let last = page.rows.last().cloned().filter(|_| page.has_next);
        match page.looked_until.or(last) {
            Some(position) => start = Start::After(position),
            None => return Ok(Some(ids)),
        }
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
    until: Instant,
    conn: &mut DbConnection,
) -> Result<Vec<Facet>> {
    let mut facets = Vec::new();
    for filter in list.filters {
        let Some(choices) = filter.counted_choices() else { continue };
        let mut counts = Vec::new();
        for choice in choices {
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
            counts.push(other.count_by(conn, until)?);
        }
        facets.push(Facet { filter: filter.name, counts });
    }
    Ok(facets)
}
