//! Lists: one description in plain Rust makes a page with columns, sorting, filters, tabs, search,
//! actions and keyset pagination. A new list is a `static List` of its own; [`builders`] has the
//! parts of a description.
//!
//! [`params`] reads the query string, [`page`] fetches the rows, [`view`] and [`filters`] are what
//! the template shows.

mod builders;
mod cell;
mod clause;
mod dates;
mod days;
mod filters;
mod link;
mod list_page;
mod page;
mod params;
mod view;

pub(in crate::panel) use cell::{Cell, Tone};
pub(in crate::panel) use clause::Clause;
pub(in crate::panel) use dates::{between_ids, ids_of_days};
pub(in crate::panel) use link::capped;
pub(in crate::panel) use list_page::ListPage;
pub(in crate::panel) use page::{all_ids, fetch, read};
pub(in crate::panel) use params::{ListParams, find_user};
pub(in crate::panel) use view::ListView;

use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::{Condition, ListQuery, Page, SortKey, Value};

/// A list of rows of the kind `R`.
pub(in crate::panel) struct List<R: 'static> {
    /// Where it is, with both slashes.
    pub path: &'static str,
    pub title: &'static str,
    /// What one row is called, and what many are.
    pub one: &'static str,
    pub many: &'static str,
    pub rows: Rows<R>,
    pub columns: &'static [Column<R>],
    /// The first one is the default.
    pub sorts: &'static [Sort],
    pub filters: &'static [Filter],
    /// The first one shows everything.
    pub tabs: &'static [Tab],
    pub search: Option<Search>,
    pub actions: &'static [BulkAction],
    pub note: Option<Note>,
    /// What a row is called, for the label of its check box; `None`: by its number.
    pub label_of: Option<fn(&R) -> String>,
    /// What to do where there are no rows at all.
    pub empty: &'static str,
}

/// Where a list has its rows from.
pub(in crate::panel) struct Rows<R: 'static> {
    pub from: &'static str,
    /// The column of the id, with its table's name.
    pub id: &'static str,
    /// The rows of a page, in any order.
    pub load: fn(&mut DbConnection, &[i64]) -> Result<Vec<R>>,
    pub id_of: fn(&R) -> i64,
}

/// A column and what stands in it.
pub(in crate::panel) struct Column<R> {
    pub label: &'static str,
    /// The name of the sort that a click on its head asks for.
    pub sort: Option<&'static str>,
    pub is_number: bool,
    pub cell: fn(&R) -> Cell,
}

/// An order on offer. Each has an index.
pub(in crate::panel) struct Sort {
    /// As it stands in the query string; a `-` before it turns it round.
    pub name: &'static str,
    pub key: SortKey,
    /// Whether a first click shows the highest first.
    pub descending_first: bool,
}

/// A preset above a list.
pub(in crate::panel) struct Tab {
    pub label: &'static str,
    /// The query string; empty: everything.
    pub query: &'static str,
}

/// What can be done with the rows that are ticked.
pub(in crate::panel) struct BulkAction {
    pub name: &'static str,
    pub label: &'static str,
}

pub(in crate::panel) struct Filter {
    /// As it stands in the query string.
    pub name: &'static str,
    pub label: &'static str,
    pub kind: FilterKind,
}

pub(in crate::panel) enum FilterKind {
    /// One of a few.
    Choice(&'static [Choice]),
    /// A range of days in the administrator's time zone: from the first moment to before the last.
    Days(Clause),
    /// A user, by name or id.
    User(Clause),
    /// A word that is taken as it is, such as the name of a model.
    Word(Clause),
}

#[derive(Clone, Copy)]
pub(in crate::panel) struct Choice {
    pub value: &'static str,
    pub label: &'static str,
    test: ChoiceTest,
}

/// What a choice compares with.
#[derive(Clone, Copy)]
enum ChoiceTest {
    Fixed(Clause),
    Now(Clause),
    Own(Clause),
    By(fn(&ListParams) -> Condition),
}

impl Choice {
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

/// Narrows the query to what fits the words, or finds the page itself.
type Find = fn(&mut DbConnection, &ListParams, &mut ListQuery) -> Result<Searched>;

/// Returns what is to be known of all rows that match a query string, such as that they are not up
/// to date.
type Note = fn(&mut DbConnection, &str) -> Result<Option<String>>;

/// How a list is searched.
pub(in crate::panel) struct Search {
    /// What can be typed, under the box; `None`: there is no box, only filters that need the database.
    pub help: Option<&'static str>,
    pub find: Find,
}

/// What came of a search.
pub(in crate::panel) enum Searched {
    /// The query was narrowed.
    Narrowed,
    /// The search has an order of its own.
    Page(Page),
}
