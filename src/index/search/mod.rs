//! Finds chats, users, reasons and the history by the words that people type.
//! [`follower`](crate::index::follower) fills the index in, behind the charges, which do no work
//! for it.
//!
//! A search goes through blocks of ids, from the newest: a few at first, then more and more at
//! once, until the page is full or the time is up. So a common word is found in the first blocks, a
//! rare one by the index, and no search reads everything.

mod highlight;
mod store;
mod terms;

use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;

pub use highlight::{Matching, highlights};
pub use store::{blank_entries, forget_words, history_terms, index_user, name_terms, reason_terms};
pub(crate) use store::{
    chat_marks, chat_terms, entries_again, forget_chats, index_again, insert, known_chats,
};
use terms::{LARGE_BLOCK, SMALL_BLOCK};
pub use terms::{
    Term, are_too_many, has_words, is_exact, joined, marks, wanted_addresses, wanted_parts, wanted_words,
};

use crate::db::{Bind, DbConnection, DynamicStatement};

/// Ids that are checked one by one before the index is used: enough to fill a page with a common
/// word.
const FIRST_LOOK: i64 = 500;
/// The most blocks of ids that are searched at once.
const MOST_BLOCKS: i64 = 32;

/// One of the search indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchIndex {
    /// Chats, by the words of message and response, and by their marks.
    Chats,
    /// Users, by any part of the name.
    Users,
    /// Ledger entries that have a reason, by its words, and by their marks.
    Reasons,
    /// Entries of the history, by the words of what they show, by the address, and by their marks.
    History,
}

impl SearchIndex {
    /// All search indexes.
    pub(crate) const ALL: [SearchIndex; 4] =
        [SearchIndex::Chats, SearchIndex::Users, SearchIndex::Reasons, SearchIndex::History];

    pub(crate) const fn table(self) -> &'static str {
        match self {
            SearchIndex::Chats => "chat_search",
            SearchIndex::Users => "user_search",
            SearchIndex::Reasons => "reason_search",
            SearchIndex::History => "history_search",
        }
    }

    /// The table whose rows it finds.
    const fn source(self) -> &'static str {
        match self {
            SearchIndex::Chats => "chats",
            SearchIndex::Users => "users",
            SearchIndex::Reasons => "ledger_entries",
            SearchIndex::History => "audit_log",
        }
    }

    /// How long one search may take before it returns what it has. Users get less, because their
    /// list has further work to do.
    const fn time(self) -> Duration {
        match self {
            SearchIndex::Chats | SearchIndex::Reasons | SearchIndex::History => Duration::from_millis(15),
            SearchIndex::Users => Duration::from_millis(6),
        }
    }
}

/// The terms to find. A row matches if it has all of the first ones, one of each group of
/// alternatives, and none of the last ones.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    all: Vec<Term>,
    /// Groups of alternatives. Of one alternative, a row must have all terms.
    any: Vec<Vec<Vec<Term>>>,
    none: Vec<Term>,
}

impl Wanted {
    /// Requires all of `terms`.
    pub fn terms(terms: impl IntoIterator<Item = Term>) -> Wanted {
        Wanted { all: terms.into_iter().collect(), ..Wanted::default() }
    }

    /// Requires one more term.
    pub fn and(mut self, term: Term) -> Wanted {
        self.all.push(term);
        self
    }

    /// Requires one of these alternatives, with all of its terms. One without terms is no
    /// alternative.
    pub fn and_any(mut self, alternatives: impl IntoIterator<Item = Vec<Term>>) -> Wanted {
        self.any.push(alternatives.into_iter().filter(|terms| !terms.is_empty()).collect());
        self
    }

    /// Returns whether no row can match.
    fn is_impossible(&self) -> bool {
        self.any.iter().any(Vec::is_empty)
    }

    /// Leaves out the rows that have this term.
    pub fn without(mut self, term: Term) -> Wanted {
        self.none.push(term);
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
    if wanted.is_impossible() {
        return Ok(hits);
    }
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
/// would read a million rows for nothing. So a query for the index is a sub-query: then the planner
/// does not see its words, and takes it for rare. SQLite has only one way.
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
            (text, expression(wanted, &blocks(from, to), &SQLITE))
        }
        DbConnection::Postgres(_) => {
            let rest = format!("ORDER BY id {order} LIMIT {limit}");
            let (within, blocks) = match look {
                Look::OneByOne => {
                    (format!("SELECT id, terms FROM {table} WHERE id >= ? AND id < ?"), Vec::new())
                }
                Look::ByIndex => {
                    let rare = "(SELECT CAST(? AS tsquery))";
                    (format!("SELECT id FROM {table} WHERE terms @@ {rare}"), blocks(from, to))
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
            (text, expression(wanted, &blocks, &POSTGRES))
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

/// How a database writes queries of its text index.
struct Syntax {
    quote: &'static str,
    and: &'static str,
    or: &'static str,
    and_not: &'static str,
    not: &'static str,
}

const SQLITE: Syntax = Syntax { quote: "\"", and: " AND ", or: " OR ", and_not: " NOT ", not: "NOT " };
const POSTGRES: Syntax = Syntax { quote: "'", and: " & ", or: " | ", and_not: " & !", not: "!" };

/// Returns the query in the database's syntax. Terms contain only letters, digits and `=`, so
/// quotes suffice.
fn expression(wanted: &Wanted, blocks: &[Term], syntax: &Syntax) -> String {
    let quoted = |term: &Term| format!("{quote}{}{quote}", term.as_str(), quote = syntax.quote);
    let one_of = |parts: Vec<String>| format!("({})", parts.join(syntax.or));
    let any = |terms: &[Term]| one_of(terms.iter().map(quoted).collect());
    let all_of = |terms: &Vec<Term>| {
        let terms: Vec<String> = terms.iter().map(quoted).collect();
        format!("({})", terms.join(syntax.and))
    };
    let mut parts: Vec<String> = wanted.all.iter().map(quoted).collect();
    parts.extend(wanted.any.iter().map(|group| one_of(group.iter().map(all_of).collect())));
    if !blocks.is_empty() {
        parts.push(any(blocks));
    }
    let all = parts.join(syntax.and);
    match (all.is_empty(), wanted.none.is_empty()) {
        (_, true) => all,
        // Only PostgreSQL is asked for this: a query of SQLite has blocks.
        (true, false) => format!("{}{}", syntax.not, any(&wanted.none)),
        (false, false) => format!("({all}){}{}", syntax.and_not, any(&wanted.none)),
    }
}

/// Returns the highest id that the follower has processed.
fn watermark(conn: &mut DbConnection, index: SearchIndex) -> QueryResult<i64> {
    let text = "SELECT position FROM follower_marks WHERE name = ?".to_owned();
    DynamicStatement::<BigInt>::new(text, vec![Bind::Text(index.source())]).get_result(conn)
}
