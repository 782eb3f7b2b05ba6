//! The functions by which a `static` [`List`] is described. Each part of a description names only
//! what differs from the defaults.

use super::{
    BulkAction, Choice, ChoiceTest, Clause, ClauseBy, Column, Filter, FilterKind, Find, List, ListParams,
    Note, Only, Rows, Search, Sort, Tab,
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
            only: None,
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

    /// Adds a search box. `help` says what can be searched for.
    pub(crate) const fn search(mut self, help: &'static str, find: Find) -> List<R> {
        self.search = Some(Search { help, find });
        self
    }

    /// Leaves out the rows that do not satisfy these conditions, whatever the filters say.
    pub(crate) const fn only(mut self, only: Only) -> List<R> {
        self.only = Some(only);
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
    const fn new(name: &'static str, label: &'static str, kind: FilterKind) -> Filter {
        Filter { name, label, kind, has_counts: true }
    }

    /// A filter with a few choices, which [`Filter::of`] sets.
    pub(crate) const fn choice(name: &'static str, label: &'static str) -> Filter {
        Filter::new(name, label, FilterKind::Choice(&[]))
    }

    /// Sets the choices of a filter.
    pub(crate) const fn of(mut self, choices: &'static [Choice]) -> Filter {
        self.kind = FilterKind::Choice(choices);
        self
    }

    /// Leaves the choices out of *Show counts*.
    pub(crate) const fn without_counts(mut self) -> Filter {
        self.has_counts = false;
        self
    }

    /// A filter by days. The clause compares with the start of the range and with its end, which is
    /// excluded.
    pub(crate) const fn days(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter::new(name, label, FilterKind::Days(clause))
    }

    /// A filter by amounts. The clause compares with the lowest and with the highest, which both
    /// belong to the range.
    pub(crate) const fn amounts(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter::new(name, label, FilterKind::Amounts(ClauseBy::Fixed(clause)))
    }

    /// A filter by amounts whose clause depends on the other parameters.
    pub(crate) const fn amounts_by(
        name: &'static str,
        label: &'static str,
        clause: fn(&ListParams) -> Clause,
    ) -> Filter {
        Filter::new(name, label, FilterKind::Amounts(ClauseBy::Params(clause)))
    }

    /// A filter by a user. The clause compares with the user's id.
    pub(crate) const fn user(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter::new(name, label, FilterKind::User(ClauseBy::Fixed(clause)))
    }

    /// A filter by a user whose clause depends on the other parameters.
    pub(crate) const fn user_by(
        name: &'static str,
        label: &'static str,
        clause: fn(&ListParams) -> Clause,
    ) -> Filter {
        Filter::new(name, label, FilterKind::User(ClauseBy::Params(clause)))
    }

    /// A filter by a word. The clause compares with the word as it was typed.
    pub(crate) const fn word(name: &'static str, label: &'static str, clause: Clause) -> Filter {
        Filter::new(name, label, FilterKind::Word(clause))
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
    /// A preset with the parameters that it sets. One without any removes those of the others.
    pub(crate) const fn new(label: &'static str, query: &'static str) -> Tab {
        Tab { label, query }
    }
}

impl BulkAction {
    /// An action with the value and the label of its option.
    pub(crate) const fn new(name: &'static str, label: &'static str) -> BulkAction {
        BulkAction { name, label, asks_amount: false }
    }

    /// Adds a field for an amount of tokens.
    pub(crate) const fn with_amount(mut self) -> BulkAction {
        self.asks_amount = true;
        self
    }
}
