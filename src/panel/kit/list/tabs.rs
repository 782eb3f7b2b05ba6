//! The presets above a list. Each adds to the filters, the words and the order that are set, and
//! says how many rows it would show.

use std::time::{Duration, Instant};

use super::narrow::{only, search};
use super::{List, ListParams, Searched, Tab};
use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::Count;
use crate::panel::kit::preferences::Preferences;

/// The time for counting the rows of all tabs of a page.
const TIME: Duration = Duration::from_millis(10);

/// The name of the parameter for the order.
const SORT: &str = "sort";

impl Tab {
    /// The filters that it sets.
    fn filters(&self) -> Vec<(&'static str, &'static str)> {
        self.pairs().filter(|(name, _)| *name != SORT).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        self.query.split('&').filter_map(|pair| pair.split_once('='))
    }

    /// Whether its filters are set. The tab without any is current where none of the others is.
    pub(super) fn is_current(&self, tabs: &[Tab], params: &ListParams) -> bool {
        let is_set = |tab: &Tab| {
            let filters = tab.filters();
            !filters.is_empty() && filters.iter().all(|(name, value)| params.value(name) == Some(*value))
        };
        if self.query.is_empty() { !tabs.iter().any(is_set) } else { is_set(self) }
    }

    /// Returns the query string that it leads to. A current tab leads to the list without it.
    pub(super) fn query(&self, tabs: &[Tab], params: &ListParams) -> String {
        let names = |tab: &Tab| tab.filters().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        // A tab takes its own order with it, but not one that the administrator has chosen.
        let set_by = |tab: &Tab| {
            let mut set = names(tab);
            let is_own = |(name, value): &(&str, &str)| {
                *name == SORT && params.pairs.get(SORT).is_some_and(|sort| sort == value)
            };
            set.extend(tab.pairs().find(is_own).map(|_| SORT));
            set
        };
        if self.query.is_empty() {
            let set = tabs.iter().filter(|tab| !tab.query.is_empty() && tab.is_current(tabs, params));
            return params.changed(&set.flat_map(set_by).collect::<Vec<_>>(), []);
        }
        if self.is_current(tabs, params) {
            return params.changed(&set_by(self), []);
        }
        let own = names(self);
        // The administrator's own order stays.
        let added = self.pairs().filter(|(name, _)| *name != SORT || !params.pairs.contains_key(SORT));
        params.changed(&own, added)
    }
}

/// Counts the rows that each tab would show. `None` where an exact count takes too long.
pub(super) fn counts<R>(
    list: &List<R>,
    params: &ListParams,
    found: Option<Count>,
    conn: &mut DbConnection,
) -> Result<Vec<Option<Count>>> {
    let until = Instant::now() + TIME;
    let mut counts = Vec::new();
    for tab in list.tabs {
        counts.push(if tab.is_current(list.tabs, params) {
            found.filter(|count| count.is_full())
        } else {
            count(list, &tab.query(list.tabs, params), params, until, conn)?
        });
    }
    Ok(counts)
}

/// Returns the count of the current tab alone: for a page from a search table, each of the others
/// would take a search.
pub(super) fn only_current<R>(
    list: &List<R>,
    params: &ListParams,
    found: Option<Count>,
) -> Vec<Option<Count>> {
    let count = |tab: &Tab| found.filter(|count| count.is_full() && tab.is_current(list.tabs, params));
    list.tabs.iter().map(count).collect()
}

fn count<R>(
    list: &List<R>,
    query: &str,
    params: &ListParams,
    until: Instant,
    conn: &mut DbConnection,
) -> Result<Option<Count>> {
    if Instant::now() > until {
        return Ok(None);
    }
    let preferences = Preferences { zone: params.zone, page_size: params.page_size };
    let params = ListParams::read(list, query, conn, preferences, params.now)?;
    let mut query = params.query(list);
    query.conditions.extend(only(list, &params, conn)?);
    Ok(match search(list, &params, &mut query, conn)? {
        Searched::Narrowed => query.count_by(conn, until)?,
        Searched::Counted(count) => Some(count),
        Searched::Page(_, count) => count,
    })
}
