//! Finds chats and users by the words that people type. [`follower`](crate::index::follower) fills
//! the index in, behind the charges, which do no work for it.
//!
//! A search goes through blocks of ids, from the newest: a few at first, then more and more at
//! once, until the page is full or the time is up. So a common word is found in the first blocks, a
//! rare one by the index, and no search reads everything.

mod store;
mod terms;

use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;

pub(crate) use store::{chat_marks, chat_terms, forget_chats, insert, known_chats};
pub use store::{erase_forgotten, forget_words, index_user, joined, name_terms};
use terms::{LARGE_BLOCK, SMALL_BLOCK};
pub use terms::{Term, are_too_many, marks, trigrams, wanted_words, words};

use crate::db::{Bind, DbConnection, DynamicStatement};

/// Ids that are checked one by one before the index is used: enough to fill a page with a common
/// word.
const FIRST_LOOK: i64 = 500;
/// The most blocks of ids that are searched at once.
const MOST_BLOCKS: i64 = 32;

/// One of the two search indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchIndex {
    /// Chats, by the words of message and response, and by their marks.
    Chats,
    /// Users, by any part of the name.
    Users,
}

impl SearchIndex {
    const fn table(self) -> &'static str {
        match self {
            SearchIndex::Chats => "chat_search",
            SearchIndex::Users => "user_search",
        }
    }

    /// How long one search may take before it returns what it has. Users get less, because their
    /// list has further work to do.
    const fn time(self) -> Duration {
        match self {
            SearchIndex::Chats => Duration::from_millis(15),
            SearchIndex::Users => Duration::from_millis(6),
        }
    }
}

/// The terms to find. A row matches if it has all of them.
#[derive(Clone, Debug, Default)]
pub struct Wanted(Vec<Term>);

impl Wanted {
    /// Requires all of `terms`.
    pub fn terms(terms: impl IntoIterator<Item = Term>) -> Wanted {
        Wanted(terms.into_iter().collect())
    }

    /// Requires one more term.
    pub fn and(mut self, term: Term) -> Wanted {
        self.0.push(term);
        self
    }
}

/// The ids to search, their order, and the most hits to return.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Only ids above this one.
    pub above: i64,
    /// Only ids below this one.
    pub below: i64,
    /// Whether to search from the highest id down.
    pub descending: bool,
    /// The most hits to return.
    pub limit: usize,
}

/// The rows found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// The ids found, in the order asked for.
    pub ids: Vec<i64>,
    /// The id at which the time was up. What lies beyond was not searched. `None` if everything
    /// was.
    pub looked_until: Option<i64>,
}

/// Searches until there are enough hits, everything has been searched, or the time is up.
pub fn find(conn: &mut DbConnection, index: SearchIndex, wanted: &Wanted, span: Span) -> QueryResult<Hits> {
    let started = Instant::now();
    let mut hits = Hits::default();
    let highest = watermark(conn, index)?;
    let (mut above, mut below) = (span.above.max(0), span.below.min(highest.saturating_add(1)));
    // 0: the ids are checked one by one, without the index.
    let mut blocks = 0;
    while hits.ids.len() < span.limit && below.saturating_sub(above) > 1 {
        let (from, to) = part(span.descending, above, below, blocks);
        let rest = span.limit - hits.ids.len();
        let before = started.elapsed();
        let look = if blocks == 0 { Look::OneByOne } else { Look::ByIndex };
        hits.ids.extend(window(conn, index, wanted, (from, to), span.descending, rest, look)?);
        if span.descending {
            below = from;
        } else {
            above = to - 1;
        }
        let now = started.elapsed();
        if now > index.time() && hits.ids.len() < span.limit && below.saturating_sub(above) > 1 {
            hits.looked_until = Some(if span.descending { from } else { to - 1 });
            break;
        }
        // The next step may take twice as long as this one. It is larger if there is time for that.
        if blocks == 0 || (now - before) * 2 < index.time().saturating_sub(now) {
            blocks = (blocks * 2).clamp(1, MOST_BLOCKS);
        }
    }
    Ok(hits)
}

/// Returns the part of the ids between `above` and `below` to search next. It ends where a block
/// does.
fn part(descending: bool, above: i64, below: i64, blocks: i64) -> (i64, i64) {
    match (descending, blocks) {
        (true, 0) => ((below - FIRST_LOOK).max(above + 1), below),
        (false, 0) => (above + 1, (above + 1 + FIRST_LOOK).min(below)),
        (true, _) => {
            let first = ((below - 1) >> SMALL_BLOCK) - (blocks - 1);
            ((first << SMALL_BLOCK).max(above + 1), below)
        }
        (false, _) => {
            let last = ((above + 1) >> SMALL_BLOCK) + blocks;
            (above + 1, (last << SMALL_BLOCK).min(below))
        }
    }
}

/// How PostgreSQL finds the ids of a part. Its planner overestimates how frequent words are, and
/// would read a million rows for nothing. SQLite has only one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    OneByOne,
    ByIndex,
}

/// Returns the matching ids from `from` up to, but not including, `to`.
fn window(
    conn: &mut DbConnection,
    index: SearchIndex,
    wanted: &Wanted,
    (from, to): (i64, i64),
    descending: bool,
    limit: usize,
    look: Look,
) -> QueryResult<Vec<i64>> {
    let order = if descending { "DESC" } else { "ASC" };
    let table = index.table();
    let (text, query) = match conn {
        DbConnection::Sqlite(_) => {
            let text = format!(
                "SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid >= ? AND rowid < ?
                 ORDER BY rowid {order} LIMIT {limit}"
            );
            // The blocks let it skip to them. With the range alone, a search for words that never
            // occur together would read all rows that have one of them before it checks the range.
            (text, expression(wanted, &blocks(from, to), "\"", " AND ", " OR "))
        }
        DbConnection::Postgres(_) => {
            let rest = format!("ORDER BY id {order} LIMIT {limit}");
            let (within, blocks) = match look {
                Look::OneByOne => {
                    (format!("SELECT id, terms FROM {table} WHERE id >= ? AND id < ?"), Vec::new())
                }
                Look::ByIndex => {
                    (format!("SELECT id FROM {table} WHERE terms @@ CAST(? AS tsquery)"), blocks(from, to))
                }
            };
            let text = match look {
                Look::OneByOne => format!(
                    "WITH part AS MATERIALIZED ({within})
                     SELECT id FROM part WHERE terms @@ CAST(? AS tsquery) {rest}"
                ),
                Look::ByIndex => format!(
                    "WITH part AS MATERIALIZED ({within}) SELECT id FROM part WHERE id >= ? AND id < ? {rest}"
                ),
            };
            (text, expression(wanted, &blocks, "'", " & ", " | "))
        }
    };
    let is_query_last = look == Look::OneByOne && matches!(conn, DbConnection::Postgres(_));
    let mut binds = vec![Bind::Text(&query), Bind::Integer(from), Bind::Integer(to)];
    if is_query_last {
        binds.rotate_left(1);
    }
    DynamicStatement::<BigInt>::new(text, binds).load(conn)
}

/// Returns the marks of the blocks that contain the ids from `from` up to, but not including, `to`.
/// Neither database's text index can search a range of ids.
fn blocks(from: i64, to: i64) -> Vec<Term> {
    let bits = if (to - from) >> SMALL_BLOCK > MOST_BLOCKS / 2 { LARGE_BLOCK } else { SMALL_BLOCK };
    ((from >> bits)..=((to - 1) >> bits)).map(|block| Term::block(block << bits, bits)).collect()
}

/// Returns the query in the database's syntax. Terms contain only letters, digits and `=`, so
/// quotes suffice.
fn expression(wanted: &Wanted, blocks: &[Term], quote: &str, and: &str, or: &str) -> String {
    let quoted = |term: &Term| format!("{quote}{}{quote}", term.as_str());
    let any = |terms: &[Term]| format!("({})", terms.iter().map(quoted).collect::<Vec<_>>().join(or));
    let mut parts: Vec<String> = wanted.0.iter().map(quoted).collect();
    if !blocks.is_empty() {
        parts.push(any(blocks));
    }
    parts.join(and)
}

/// Returns the highest id that the follower has processed.
fn watermark(conn: &mut DbConnection, index: SearchIndex) -> QueryResult<i64> {
    let name = match index {
        SearchIndex::Chats => "chats",
        SearchIndex::Users => "users",
    };
    let text = "SELECT position FROM follower_marks WHERE name = ?".to_owned();
    DynamicStatement::<BigInt>::new(text, vec![Bind::Text(name)]).get_result(conn)
}
