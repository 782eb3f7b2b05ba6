//! How a list is described: functions that run while the crate is compiled, so that each part names
//! only what it has.

use super::Cell;
use super::{
    BulkAction, Choice, ChoiceTest, Clause, Column, Filter, FilterKind, Find, List, ListParams, Note, Rows,
    Search, Sort, Tab,
};
use crate::models::list::{Condition, SortKey};

impl<R> List<R> {
    /// A list of everything, in the order of the ids, without a column.
    pub(crate) const fn new(title: &'static str, path: &'static str, rows: Rows<R>) -> List<R> {
        List {
            path,
            title,
            one: "row",
            many: "rows",
            rows,
            columns: &[],
            sorts: &[],
            filters: &[],
            tabs: &[],
            search: None,
            actions: &[],
            note: None,
            label_of: None,
            empty: "There is nothing yet.",
        }
    }

    /// What one row is called, and what many are.
    pub(crate) const fn named(mut self, one: &'static str, many: &'static str) -> List<R> {
        self.one = one;
        self.many = many;
        self
    }

    pub(crate) const fn columns(mut self, columns: &'static [Column<R>]) -> List<R> {
        self.columns = columns;
        self
    }

    /// The first one is the default.
    pub(crate) const fn sorts(mut self, sorts: &'static [Sort]) -> List<R> {
        self.sorts = sorts;
        self
    }

    pub(crate) const fn filters(mut self, filters: &'static [Filter]) -> List<R> {
        self.filters = filters;
        self
    }

    /// The first one shows everything.
    pub(crate) const fn tabs(mut self, tabs: &'static [Tab]) -> List<R> {
        self.tabs = tabs;
        self
    }

    /// Adds a search box. `help` says what can be typed.
    pub(crate) const fn search(mut self, help: &'static str, find: Find) -> List<R> {
        self.search = Some(Search { help: Some(help), find });
        self
    }

    /// Has `find` narrow the query, without a search box.
    pub(crate) const fn narrowed_by(mut self, find: Find) -> List<R> {
        self.search = Some(Search { help: None, find });
        self
    }

    pub(crate) const fn actions(mut self, actions: &'static [BulkAction]) -> List<R> {
        self.actions = actions;
        self
    }

    /// What is to be known before something is done with all rows that match.
    pub(crate) const fn note(mut self, note: Note) -> List<R> {
        self.note = Some(note);
        self
    }

    /// What a row is called, where that is not its number.
    pub(crate) const fn labels(mut self, label_of: fn(&R) -> String) -> List<R> {
        self.label_of = Some(label_of);
        self
    }

    /// What to do where there are no rows at all.
    pub(crate) const fn empty(mut self, text: &'static str) -> List<R> {
        self.empty = text;
        self
    }
}

impl<R> Column<R> {
    pub(crate) const fn text(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column { label, sort: None, is_number: false, cell }
    }

    pub(crate) const fn number(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column { label, sort: None, is_number: true, cell }
    }

    /// A click on the head asks for the sort with this name.
    pub(crate) const fn sort(mut self, name: &'static str) -> Column<R> {
        self.sort = Some(name);
        self
    }
}

impl Sort {
    /// A first click shows the lowest first.
    pub(crate) const fn ascending(name: &'static str, key: SortKey) -> Sort {
        Sort { name, key, descending_first: false }
    }

    /// A first click shows the highest first.
    pub(crate) const fn descending(name: &'static str, key: SortKey) -> Sort {
        Sort { name, key, descending_first: true }
    }
}

impl Filter {
    /// One of a few; see [`Filter::of`].
    pub(crate) const fn choice(name: &'static str, label: &'static str) -> Filter {
        Filter { name, label, kind: FilterKind::Choice(&[]) }
    }

    /// What a filter by choice has on offer.
    pub(crate) const fn of(mut self, choices: &'static [Choice]) -> Filter {
        self.kind = FilterKind::Choice(choices);
        self
    }

    /// A range of days: the clause compares with the first moment and with the one after the last.
    pub(crate) const fn days(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter { name, label, kind: FilterKind::Days(clause) }
    }

    /// A user: the clause compares with the id.
    pub(crate) const fn user(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter { name, label, kind: FilterKind::User(clause) }
    }

    /// A word: the clause compares with it as it is.
    pub(crate) const fn word(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter { name, label, kind: FilterKind::Word(clause) }
    }
}

impl Choice {
    /// The clause compares with nothing.
    pub(crate) const fn new(value: &'static str, label: &'static str, clause: Clause) -> Choice {
        Choice { value, label, test: ChoiceTest::Fixed(clause) }
    }

    /// The clause compares with the present moment.
    pub(crate) const fn now(value: &'static str, label: &'static str, clause: Clause) -> Choice {
        Choice { value, label, test: ChoiceTest::Now(clause) }
    }

    /// The clause compares with the value, a stored code.
    pub(crate) const fn of(value: &'static str, label: &'static str, clause: Clause) -> Choice {
        Choice { value, label, test: ChoiceTest::Own(clause) }
    }

    /// The condition depends on what else is asked for.
    pub(crate) const fn by(
        value: &'static str,
        label: &'static str,
        condition: fn(&ListParams) -> Condition,
    ) -> Choice {
        Choice { value, label, test: ChoiceTest::By(condition) }
    }
}

impl Tab {
    pub(crate) const fn new(label: &'static str, query: &'static str) -> Tab {
        Tab { label, query }
    }
}

impl BulkAction {
    pub(crate) const fn new(name: &'static str, label: &'static str) -> BulkAction {
        BulkAction { name, label }
    }
}
