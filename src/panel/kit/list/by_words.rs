//! Pages and counts from a search table. All hits are in the order of their ids, so the page that
//! was asked for and the count come from one search where they can.

use std::collections::HashSet;

use super::dates::days_of_ids;
use super::{ListParams, Searched};
use crate::db::DbConnection;
use crate::error::Result;
use crate::index::search::{SearchIndex, Span, Wanted, find};
use crate::models::list::{Condition, Count, ListQuery, MOST_COUNTED, MOST_GATHERED, Page, Position, Start};
use crate::panel::kit::format;

/// A search of a list by its search table.
pub(in crate::panel) struct ByWords {
    pub index: SearchIndex,
    /// The table whose rows it finds. Its ids ascend with `created_at`.
    pub table: &'static str,
    /// The column of the id, with the name of the table.
    pub id: &'static str,
    pub wanted: Wanted,
    /// What the search table does not know, so that the rows of the page are tested. With such a
    /// condition, nothing is counted.
    pub tests: Vec<Condition>,
}

/// Returns the ids of all hits, the highest first, if there are few of them. `None` if there are
/// many, or the time was up.
pub(in crate::panel) fn few_hits(
    conn: &mut DbConnection,
    index: SearchIndex,
    wanted: &Wanted,
) -> Result<Option<Vec<i64>>> {
    let most = usize::try_from(MOST_GATHERED).unwrap_or(usize::MAX);
    let hits = find(conn, index, wanted, Span { limit: most.saturating_add(1), ..everything() })?;
    let is_all = hits.looked_until.is_none() && hits.ids.len() <= most;
    Ok(is_all.then_some(hits.ids))
}

/// Returns the note on rows that a search does not find yet.
pub(in crate::panel) fn catching_up(behind: i64, one: &str, many: &str) -> Option<String> {
    let rows = format::counted(behind, one, many);
    (behind > 0).then(|| format!("The search index is catching up: {rows} not in it yet."))
}

fn everything() -> Span {
    Span { above: 0, below: i64::MAX, descending: true, limit: usize::MAX }
}

impl ByWords {
    /// Returns the page, and the number of all rows that match if it is known in time.
    pub(crate) fn page(&self, conn: &mut DbConnection, params: &ListParams) -> Result<Searched> {
        let backwards = matches!(params.start, Start::Before(_) | Start::Last);
        let descending = params.descending != backwards;
        let from = match &params.start {
            Start::After(position) | Start::Before(position) => Some(position.id),
            Start::First | Start::Last => None,
        };
        let limit = usize::try_from(params.page_size).unwrap_or(usize::MAX);
        let mut span = Span { descending, ..everything() };
        match from {
            Some(id) if descending => span.below = id,
            Some(id) => span.above = id,
            None => {}
        }
        let counts_here = from.is_none() && self.tests.is_empty();
        span.limit = if counts_here { most_counted() } else { limit.saturating_add(1) };
        let mut found = self.hits(conn, params, span)?;
        let count = if counts_here { found.count() } else { self.count(conn, params)? };
        let goes_on = found.ids.len() > limit || found.looked_until.is_some() || found.is_cut;
        if found.ids.len() > limit {
            // The page is full, however far the count has got.
            found.looked_until = None;
        } else if found.is_cut {
            // Some hits near the ends of the days were of other days.
            found.looked_until = found.last;
        }
        found.ids.truncate(limit);
        if !self.tests.is_empty() {
            let last = found.ids.last().copied();
            let fit = self.tested(conn, &found.ids)?;
            found.ids.retain(|id| fit.contains(id));
            // Further hits may pass the test.
            found.looked_until = last.filter(|_| goes_on);
        }
        if backwards {
            found.ids.reverse();
        }
        let (has_previous, has_next) =
            if backwards { (goes_on, from.is_some()) } else { (from.is_some(), goes_on) };
        let place = |id: i64| Position { key: None, id };
        let page = Page {
            rows: found.ids.into_iter().map(place).collect(),
            has_previous,
            has_next,
            looked_until: found.looked_until.map(place),
        };
        Ok(Searched::Page(page, count))
    }

    /// Returns the number of all rows that match, if it is known in time.
    pub(crate) fn count(&self, conn: &mut DbConnection, params: &ListParams) -> Result<Option<Count>> {
        if !self.tests.is_empty() {
            return Ok(None);
        }
        Ok(self.hits(conn, params, Span { limit: most_counted(), ..everything() })?.count())
    }

    /// Returns the ids of the hits, at most `most` of them, the highest first.
    pub(crate) fn ids(&self, conn: &mut DbConnection, params: &ListParams, most: usize) -> Result<Vec<i64>> {
        Ok(self.hits(conn, params, Span { limit: most, ..everything() })?.ids)
    }

    /// Returns those of the ids whose rows pass the tests.
    fn tested(&self, conn: &mut DbConnection, ids: &[i64]) -> Result<Vec<i64>> {
        let query = ListQuery {
            conditions: self.tests.clone(),
            among: Some(ids.to_vec()),
            page_size: i64::try_from(ids.len()).unwrap_or(i64::MAX),
            ..ListQuery::all(self.table, self.id)
        };
        Ok(query.page(conn)?.rows.into_iter().map(|row| row.id).collect())
    }

    /// Searches the part of the ids that the filter by days leaves.
    fn hits(&self, conn: &mut DbConnection, params: &ListParams, mut span: Span) -> Result<Found> {
        let days = days_of_ids(conn, params, self.table)?;
        if let Some(days) = &days {
            span.above = span.above.max(days.first.saturating_sub(1));
            span.below = span.below.min(days.end);
        }
        let hits = find(conn, self.index, &self.wanted, span)?;
        let (is_cut, last) = (hits.ids.len() >= span.limit, hits.ids.last().copied());
        let mut ids = hits.ids;
        if let Some(days) = days {
            let fit: HashSet<i64> = days.those_of(conn, self.table, &ids)?.into_iter().collect();
            ids.retain(|id| fit.contains(id));
        }
        Ok(Found { ids, looked_until: hits.looked_until, is_cut, last })
    }
}

/// One hit more than are counted: it tells whether there are more.
fn most_counted() -> usize {
    usize::try_from(MOST_COUNTED).unwrap_or(usize::MAX).saturating_add(1)
}

/// The hits of a search.
struct Found {
    ids: Vec<i64>,
    /// The id at which the time was up.
    looked_until: Option<i64>,
    /// Whether there may be more hits than were wanted.
    is_cut: bool,
    /// The last hit, whichever day it is of.
    last: Option<i64>,
}

impl Found {
    fn count(&self) -> Option<Count> {
        let number = i64::try_from(self.ids.len()).unwrap_or(i64::MAX).min(MOST_COUNTED);
        let count = Count { number, at_least: self.is_cut };
        (self.looked_until.is_none() && count.is_full()).then_some(count)
    }
}
