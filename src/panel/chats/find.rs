//! How chats are found: by an index where one filter says enough, by the search table for everything else.

use crate::db::DbConnection;
use crate::error::Result;
use crate::index::search::{self, Place, Span, Term, Wanted, wanted_words};
use crate::models::Chat;
use crate::models::list::{ListQuery, Page, Position, Start, Value};
use crate::panel::kit::list::{ListParams, Searched, between_ids, ids_of_days};

/// Pending chats whose words are looked at.
const MOST_PENDING: i64 = 2_000;

/// Narrows the query, or answers the page from the search table.
pub(super) fn find(conn: &mut DbConnection, params: &ListParams, query: &mut ListQuery) -> Result<Searched> {
    let id = params.words.strip_prefix('#').and_then(|id| id.parse().ok());
    if let Some(id) = id {
        query.among = Some(vec![id]);
        return Ok(Searched::Narrowed);
    }
    let words = wanted_words(&params.words);
    if !params.words.is_empty() && words.is_empty() {
        // Nothing but marks was typed: no chat has such a word.
        query.among = Some(Vec::new());
        return Ok(Searched::Narrowed);
    }
    let state = params.value("state");
    if state == Some("pending") {
        // Those are few, and not in the search table until they end.
        if !words.is_empty() {
            let pending = Chat::pending(conn, MOST_PENDING)?;
            let fits = |chat: &&Chat| search::words(&chat.message).is_superset(&words);
            query.among = Some(pending.iter().filter(fits).map(|chat| chat.id).collect());
        }
        return Ok(Searched::Narrowed);
    }
    let others: Vec<_> = params.picked.iter().filter(|picked| picked.name != "date").collect();
    // Reasons are not in the search table: they are tested on what another filter leads to.
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

/// What the words and the filters ask for.
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
    let mut hits = search::find(conn, Place::Chats, &wanted, span)?;
    let goes_on = hits.ids.len() > limit || hits.looked_until.is_some();
    hits.ids.truncate(limit);
    if let Some([Value::Time(from), Value::Time(to)]) = params.values_of("date") {
        // Those near the edges may be of another day.
        let fit = Chat::sent_between(conn, &hits.ids, *from, *to)?;
        hits.ids.retain(|id| fit.contains(id));
    }
    if let Some(reason) = params.value("reason") {
        let looked_until = hits.ids.last().copied();
        let fit = Chat::failed_for(conn, &hits.ids, reason)?;
        hits.ids.retain(|id| fit.contains(id));
        // Further hits may have it.
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
