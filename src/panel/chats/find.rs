//! How chats are found: by an index if one filter is enough, and by the search table otherwise.

use crate::db::DbConnection;
use crate::error::Result;
use crate::index::search::{self, SearchIndex, Span, Term, Wanted, wanted_words};
use crate::models::Chat;
use crate::models::list::{ListQuery, Page, Position, Start, Value};
use crate::panel::kit::id_in;
use crate::panel::kit::list::{ListParams, Searched, between_ids, ids_of_days};

/// The most pending chats whose words are searched.
const MOST_PENDING: i64 = 2_000;

/// Narrows the query, or returns the page from the search table.
pub(super) fn find(conn: &mut DbConnection, params: &ListParams, query: &mut ListQuery) -> Result<Searched> {
    if let Some(id) = id_in(&params.words) {
        query.among = Some(vec![id]);
        return Ok(Searched::Narrowed);
    }
    let words = wanted_words(&params.words);
    if !params.words.is_empty() && words.is_empty() {
        // Only punctuation was typed, and no word consists of that.
        query.among = Some(Vec::new());
        return Ok(Searched::Narrowed);
    }
    let state = params.value("state");
    if state == Some("pending") {
        // Pending chats are few, and enter the search table only when they end.
        if !words.is_empty() {
            let pending = Chat::pending(conn, MOST_PENDING)?;
            let fits = |chat: &&Chat| search::words(&chat.message).is_superset(&words);
            query.among = Some(pending.iter().filter(fits).map(|chat| chat.id).collect());
        }
        return Ok(Searched::Narrowed);
    }
    let others: Vec<_> = params.picked.iter().filter(|picked| picked.name != "date").collect();
    // Reasons are not in the search table. They are tested on the rows that another filter finds.
    let has_reason = params.value("reason").is_some();
    let is_indexed = match others.as_slice() {
        [] => true,
        [picked] => picked.condition.leads || picked.value == "complete",
        _ => false,
    };
    if words.is_empty() && (is_indexed || has_reason) {
        between_ids(conn, params, query, "chats")?;
        return Ok(Searched::Narrowed);
    }
    Ok(Searched::Page(page(conn, params, wanted(params, words))?))
}

/// The terms of the words and of the filters.
fn wanted(params: &ListParams, words: impl IntoIterator<Item = Term>) -> Wanted {
    let mut wanted = Wanted::terms(words);
    for picked in &params.picked {
        wanted = match (picked.name, picked.condition.values.as_slice()) {
            ("user", [Value::Integer(id)]) => wanted.and(Term::user(*id)),
            ("state", _) => wanted.and(Term::state(&picked.value)),
            ("model", [Value::Text(model)]) => wanted.and(Term::model(model)),
            _ => wanted,
        };
    }
    wanted
}

fn page(conn: &mut DbConnection, params: &ListParams, wanted: Wanted) -> Result<Page> {
    let backwards = matches!(params.start, Start::Before(_) | Start::Last);
    let descending = params.descending != backwards;
    let from = match &params.start {
        Start::After(position) | Start::Before(position) => Some(position.id),
        Start::First | Start::Last => None,
    };
    let limit = usize::try_from(params.page_size).unwrap_or(usize::MAX);
    let mut span = Span { above: 0, below: i64::MAX, descending, limit: limit.saturating_add(1) };
    match from {
        Some(id) if descending => span.below = id,
        Some(id) => span.above = id,
        None => {}
    }
    if let Some((first, end)) = ids_of_days(conn, params, "chats")? {
        span.above = span.above.max(first.saturating_sub(1));
        span.below = span.below.min(end);
    }
    let mut hits = search::find(conn, SearchIndex::Chats, &wanted, span)?;
    let goes_on = hits.ids.len() > limit || hits.looked_until.is_some();
    hits.ids.truncate(limit);
    if let Some([Value::Time(from), Value::Time(to)]) = params.values_of("date") {
        // Near the edges, an id may belong to another day.
        let fit = Chat::sent_between(conn, &hits.ids, *from, *to)?;
        hits.ids.retain(|id| fit.contains(id));
    }
    if let Some(reason) = params.value("reason") {
        let looked_until = hits.ids.last().copied();
        let fit = Chat::failed_for(conn, &hits.ids, reason)?;
        hits.ids.retain(|id| fit.contains(id));
        // Further hits may have this reason.
        hits.looked_until = looked_until.filter(|_| goes_on);
    }
    if backwards {
        hits.ids.reverse();
    }
    let (has_previous, has_next) =
        if backwards { (goes_on, from.is_some()) } else { (from.is_some(), goes_on) };
    let place = |id: i64| Position { key: None, id };
    Ok(Page {
        rows: hits.ids.into_iter().map(place).collect(),
        has_previous,
        has_next,
        looked_until: hits.looked_until.map(place),
    })
}
