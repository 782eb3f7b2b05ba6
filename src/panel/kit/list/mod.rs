//! Lists: one description in plain Rust makes a page with columns, sorting, filters, tabs, search,
//! actions and keyset pagination. A new list is a `static List` of its own; [`builders`] has the
//! parts of a description.
//!
//! [`params`] reads the query string, [`page`] fetches the rows, [`view`] and [`filters`] are what
//! the template shows.

mod amounts;
mod builders;
mod by_words;
mod cell;
mod clause;
mod column;
mod dates;
mod days;
mod filters;
mod link;
mod list_page;
mod narrow;
mod page;
mod params;
mod tabs;
mod view;

pub(in crate::panel) use by_words::{ByWords, catching_up, few_hits};
pub(in crate::panel) use cell::{Cell, Tone};
pub(in crate::panel) use clause::Clause;
pub(in crate::panel) use column::{At, Column};
pub(in crate::panel) use dates::between_ids;
pub(in crate::panel) use link::capped;
pub(in crate::panel) use list_page::ListPage;
pub(in crate::panel) use page::{all_ids, fetch, first_ids, first_rows, read};
pub(in crate::panel) use params::{ListParams, find_user, is_place};
pub(in crate::panel) use view::ListView;

use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::{Condition, Count, ListQuery, Page, SortKey, Value};

/// The description of a list of rows of the type `R`.
pub(in crate::panel) struct List<R: 'static> {
    /// The path of the page, with both slashes.
    pub path: &'static str,
    pub title: &'static str,
    /// The noun for one row.
    pub one: &'static str,
    /// The noun for several rows.
    pub many: &'static str,
    pub rows: Rows<R>,
    pub columns: &'static [Column<R>],
    /// The orders on offer. The first one is the default.
    pub sorts: &'static [Sort],
    pub filters: &'static [Filter],
    /// The presets. The first one shows all rows.
    pub tabs: &'static [Tab],
    pub search: Option<Search>,
    /// What rows must satisfy besides the filters.
    pub only: Option<Only>,
    pub actions: &'static [BulkAction],
    /// What an administrator has to know before an action on all rows that match.
    pub note: Option<Note>,
    /// The label of a row's check box. `None`: the noun and the id.
    pub label_of: Option<fn(&R) -> String>,
    /// The text that is shown if there are no rows, not even without filters.
    pub empty: &'static str,
}

/// The source of a list's rows.
pub(in crate::panel) struct Rows<R: 'static> {
    /// The SQL after `FROM`.
    pub from: &'static str,
    /// The column of the id, with its table's name.
    pub id: &'static str,
    /// Loads the rows with these ids, in any order.
    pub load: fn(&mut DbConnection, &[i64]) -> Result<Vec<R>>,
    pub id_of: fn(&R) -> i64,
}

/// An order on offer. There must be an index for it.
pub(in crate::panel) struct Sort {
    /// Its name in the query string. A `-` before it reverses the order.
    pub name: &'static str,
    pub key: SortKey,
    /// Whether a first click shows the highest first.
    pub descending_first: bool,
}

/// A preset above a list. It adds to what the administrator has set.
pub(in crate::panel) struct Tab {
    pub label: &'static str,
    /// The parameters that it sets. Empty for the tab that removes those of the others.
    pub query: &'static str,
}

/// An action on selected rows.
pub(in crate::panel) struct BulkAction {
    pub name: &'static str,
    pub label: &'static str,
    /// Whether an amount of tokens may be entered beside it, so that the next page can say what
    /// will happen.
    pub asks_amount: bool,
}

/// A filter on offer.
pub(in crate::panel) struct Filter {
    /// Its name in the query string.
    pub name: &'static str,
    pub label: &'static str,
    pub kind: FilterKind,
    /// Whether its choices can be counted in a short time.
    has_counts: bool,
}

/// The kind of a filter: what one enters.
pub(in crate::panel) enum FilterKind {
    /// One of a few values.
    Choice(&'static [Choice]),
    /// A range of days in the administrator's time zone.
    Days(Clause),
    /// A range of amounts.
    Amounts(ClauseBy),
    /// A user, by name or id.
    User(ClauseBy),
    /// A word that must match exactly, such as the name of a model.
    Word(Clause),
}

/// A clause that may depend on the other parameters of the list.
#[derive(Clone, Copy)]
pub(in crate::panel) enum ClauseBy {
    Fixed(Clause),
    Params(fn(&ListParams) -> Clause),
}

impl ClauseBy {
    fn of(self, params: &ListParams) -> Clause {
        match self {
            ClauseBy::Fixed(clause) => clause,
            ClauseBy::Params(clause) => clause(params),
        }
    }
}

/// The most choices of a filter that are counted. More would take too long.
const MOST_COUNTED_CHOICES: usize = 8;

impl Filter {
    /// Returns the choices that *Show counts* counts.
    fn counted_choices(&self) -> Option<&'static [Choice]> {
        match self.kind {
            FilterKind::Choice(choices) if self.has_counts && choices.len() <= MOST_COUNTED_CHOICES => {
                Some(choices)
            }
            _ => None,
        }
    }
}

/// A value of a filter.
#[derive(Clone, Copy)]
pub(in crate::panel) struct Choice {
    pub value: &'static str,
    pub label: &'static str,
    /// Its value in addresses of an older version. Empty if it had none of its own.
    former: &'static str,
    test: ChoiceTest,
}

/// The condition of a choice, by what it is compared with.
#[derive(Clone, Copy)]
enum ChoiceTest {
    Fixed(Clause),
    Now(Clause),
    Own(Clause),
    By(fn(&ListParams) -> Condition),
}

impl Choice {
    /// Returns the condition for a list with these parameters.
    pub(crate) fn condition(&self, params: &ListParams) -> Condition {
        match self.test {
            ChoiceTest::Fixed(clause) => clause.with(params.sort, Vec::new()),
            ChoiceTest::Now(clause) => clause.with(params.sort, vec![Value::Time(params.now)]),
            ChoiceTest::Own(clause) => clause.with(params.sort, vec![Value::Text(self.value.to_owned())]),
            ChoiceTest::By(condition) => condition(params),
        }
    }

    /// Returns the clause, if it compares with a stored code, whatever the code.
    fn stored_code(&self) -> Option<Clause> {
        if let ChoiceTest::Own(clause) = self.test { Some(clause) } else { None }
    }
}

/// Narrows the query to rows that match the words, or finds the page itself.
type Find = fn(&mut DbConnection, &ListParams, &mut ListQuery) -> Result<Searched>;

/// Returns the conditions that rows must satisfy besides those of the filters.
type Only = fn(&mut DbConnection, &ListParams) -> Result<Vec<Condition>>;

/// Returns what an administrator has to know about the rows that match a query string, such as that
/// the follower is behind.
type Note = fn(&mut DbConnection, &str) -> Result<Option<String>>;

/// How a list is searched.
pub(in crate::panel) struct Search {
    /// What can be searched for.
    pub help: &'static str,
    /// Applies the words, and filters that need the database, to the query.
    pub find: Find,
}

/// The outcome of a search.
pub(in crate::panel) enum Searched {
    /// The query was narrowed.
    Narrowed,
    /// The query was narrowed, and so many rows match.
    Counted(Count),
    /// The search found the page itself, from the search table, and how many rows match if that is
    /// known.
    Page(Page, Option<Count>),
}
