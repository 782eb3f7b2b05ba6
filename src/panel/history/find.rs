//! How entries of the history are found by words.

use crate::audit::{Action, ObjectKind};
use crate::db::DbConnection;
use crate::domain::fold;
use crate::error::Result;
use crate::index::search::{
    self, SearchIndex, Span, Term, Wanted, wanted_addresses, wanted_parts, wanted_words,
};
use crate::models::User;
use crate::models::list::{ListQuery, Value};
use crate::panel::kit::list::{ByWords, ListParams, Searched, between_ids, few_hits};
use crate::panel::kit::{id_in, plain_id};

/// Narrows the query to the entries with these words, or returns the page from the search table.
pub(super) fn find(conn: &mut DbConnection, params: &ListParams, query: &mut ListQuery) -> Result<Searched> {
    if !params.words.is_empty() {
        let wanted = wanted(conn, &params.words)?;
        let Some(hits) = few_hits(conn, SearchIndex::History, &wanted)? else {
            return by_words(params, wanted).page(conn, params);
        };
        query.among = Some(hits);
    }
    between_ids(conn, params, query, "audit_log")?;
    Ok(Searched::Narrowed)
}

/// The search for the words and the filters in the search table.
fn by_words(params: &ListParams, mut wanted: Wanted) -> ByWords {
    for picked in &params.picked {
        wanted = match (picked.name, picked.condition.values.as_slice()) {
            ("actor", [Value::Integer(id)]) => wanted.and(Term::actor(*id)),
            ("user", [Value::Integer(id)]) => wanted.and(Term::user(*id)),
            ("action", [Value::Text(code)]) => wanted.and(Term::action(code)),
            _ => wanted,
        };
    }
    ByWords { index: SearchIndex::History, table: "audit_log", id: "audit_log.id", wanted, tests: Vec::new() }
}

/// Returns what an entry must have for these words. Of each word it must have one of these: its
/// beginning in a reason or a change; a user whose name contains it; an action or a kind of object
/// whose text has it; the id of the object; an address that begins with it.
fn wanted(conn: &mut DbConnection, words: &str) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    for word in words.split_whitespace().take(MOST_WORDS) {
        let mut alternatives = vec![wanted_words(word).into_iter().collect()];
        alternatives.extend(wanted_addresses(word).into_iter().map(|term| vec![term]));
        for id in users_named(conn, word)?.0 {
            alternatives.extend([vec![Term::user(id)], vec![Term::actor(id)]]);
        }
        let folded = fold(word);
        let has_word = |text: &str| !folded.is_empty() && text.split(' ').any(|one| one.starts_with(&folded));
        let actions = Action::ALL.into_iter().filter(|action| has_word(action.text()));
        alternatives.extend(actions.map(|action| vec![Term::action(action.code())]));
        let kinds = ObjectKind::ALL.into_iter().filter(|kind| has_word(kind.text()));
        alternatives.extend(kinds.map(|kind| vec![Term::kind(kind.code())]));
        let id = id_in(word).or_else(|| plain_id(word));
        alternatives.extend(id.map(|id| vec![Term::object(id)]));
        wanted = wanted.and_any(alternatives);
    }
    Ok(wanted)
}

/// The most words that are searched for.
pub(super) const MOST_WORDS: usize = 5;
/// The most users whose names contain a word, the newest ones. Administrators count in addition.
const MOST_USERS: usize = 50;
/// The most administrators whose names are looked at.
const MOST_ADMINISTRATORS: i64 = 200;

/// Returns the ids of the users whose names contain a word, and whether there are more. The search
/// table has no names, since they may change.
fn users_named(conn: &mut DbConnection, word: &str) -> Result<(Vec<i64>, bool)> {
    let word = fold(word);
    if word.is_empty() {
        return Ok((Vec::new(), false));
    }
    let wanted = Wanted::terms(wanted_parts(&word));
    let span = Span { above: 0, below: i64::MAX, descending: true, limit: MOST_USERS + 1 };
    let mut hits = search::find(conn, SearchIndex::Users, &wanted, span)?;
    let is_cut = hits.ids.len() > MOST_USERS || hits.looked_until.is_some();
    hits.ids.truncate(MOST_USERS);
    let mut users = User::canonical_names_of(conn, &hits.ids)?;
    users.extend(User::administrators(conn, MOST_ADMINISTRATORS)?);
    let fitting = users.into_iter().filter(|(_, name)| fold(name).contains(&word));
    Ok((fitting.map(|(id, _)| id).collect(), is_cut))
}

/// Returns a note for each word that more users are called than are searched for.
pub(super) fn notes(conn: &mut DbConnection, words: &str) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for word in words.split_whitespace().take(MOST_WORDS) {
        if users_named(conn, word)?.1 {
            notes.push(format!(
                "Many users have “{word}” in their names: only what concerns the {MOST_USERS} newest of them is \
                 found by the name. Filter by a user to find the rest."
            ));
        }
    }
    Ok(notes)
}
