//! Lists: one description in plain Rust makes a page with columns, sorting, filters, tabs, search, actions and keyset
//! pagination. A new list is a `static List` of its own and a template of some ten lines.
//!
//! [`params`] reads the query string, [`page`] fetches the rows, [`view`] and [`filters`] are what the template shows.

mod cell;
mod dates;
mod days;
mod filters;
mod link;
mod list_page;
mod page;
mod params;
mod view;

pub(in crate::panel) use cell::{Cell, Tone};
pub(in crate::panel) use dates::{between_ids, ids_of_days};
pub(in crate::panel) use link::capped;
pub(in crate::panel) use list_page::ListPage;
pub(in crate::panel) use page::{all_ids, fetch, read};
pub(in crate::panel) use params::{ListParams, Preferences, find_user};
pub(in crate::panel) use view::ListView;

use chrono::NaiveDateTime;

use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::{Condition, ListQuery, Page, SortKey};

/// A list of rows of the kind `R`.
pub(in crate::panel) struct List<R: 'static> {
    /// Where it is, with both slashes.
    pub path: &'static str,
    pub title: &'static str,
    /// What one row is called, and what many are.
    pub one: &'static str,
    pub many: &'static str,
    pub from: &'static str,
    /// The column of the id, with its table's name.
    pub id: &'static str,
    pub columns: &'static [Column<R>],
    /// The first one is the default.
    pub sorts: &'static [Sort],
    pub filters: &'static [Filter],
    /// Presets above the list: a label and a query string. The first one shows everything.
    pub tabs: &'static [(&'static str, &'static str)],
    pub search: Option<Search>,
    /// What can be done with the rows that are ticked: a name and a label.
    pub actions: &'static [(&'static str, &'static str)],
    /// The rows of a page, in any order.
    pub load: fn(&mut DbConnection, &[i64]) -> Result<Vec<R>>,
    pub id_of: fn(&R) -> i64,
    /// What a row is called, for the label of its check box.
    pub label_of: fn(&R) -> String,
    /// What to do where there are no rows at all.
    pub empty: &'static str,
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
    Days(fn(&ListParams, NaiveDateTime, NaiveDateTime) -> Condition),
    /// A user, by name or id.
    User(fn(i64) -> Condition),
    /// A word that is taken as it is, such as the name of a model.
    Word(fn(&str) -> Condition),
}

pub(in crate::panel) struct Choice {
    pub value: &'static str,
    pub label: &'static str,
    pub condition: fn(&ListParams) -> Condition,
}

/// How a list is searched.
pub(in crate::panel) struct Search {
    /// What can be typed, under the box; `None`: there is no box, only filters that need the database.
    pub help: Option<&'static str>,
    /// Narrows the query to what fits the words, or answers the page itself.
    pub find: fn(&mut DbConnection, &ListParams, &mut ListQuery) -> Result<Searched>,
}

/// What came of a search.
pub(in crate::panel) enum Searched {
    /// The query was narrowed.
    Narrowed,
    /// The search has an order of its own.
    Page(Page),
}
