//! The functions by which a `static` [`List`] is described. Each part of a description names only
//! what differs from the defaults.

use super::Cell;
use super::{
    BulkAction, Choice, ChoiceTest, Clause, Column, Filter, FilterKind, Find, List, ListParams, Note, Rows,
    Search, Sort, Tab,
};
use crate::models::list::{Condition, SortKey};

impl<R> List<R> {
    /// A list of all rows, in the order of their ids, without columns.
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

    /// Sets the noun for a row, in singular and plural.
    pub(crate) const fn named(mut self, one: &'static str, many: &'static str) -> List<R> {
        self.one = one;
        self.many = many;
        self
    }

    /// Sets the columns, from left to right.
    pub(crate) const fn columns(mut self, columns: &'static [Column<R>]) -> List<R> {
        self.columns = columns;
        self
    }

    /// Sets the orders on offer. The first one is the default.
    pub(crate) const fn sorts(mut self, sorts: &'static [Sort]) -> List<R> {
        self.sorts = sorts;
        self
    }

    /// Sets the filters.
    pub(crate) const fn filters(mut self, filters: &'static [Filter]) -> List<R> {
        self.filters = filters;
        self
    }

    /// Sets the presets above the list. The first one shows all rows.
    pub(crate) const fn tabs(mut self, tabs: &'static [Tab]) -> List<R> {
        self.tabs = tabs;
        self
    }

    /// Adds a search box. `help` is shown below it.
    pub(crate) const fn search(mut self, help: &'static str, find: Find) -> List<R> {
        self.search = Some(Search { help: Some(help), find });
        self
    }

    /// Lets `find` narrow the query by filters that need the database, without a search box.
    pub(crate) const fn narrowed_by(mut self, find: Find) -> List<R> {
        self.search = Some(Search { help: None, find });
        self
    }

    /// Sets the actions on selected rows.
    pub(crate) const fn actions(mut self, actions: &'static [BulkAction]) -> List<R> {
        self.actions = actions;
        self
    }

    /// Sets the note that is shown before an action on all rows that match.
    pub(crate) const fn note(mut self, note: Note) -> List<R> {
        self.note = Some(note);
        self
    }

    /// Sets how a row's check box is labelled. By default this is the noun and the id.
    pub(crate) const fn labels(mut self, label_of: fn(&R) -> String) -> List<R> {
        self.label_of = Some(label_of);
        self
    }

    /// Sets the text that is shown if there are no rows, not even without filters.
    pub(crate) const fn empty(mut self, text: &'static str) -> List<R> {
        self.empty = text;
        self
    }
}

impl<R> Column<R> {
    /// A column of texts.
    pub(crate) const fn text(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column { label, sort: None, is_number: false, cell }
    }

    /// A column of numbers, which are aligned at the right.
    pub(crate) const fn number(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column { label, sort: None, is_number: true, cell }
    }

    /// Makes the head a link that sorts by the [`Sort`] with this name.
    pub(crate) const fn sort(mut self, name: &'static str) -> Column<R> {
        self.sort = Some(name);
        self
    }
}

impl Sort {
    /// An order in which a first click shows the lowest value first.
    pub(crate) const fn ascending(name: &'static str, key: SortKey) -> Sort {
        Sort { name, key, descending_first: false }
    }

    /// An order in which a first click shows the highest value first.
    pub(crate) const fn descending(name: &'static str, key: SortKey) -> Sort {
        Sort { name, key, descending_first: true }
    }
}

impl Filter {
    /// A filter with a few choices, which [`Filter::of`] sets.
    pub(crate) const fn choice(name: &'static str, label: &'static str) -> Filter {
        Filter { name, label, kind: FilterKind::Choice(&[]) }
    }

    /// Sets the choices of a filter.
    pub(crate) const fn of(mut self, choices: &'static [Choice]) -> Filter {
        self.kind = FilterKind::Choice(choices);
        self
    }

    /// A filter by days. The clause compares with the start of the range and with its end, which is
    /// excluded.
    pub(crate) const fn days(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter { name, label, kind: FilterKind::Days(clause) }
    }

    /// A filter by a user. The clause compares with the user's id.
    pub(crate) const fn user(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter { name, label, kind: FilterKind::User(clause) }
    }

    /// A filter by a word. The clause compares with the word as it was typed.
    pub(crate) const fn word(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter { name, label, kind: FilterKind::Word(clause) }
    }
}

impl Choice {
    /// A choice whose clause has no values.
    pub(crate) const fn new(value: &'static str, label: &'static str, clause: Clause) -> Choice {
        Choice { value, label, former: "", test: ChoiceTest::Fixed(clause) }
    }

    /// A choice whose clause compares with the present time.
    pub(crate) const fn now(value: &'static str, label: &'static str, clause: Clause) -> Choice {
        Choice { value, label, former: "", test: ChoiceTest::Now(clause) }
    }

    /// A choice whose clause compares with the choice's value, a stored code.
    pub(crate) const fn of(value: &'static str, label: &'static str, clause: Clause) -> Choice {
        Choice { value, label, former: "", test: ChoiceTest::Own(clause) }
    }

    /// A choice whose condition depends on the other parameters of the list.
    pub(crate) const fn by(
        value: &'static str,
        label: &'static str,
        condition: fn(&ListParams) -> Condition,
    ) -> Choice {
        Choice { value, label, former: "", test: ChoiceTest::By(condition) }
    }

    /// Also accepts a value that addresses of an older version have.
    pub(crate) const fn formerly(mut self, value: &'static str) -> Choice {
        self.former = value;
        self
    }
}

impl Tab {
    /// A preset with a query string. An empty one shows all rows.
    pub(crate) const fn new(label: &'static str, query: &'static str) -> Tab {
        Tab { label, query }
    }
}

impl BulkAction {
    /// An action with the value and the label of its option.
    pub(crate) const fn new(name: &'static str, label: &'static str) -> BulkAction {
        BulkAction { name, label }
    }
}
