//! How chats are found: by an index if one filter is enough, and by the search table otherwise.

use super::endpoints::{ALL, ANY_ENDPOINT, ENDPOINT, LISTED, NOT_RECORDED};
use crate::db::DbConnection;
use crate::domain::Endpoint;
use crate::error::Result;
use crate::index::search::{SearchIndex, Term, Wanted, has_words, wanted_words};
use crate::models::list::{ListQuery, Value};
use crate::models::{Chat, UserRows};
use crate::panel::kit::id_in;
use crate::panel::kit::list::{ByWords, ListParams, Searched, between_ids};

/// The most pending chats whose words are searched.
const MOST_PENDING: i64 = 2_000;

/// The filters that the search table knows nothing of.
const UNKNOWN: [&str; 2] = ["reason", "charge"];

/// Narrows the query, or returns the page from the search table.
pub(super) fn find(conn: &mut DbConnection, params: &ListParams, query: &mut ListQuery) -> Result<Searched> {
    if let Some(id) = id_in(&params.words) {
        query.among = Some(vec![id]);
        forget_listed(query);
        return Ok(Searched::Narrowed);
    }
    query.conditions.retain(|condition| condition.sql != ANY_ENDPOINT);
    if params.value("user").is_some() {
        // The clause of that filter says the same, and an index serves it.
        forget_listed(query);
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
            let fits = |chat: &&Chat| has_words(&chat.message, &words);
            query.among = Some(pending.iter().filter(fits).map(|chat| chat.id).collect());
        }
        return Ok(Searched::Narrowed);
    }
    let narrows = |name: &str, value: &str| name != "date" && (name, value) != (ENDPOINT, ALL);
    let others: Vec<_> = params.picked.iter().filter(|picked| narrows(picked.name, &picked.value)).collect();
    // They are tested on the rows that another filter finds.
    let has_unknown = params.picked.iter().any(|picked| UNKNOWN.contains(&picked.name));
    let is_indexed = match others.as_slice() {
        [] => true,
        [picked] => picked.condition.leads || picked.value == "complete",
        _ => false,
    };
    // Embeddings have an index of their own, also for each user.
    let are_unlisted =
        params.value(ENDPOINT).and_then(Endpoint::from_code).is_some_and(|one| !one.is_listed());
    if words.is_empty() && (is_indexed || has_unknown || are_unlisted) {
        between_ids(conn, params, query, "chats")?;
        UserRows::Chats.narrow(conn, query)?;
        return Ok(Searched::Narrowed);
    }
    page(conn, params, wanted(params, words))
}

/// Removes the condition that leaves out embeddings.
fn forget_listed(query: &mut ListQuery) {
    query.conditions.retain(|condition| condition.sql != LISTED);
}

/// The terms of the words and of the filters.
fn wanted(params: &ListParams, words: impl IntoIterator<Item = Term>) -> Wanted {
    let mut wanted = Wanted::terms(words);
    wanted = match params.value(ENDPOINT) {
        None => Endpoint::ALL
            .into_iter()
            .filter(|endpoint| !endpoint.is_listed())
            .fold(wanted, |wanted, endpoint| wanted.without(Term::endpoint(endpoint.code()))),
        Some(ALL) => wanted,
        Some(NOT_RECORDED) => wanted.without(Term::any_endpoint()),
        Some(code) => wanted.and(Term::endpoint(code)),
    };
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

/// Returns the page from the search table.
fn page(conn: &mut DbConnection, params: &ListParams, wanted: Wanted) -> Result<Searched> {
    let is_unknown = |name: &str| UNKNOWN.contains(&name);
    let tests = params.picked.iter().filter(|picked| is_unknown(picked.name));
    let tests = tests.map(|picked| picked.condition.clone()).collect();
    let search = ByWords { index: SearchIndex::Chats, table: "chats", id: "chats.id", wanted, tests };
    search.page(conn, params)
}
